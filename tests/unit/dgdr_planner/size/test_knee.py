"""A target that no number of replicas meets is chased no further than the knee."""

from dataclasses import replace

import pytest

from bench.reference import reference_engine
from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_policy import WhenUnreachable
from dgdr_perf.sizing import Percentile, Targets, Workload
from dgdr_planner.policy import Limits, Policy
from dgdr_planner.size.curves import size

H200 = reference_engine()
LOAD = Workload(rate_per_s=25.0, isl=3000.0, osl=300.0)
TARGETS = Targets(ttft_ms=500.0, itl_ms=10.0, percentile=Percentile.P95)
BEST_EFFORT = Policy(
    targets=TARGETS,
    limits={Role.PREFILL: Limits(fewest=1, most=100), Role.DECODE: Limits(fewest=1, most=100)},
    interval_s=60.0,
    stabilization_s=120.0,
)
MAX_OUT = replace(BEST_EFFORT, when_unreachable=WhenUnreachable.MAX_OUT)
ROLES = [Role.PREFILL, Role.DECODE, Role.WORKER]


@pytest.mark.parametrize("role", ROLES)
def test_a_target_that_can_be_met_is(role: Role) -> None:
    found = size(role, H200, LOAD, TARGETS, BEST_EFFORT)
    assert found.reachable
    assert found == size(role, H200, LOAD, TARGETS, MAX_OUT)


@pytest.mark.parametrize("role", [Role.DECODE, Role.WORKER])
@pytest.mark.parametrize("itl_ms", [3.0, 4.0])
def test_a_target_below_a_lone_request_buys_what_nearly_all_of_it_needs(
    role: Role, itl_ms: float
) -> None:
    targets = replace(TARGETS, itl_ms=itl_ms)
    found = size(role, H200, LOAD, targets, BEST_EFFORT)
    chased = size(role, H200, LOAD, targets, MAX_OUT)
    assert not found.reachable
    assert not chased.reachable
    assert found.replicas < chased.replicas == found.chased
    assert found.itl is not None
    assert found.itl.ms <= 1.2 * found.itl.alone_ms


def test_prompts_that_are_late_alone_are_no_reason_for_more() -> None:
    tenth_long = ((0.0, 500.0), (0.9, 2000.0), (0.9, 40_000.0), (1.0, 40_000.0))
    load = replace(LOAD, isl=5800.0, isl_quantiles=tenth_long)
    found = size(Role.PREFILL, H200, load, TARGETS, BEST_EFFORT)
    chased = size(Role.PREFILL, H200, load, TARGETS, MAX_OUT)
    assert found.late_alone == pytest.approx(0.1)
    assert not found.reachable
    assert found.busy < found.replicas_exact < chased.replicas_exact
