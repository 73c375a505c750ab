import pytest

from dgdr_operator.core.column import COLUMN_CHARS, in_a_column

PREFIX = "Profiling failed: "


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no GPU fits. Profiling job failed: Container", "no GPU fits."),
        ("spec.image: use vllm-runtime:1.0.2, or another", "spec.image: use vllm-runtime:1.0.2, or "
         "another"),
        ("first line\nsecond line", "first line"),
        ("TP=1: pod q-agg-tp1-worker-67bd-x2, container main: OOMKilled", "TP=1: container main: "
         "OOMKilled"),
        ("no node for 5 s: pod q-x2: 0/1 nodes fit", "no node for 5 s: 0/1 nodes fit"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_column_shows_the_first_sentence(text: str, shown: str) -> None:
    assert in_a_column(text, PREFIX) == PREFIX + shown


@pytest.mark.parametrize("text", ["no candidate fits; " * 40, "x" * 300])
def test_a_long_sentence_is_cut_to_the_column(text: str) -> None:
    shown = in_a_column(text, PREFIX)
    assert len(shown) <= COLUMN_CHARS
    assert shown.startswith(f"{PREFIX}{text[:10]}")
    assert shown.endswith("…")
