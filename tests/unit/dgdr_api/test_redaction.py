"""Texts of pods tell no secret, and still tell what is wrong."""

import pytest

from dgdr_api.redaction import without_secrets


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("401 for hf_abcdefghijkl", "401 for [token]"),
        ("key sk-abcdefghijkl, again", "key [token], again"),
        ("nvapi-abcdefghijk", "[token]"),
        ("ghp_abcdefghijkl github_pat_abcdefghijkl", "[token] [token]"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: [token]"),
        ("AKIAABCDEFGHIJKLMNOP", "[token]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "[token]"),
        ("HF_TOKEN=abcdefghij\nnext line", "HF_TOKEN=[token]\nnext line"),
        ('{"password": "correct-horse", "user": "me"}', '{"password": "[token]", "user": "me"}'),
        ("api-key: 0123456789abcdef", "api-key: [token]"),
        ("pull from https://me:secret@images.test/v2", "pull from https://[token]@images.test/v2"),
    ],
)
def test_a_secret_is_taken_out(text: str, left: str) -> None:
    assert without_secrets(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB",
        "unexpected token: str",
        "max_num_batched_tokens=16384 is smaller than max_model_len=131072",
        "couldn't find key HF_TOKEN in Secret ns/hf-token-secret",
        'secret "hf-token-secret" not found',
        "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
        "http://q-p-tp1-frontend.ns.svc.cluster.local:8000/v1/models",
        "hf_config.json not found",
    ],
)
def test_what_is_wrong_stays(text: str) -> None:
    assert without_secrets(text) == text


def test_twice_is_as_once() -> None:
    once = without_secrets("token=abcdefghijk Bearer abcdefghijk https://a:b@c")
    assert without_secrets(once) == once
