import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from dgdr_load.load import LoadPhase, LoadSpec, SyntheticPrompts
from dgdr_load.runner import OVERHEAD_S, LoadFailed, deadline_s, run


def spec(*phases: LoadPhase) -> LoadSpec:
    return LoadSpec(
        url="http://x",
        model="m",
        tokenizer="/m",
        prompts=SyntheticPrompts(isl=64, osl=16, entries=8),
        phases=phases,
        seed=3,
        request_timeout_s=50,
        grace_s=10,
    )


@pytest.mark.parametrize(
    ("phase", "limit_s"),
    [
        pytest.param(LoadPhase(name="p", concurrency=4, requests=9), 3 * 50, id="waves"),
        pytest.param(LoadPhase(name="p", concurrency=4, duration_s=60), 70, id="timed"),
        pytest.param(LoadPhase(name="p", request_rate_per_s=2, requests=10), 55, id="arrivals"),
    ],
)
def test_aiperf_gets_the_time_that_its_phases_can_take(phase: LoadPhase, limit_s: float) -> None:
    assert deadline_s(spec(phase)) == pytest.approx(OVERHEAD_S + limit_s, abs=0.1)


def test_aiperf_gets_the_time_to_make_its_prompts() -> None:
    phase = LoadPhase(name="p", concurrency=1, requests=1)
    many = replace(spec(phase), prompts=SyntheticPrompts(isl=1000, osl=1, entries=20_000))
    assert deadline_s(many) - deadline_s(spec(phase)) == pytest.approx(200, abs=0.1)


ONE = spec(LoadPhase(name="p", concurrency=1, requests=1))


def program(folder: Path, script: str) -> str:
    file = folder / "aiperf"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


async def test_a_missing_program_is_named_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="set DGDR_AIPERF to AIPerf's executable"):
        await run(ONE, tmp_path, "/nosuch/aiperf")


async def test_a_failure_carries_the_last_words(tmp_path: Path) -> None:
    aiperf = program(tmp_path, "echo '│ all 5 requests failed │'; exit 1")
    with pytest.raises(LoadFailed, match=r"ended with code 1: all 5 requests failed$"):
        await run(ONE, tmp_path, aiperf)


async def test_success_without_results_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match=r"aiperf\.log"):
        await run(ONE, tmp_path, program(tmp_path, "exit 0"))


async def test_what_aiperf_leaves_behind_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    script = 'touch "$TMPDIR/aiperf_mmap_1" && ls "$TMPDIR"; kill -9 $$'
    with pytest.raises(LoadFailed, match="aiperf_mmap_1"):
        await run(ONE, tmp_path, program(tmp_path, script))
    assert list(scratch.iterdir()) == []


async def test_aiperf_has_a_home_to_write_in_and_no_hub_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    script = 'touch "$HOME/x" && echo "hub=${HF_HUB_OFFLINE:-unset}"; exit 3'
    with pytest.raises(LoadFailed, match="code 3: hub=unset"):
        await run(ONE, tmp_path, program(tmp_path, script))


def test_slow_requests_get_their_time_and_a_hung_engine_does_not() -> None:
    phase = LoadPhase(name="p", concurrency=4, requests=9)
    slow = replace(spec(phase), request_timeout_s=1000)
    assert deadline_s(slow) == pytest.approx(OVERHEAD_S + 3 * 200, abs=0.1)
