"""`make real-engine`: the whole way of a request with a real vLLM, which a mocker cannot show."""
