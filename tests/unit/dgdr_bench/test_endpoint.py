import json
from dataclasses import replace
from pathlib import Path

import pytest

from dgdr_bench.__main__ import INVALID, LOST, OK, main
from dgdr_bench.endpoint import Driven, Endpoint, load_spec, summary
from dgdr_load.load import InvalidLoad, SyntheticPrompts
from dgdr_load.results import LoadResult, Percentiles

FLAGS = ["--url=http://x:8000", "--model=m", "--tokenizer=/model", "--isl=64", "--osl=16"]


def asked(**changes: float | None) -> Endpoint:
    return Endpoint(
        url="http://x",
        model="m",
        tokenizer="/model",
        isl=64,
        osl=16,
        **changes,  # type: ignore[arg-type]
    )


def test_a_rate_for_a_time_is_one_phase() -> None:
    spec = load_spec(asked(request_rate_per_s=4.5, duration_s=60), now_ms=1)
    (phase,) = spec.phases
    assert (phase.request_rate_per_s, phase.duration_s) == (4.5, 60)
    # 270 on average.
    assert spec.prompts == SyntheticPrompts(isl=64, osl=16, entries=336)


@pytest.mark.parametrize(
    ("load", "isl", "prompts"),
    [
        pytest.param(
            {"concurrency": 1, "requests": 5000}, 1000, 5000, id="of a number of requests"
        ),
        # 600 are answered where one takes 100 ms.
        pytest.param({"concurrency": 1, "duration_s": 60}, 1000, 1155, id="in a time"),
        pytest.param(
            {"concurrency": 8, "duration_s": 60}, 1000, 9239, id="in a time, side by side"
        ),
        pytest.param({"request_rate_per_s": 0.01, "duration_s": 1}, 1000, 1, id="hardly any"),
        pytest.param({"concurrency": 1, "requests": 30_000}, 10, 20_000, id="too many to make"),
        pytest.param({"concurrency": 1, "requests": 5000}, 8000, 2500, id="too long to make all"),
        pytest.param({"concurrency": 1, "requests": 5}, 10**8, 1, id="longer than anything"),
    ],
)
def test_each_prompt_is_sent_once_as_far_as_they_can_be_made(
    load: dict[str, float], isl: int, prompts: int
) -> None:
    made = load_spec(replace(asked(**load), isl=isl), now_ms=1).prompts
    assert isinstance(made, SyntheticPrompts)
    assert made.entries == prompts


def test_prompts_are_new_on_every_call_unless_a_seed_is_given() -> None:
    assert load_spec(asked(concurrency=1, requests=1), now_ms=5).seed == 5
    assert load_spec(asked(concurrency=1, requests=1, seed=7), now_ms=5).seed == 7


def test_a_load_without_an_end_is_refused() -> None:
    with pytest.raises(InvalidLoad, match="exactly one of requests and duration"):
        load_spec(asked(concurrency=1), now_ms=1)


def result(**changes: object) -> LoadResult:
    fields: dict[str, object] = {
        "phase": "load",
        "ttft_ms": Percentiles(avg=54.2, p50=53.35, p90=57.9, p99=62.061, min=51.1),
        "itl_ms": None,
        "effective_concurrency": 0.6,
        "effective_decode_concurrency": 0.5,
        "output_tokens_per_s": 45.7,
        "isl_mean": 64,
        "osl_mean": 16,
        "sent": 22,
        "completed": 20,
        "errors": 0,
        "cancelled": 2,
        "duration_s": 3.6,
    }
    return LoadResult(**{**fields, **changes})  # type: ignore[arg-type]


def test_the_summary_tells_lost_requests_from_errors() -> None:
    told = summary(Driven(result=result(), prompts=22))
    assert told["prompts"] == 22
    assert (told["sent"], told["completed"], told["lost"], told["errors"]) == (22, 20, 2, 0)
    assert told["ttftMs"]["p99"] == 62.06
    assert told["itlMs"] is None
    json.dumps(told)


def test_prompts_that_were_sent_again_are_said() -> None:
    assert Driven(result=result(sent=22), prompts=22).warning is None
    again = Driven(result=result(sent=23), prompts=22).warning or ""
    assert again.startswith("23 requests were sent over 22 prompts")


EXPORTS = Path(__file__).parents[1] / "dgdr_load" / "exports"


def aiperf(folder: Path, case: str) -> str:
    """A program that leaves the exports of a real AIPerf run behind."""
    exports = EXPORTS / case
    program = folder / "aiperf"
    program.write_text(
        "#!/bin/sh\n"
        'dir=$(dirname "$3")\n'
        f'cp -r {exports}/. "$dir"\n'
        'sed -i s/rate/load/ "$dir/logs/aiperf.log" "$dir/profile_export.jsonl"\n'
    )
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(("case", "code"), [("hanging", LOST), ("failing", LOST)])
def test_a_lost_request_is_an_exit_code(
    case: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DGDR_AIPERF", aiperf(tmp_path, case))
    out = tmp_path / "out.json"
    rate = ["--request-rate=0.1", "--duration=4", f"--out={out}"]
    assert main(["endpoint", *FLAGS, *rate]) == code
    told = capsys.readouterr()
    assert json.loads(told.out) == json.loads(out.read_text())
    assert "over 3 prompts, so prompts were sent again" in told.err


def test_a_load_that_cannot_be_driven_is_another_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["endpoint", *FLAGS, "--concurrency=0", "--requests=5"]) == INVALID
    assert "concurrency is 0" in capsys.readouterr().err


def test_no_result_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DGDR_AIPERF", str(tmp_path / "nosuch"))
    assert main(["endpoint", *FLAGS, "--concurrency=1", "--requests=5"]) == LOST
    assert "set DGDR_AIPERF" in capsys.readouterr().err
    assert OK == 0
