import pytest

from dgdr_api.cluster_words import pull_cause, scheduler_words, shortened

IMAGE = "registry.example.com/team/engine:1.0.2"
HEAD = (
    f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": failed to '
    'do request: Head "https://registry.example.com/v2/team/engine/manifests/1.0.2"'
)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (
            f"{HEAD}: dial tcp: lookup registry.example.com on 10.96.0.10:53: dial udp "
            "10.96.0.10:53: connect: network is unreachable",
            "lookup failed: network is unreachable",
        ),
        (
            f'Back-off pulling image "{IMAGE}": ErrImagePull: {HEAD}: dial tcp: lookup '
            "registry.example.com: no such host",
            "lookup failed: no such host",
        ),
        (f"{HEAD}: dial tcp 10.1.2.3:443: i/o timeout", "i/o timeout"),
        (f'rpc error: code = NotFound desc = failed to resolve "{IMAGE}": not found', "not found"),
        ("unexpected status from HEAD request to https://x/v2: 429 Too Many Requests",
         "429 Too Many Requests"),
        ("toomanyrequests: you have reached your limit: https://x/limit", "you have reached your "
         "limit"),
        ("manifest unknown", "manifest unknown"),
        (f'Back-off pulling image "{IMAGE}"', "ErrImagePull"),
        ("", "ErrImagePull"),
    ],
)  # fmt: skip
def test_a_pull_fails_for_the_last_of_its_causes(words: str, cause: str) -> None:
    assert pull_cause("ErrImagePull", words) == cause


@pytest.mark.parametrize(
    "said",
    [
        "0/3 nodes are available: 3 Insufficient cpu.",
        "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available: 3 No "
        "preemption victims found for incoming pod.",
        "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: "
        "0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
    ],
)
def test_a_node_is_missing_for_what_the_scheduler_says_first(said: str) -> None:
    assert scheduler_words(said) == "0/3 nodes are available: 3 Insufficient cpu"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one two", "one two"),
        ("one two three", "one two …"),
        ("one two; three", "one two …"),
        ("one twothree four", "one …"),
        ("onetwothreefour", "onetwoth …"),
    ],
)
def test_a_text_is_cut_behind_a_word(text: str, shown: str) -> None:
    assert shortened(text, 10) == shown
