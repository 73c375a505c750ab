"""Replicas of a picked deployment, by the functions with which the planner scales it."""

import pytest

from dgdr_api.planner_config import PlannerKeys, parse_planner_config
from dgdr_perf import sizing
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.cells import decode_cell, prefill_cell
from dgdr_profiler.core.engine_curves import EngineCurves
from dgdr_profiler.core.options import DecodeOption, PrefillOption
from dgdr_profiler.core.pick import Selection, replicas
from dgdr_profiler.core.sizing import Replicas
from dgdr_profiler.core.targets import Targets, Workload
from support.profiling import TP1, TP2, point

PREFILL = [point(TP1, prefill_cell(isl)) for isl in (256, 738, 2048, 6144)]
DECODE = [point(TP1, decode_cell(isl, 96, n)) for isl in (256, 2048, 6144) for n in (1, 8, 30)]
CURVES = EngineCurves.of(PREFILL, DECODE)
LOOSE = Targets(osl=96, ttft_ms=300, itl_ms=30)
NO_LIMIT = None


def chosen(candidate: Candidate = TP1, aggregated: bool = False) -> Selection:
    return Selection(
        prefill=PrefillOption(candidate=candidate, point=point(candidate, prefill_cell(2048))),
        decode=DecodeOption(candidate=candidate, point=point(candidate, decode_cell(2048, 96, 30))),
        aggregated=aggregated,
        sla_reachable=True,
        reason="",
    )


def sized(
    workload: Workload, gpus: int | None = NO_LIMIT, targets: Targets = LOOSE, **of: bool
) -> Replicas:
    return replicas(chosen(**of), CURVES, workload, targets, gpus)


def at(rate_per_s: float) -> Workload:
    return Workload(isl=2048, osl=96, request_rate_per_s=rate_per_s)


def test_an_engine_that_would_always_be_busy_gets_a_second_one() -> None:
    """One prefill serves 5.0 prompts a second: at 4.9 it is 97 % busy, and prompts wait 3 s."""
    assert sized(at(4.9)) == Replicas(prefill=2, decode=1)


@pytest.mark.parametrize("rate_per_s", [0.1, 1, 4.9, 12, 50, 400])
def test_the_first_replicas_are_the_planners(rate_per_s: float) -> None:
    load = sizing.Workload(rate_per_s=rate_per_s, isl=2048, osl=96)
    asked = sizing.Targets(ttft_ms=300, itl_ms=30)
    profile = CURVES.profile()
    assert sized(at(rate_per_s)) == Replicas(
        prefill=sizing.size_prefill(profile, load, asked).replicas,
        decode=sizing.size_decode(profile, load, asked).replicas,
    )


def test_aggregated_replicas_are_the_planners() -> None:
    load = sizing.Workload(rate_per_s=12, isl=2048, osl=96)
    asked = sizing.Targets(ttft_ms=1000, itl_ms=60)
    found = sized(at(12), targets=Targets(osl=96, ttft_ms=1000, itl_ms=60), aggregated=True)
    needed = sizing.size_aggregated(CURVES.profile(), load, asked).replicas
    assert found == Replicas(prefill=0, decode=0, worker=needed)
    assert needed > 1


def test_requests_in_flight_become_a_rate_by_the_time_of_an_answer() -> None:
    """30 in flight for 2.9 s each: 10.4 a second."""
    whole = Workload(isl=2048, osl=96, concurrency=30)
    assert sized(whole) == sized(at(10.4))


def test_a_target_for_the_whole_answer_leaves_prefill_what_decode_does_not_use() -> None:
    answer_ms = chosen().ttft_ms + 95 * chosen().itl_ms(96)
    loose, tight = (Targets(osl=96, e2e_ms=answer_ms + more) for more in (1000, 50))
    assert sized(at(12), targets=loose).prefill < sized(at(12), targets=tight).prefill


def test_without_a_load_there_is_one_of_each_engine() -> None:
    bare = Workload(isl=2048, osl=96)
    assert sized(bare) == Replicas(prefill=1, decode=1, worker=0)
    assert sized(bare, aggregated=True) == Replicas(prefill=0, decode=0, worker=1)


@pytest.mark.parametrize("gpus", [2, 3, 5, 8, 16])
def test_replicas_never_exceed_the_gpus_and_the_shortage_is_said(gpus: int) -> None:
    found = sized(at(1000), gpus)
    assert found.prefill + found.decode <= gpus
    assert found.prefill >= 1
    assert found.decode >= 1
    assert found.shortage is not None
    assert found.shortage.startswith("the load needs ")
    assert found.shortage.endswith(f"GPUs, but it may have {gpus}")


def test_scarce_gpus_go_to_the_role_that_is_further_behind() -> None:
    found = sized(at(1000), 12)
    assert (found.prefill, found.decode) == (8, 4)


def test_scarce_gpus_of_aggregated_engines_are_all_used() -> None:
    assert sized(at(1000), 7, aggregated=True).worker == 7


def test_roles_of_other_sizes_are_counted_by_their_gpus() -> None:
    found = replicas(chosen(TP2), CURVES, at(1000), LOOSE, 9)
    assert 2 * (found.prefill + found.decode) <= 9


def planner(**keys: int) -> PlannerKeys:
    return parse_planner_config(keys).keys


def bound(rate_per_s: float, gpus: int | None = NO_LIMIT, **keys: int) -> Replicas:
    return replicas(chosen(), CURVES, at(rate_per_s), LOOSE, gpus, planner(**keys))


def test_roles_share_the_planners_budget_as_the_load_needs_it() -> None:
    free = sized(at(20))
    assert (free.prefill, free.decode) == (5, 3)
    assert bound(20, max_gpu_budget=8) == free


def test_a_deployment_starts_with_no_more_than_its_planner_may_hold() -> None:
    found = bound(20, max_gpu_budget=7)
    assert found.prefill + found.decode == 7
    assert found.shortage == (
        "the load needs 5 prefill and 3 decode replicas with 8 GPUs, but it may have 7; "
        "raise features.planner.max_gpu_budget"
    )


def test_a_role_starts_with_no_fewer_replicas_than_its_planner_will_keep() -> None:
    assert bound(0.1, max_gpu_budget=16, min_endpoint=3) == Replicas(prefill=3, decode=3)


def test_without_a_load_each_role_has_its_fewest_replicas() -> None:
    bare = Workload(isl=2048, osl=96)
    keys = planner(max_gpu_budget=16, prefill_min_endpoint=2)
    assert replicas(chosen(), CURVES, bare, LOOSE, 16, keys) == Replicas(prefill=2, decode=1)


def test_gpus_that_are_shared_out_leave_each_role_its_fewest_replicas() -> None:
    found = bound(20, gpus=6, max_gpu_budget=16, decode_min_endpoint=3)
    assert (found.prefill, found.decode) == (3, 3)
    assert found.shortage is not None
