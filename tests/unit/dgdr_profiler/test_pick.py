from dataclasses import replace

import pytest

from dgdr_api.points import Point
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.cells import decode_cell, prefill_cell
from dgdr_profiler.core.pick import Selection, decode_options, pick, prefill_options
from dgdr_profiler.core.sizing import Replicas, replicas
from dgdr_profiler.core.targets import Targets, Workload
from support.profiling import TP1, TP2, TP4, point

ALL = (TP1, TP2, TP4)


def picked(targets: Targets, batches: tuple[int, ...] = (1, 8, 30)) -> Selection:
    prefill = [o for c in ALL for o in prefill_options(c, [point(c, prefill_cell(2048))])]
    decode = [
        o
        for c in ALL
        for o in decode_options(c, [point(c, decode_cell(2048, 96, n)) for n in batches])
    ]
    found = pick(prefill, decode, targets, 2048)
    assert found is not None
    return found


def of(selection: Selection) -> tuple[Candidate, Candidate, int]:
    return (
        selection.prefill.candidate,
        selection.decode.candidate,
        selection.decode.point.concurrency,
    )


@pytest.mark.parametrize(
    ("ttft", "itl", "expected"),
    [
        pytest.param(300, 30, (TP1, TP1, 30), id="small engines do"),
        pytest.param(150, 30, (TP2, TP1, 30), id="roles differ"),
        pytest.param(300, 24, (TP1, TP2, 30), id="slower than the target is out"),
        pytest.param(70, 12, (TP4, TP4, 30), id="only the largest is fast enough"),
    ],
)
def test_the_highest_throughput_per_gpu_within_the_targets_wins(
    ttft: float, itl: float, expected: tuple[Candidate, Candidate, int]
) -> None:
    selection = picked(Targets(osl=96, ttft_ms=ttft, itl_ms=itl))
    assert of(selection) == expected
    assert selection.sla_reachable


def test_latencies_equal_to_the_target_hold() -> None:
    exact = picked(Targets(osl=96, ttft_ms=1e9, itl_ms=1e9))
    targets = Targets(osl=96, ttft_ms=exact.prefill.ttft_ms, itl_ms=exact.decode.itl_ms)
    assert picked(targets).sla_reachable


def test_a_role_out_of_reach_takes_the_fastest_and_the_other_role_stays_frugal() -> None:
    selection = picked(Targets(osl=96, ttft_ms=1, itl_ms=30))
    assert of(selection) == (TP4, TP1, 30)
    assert not selection.sla_reachable


def test_nothing_within_the_targets_is_said_with_the_nearest_figures() -> None:
    selection = picked(Targets(osl=96, ttft_ms=300, itl_ms=2))
    assert not selection.sla_reachable
    assert selection.reason.startswith(
        "nothing measured holds the targets (TTFT 300 ms, ITL 2 ms); the nearest has TTFT"
    )


def test_a_target_for_the_whole_answer_is_shared_between_the_roles() -> None:
    whole = Targets(osl=96, e2e_ms=2600)
    selection = picked(whole)
    assert whole.hold(selection.prefill.ttft_ms, selection.decode.itl_ms)
    assert selection.decode.point.concurrency == 30


def test_without_options_nothing_is_picked() -> None:
    assert pick([], [], Targets(osl=96, ttft_ms=1, itl_ms=1), 2048) is None


def test_points_without_figures_are_no_options() -> None:
    hollow = replace_point(ttft_ms=None, itl_ms=None)
    assert prefill_options(TP1, [hollow]) == ()
    assert decode_options(TP1, [hollow]) == ()


def replace_point(**changes: float | None) -> Point:
    return point(TP1, decode_cell(2048, 96, 8)).model_copy(update=changes)


LOOSE = Targets(osl=96, ttft_ms=300, itl_ms=30)


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        pytest.param(Workload(isl=2048, osl=96), (1, 1), id="no load named"),
        # One prefill serves 5.0 prompts a second, one decode 10.9 answers.
        pytest.param(Workload(isl=2048, osl=96, request_rate_per_s=12), (3, 2), id="rate"),
        # 30 in flight for 2.9 s each: 10.4 a second.
        pytest.param(Workload(isl=2048, osl=96, concurrency=30), (3, 1), id="concurrency"),
    ],
)
def test_replicas_keep_up_with_the_load(workload: Workload, expected: tuple[int, int]) -> None:
    found = replicas(picked(LOOSE), workload, None)
    assert (found.prefill, found.decode, found.shortage) == (*expected, None)


@pytest.mark.parametrize("gpus", [2, 3, 5, 8, 16])
def test_replicas_never_exceed_the_gpus_and_the_shortage_is_said(gpus: int) -> None:
    load = Workload(isl=2048, osl=96, request_rate_per_s=1000)
    found = replicas(picked(LOOSE), load, gpus)
    assert found.prefill + found.decode <= gpus
    assert found.prefill >= 1
    assert found.decode >= 1
    assert found.shortage is not None
    assert f"but there are {gpus}" in found.shortage


def test_scarce_gpus_go_to_the_role_that_is_further_behind() -> None:
    load = Workload(isl=2048, osl=96, request_rate_per_s=1000)
    found = replicas(picked(LOOSE), load, 12)
    assert found == replace(found, prefill=8, decode=4)


def test_one_each_is_the_least() -> None:
    assert (
        replicas(picked(LOOSE), Workload(isl=1, osl=1, request_rate_per_s=0.01), 16) == Replicas()
    )
