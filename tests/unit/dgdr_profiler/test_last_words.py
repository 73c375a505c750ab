"""What a failure quotes of a log."""

import pytest

from dgdr_profiler.core.last_words import QUOTED_LINES, last_words

# As a worker of Dynamo 1.6.1 wrote it.
PROBED = (
    "2026-11-29T22:26:38.153943Z ERROR tower_http::trace::on_failure: response failed "
    "classification=Status code: 503 Service Unavailable latency=0 ms"
)


@pytest.mark.parametrize(
    ("log", "said"),
    [
        pytest.param("", "", id="no log"),
        pytest.param("RuntimeError: no device\n", "RuntimeError: no device", id="words"),
        pytest.param(f"a\n{PROBED}\nb\n{PROBED}\n\n", "a\nb", id="looks of the startup probe"),
        pytest.param(f"{PROBED}\n" * 9, "", id="nothing but them"),
        pytest.param("ERROR 503 of the hub", "ERROR 503 of the hub", id="another server's 503"),
    ],
)
def test_the_looks_of_the_startup_probe_are_no_last_words(log: str, said: str) -> None:
    assert last_words(log) == said


def test_only_the_last_lines_are_quoted() -> None:
    lines = [str(number) for number in range(9)]
    assert last_words("\n".join(lines)) == "\n".join(lines[-QUOTED_LINES:])
