"""Plans and comparisons: the controller's sizing, limits and budget for a steady load."""

from dataclasses import replace
from typing import Any

import pytest

from dgdr_api.graph import Role
from dgdr_cli.planner.case import Case, CaseError, Overrides, case_of, case_without_planner, changed
from dgdr_cli.planner.plan import plan
from dgdr_cli.planner.what_if import differences, what_if
from dgdr_perf.sizing import Percentile, WorkloadError
from dgdr_planner.decide import decide
from dgdr_planner.observe.observation import LoadSeen, Observation
from dgdr_planner.observe.value import NOT_MEASURED
from dgdr_planner.plan import Plan
from dgdr_planner.policy import Policy
from dgdr_planner.state import State
from support.planner_status import STATUS, planner
from support.planning import EXACTLY, PROFILE, at, load, target

BOTH = (Role.PREFILL, Role.DECODE)
UNREACHABLE = {"ttftMs": 100, "itlMs": 10}
MANY = {"prefill": {"max": 64}, "decode": {"max": 64}}
GIVEN = Overrides(ttft_ms=300, itl_ms=25, rate_per_s=20, isl=2048, osl=128)


def case(roles: tuple[Role, ...] = BOTH, **given: Any) -> Case:
    return case_without_planner(PROFILE, roles, replace(GIVEN, **given))


def test_each_role_gets_what_the_targets_need() -> None:
    planned = plan(case())
    assert [role.role for role in planned.roles] == list(BOTH)
    for role in planned.roles:
        (latency,) = role.latencies
        assert latency.expected_ms is not None
        assert latency.expected_ms <= latency.target_ms
        assert role.replicas == role.needed >= role.exact > role.needed - 1
    assert planned.reachable
    assert planned.gpus == sum(role.replicas for role in planned.roles)
    assert planned.gpu_hours_per_day == 24 * planned.gpus


def test_an_aggregated_worker_has_both_latencies() -> None:
    (worker,) = plan(case((Role.WORKER,))).roles
    assert [latency.name for latency in worker.latencies] == ["TTFT", "ITL"]


def test_gpus_of_a_replica_count() -> None:
    one, four = plan(case()), plan(case(gpus_each={Role.DECODE: 4}))
    decode = four.roles[1]
    assert decode.gpus == 4 * decode.replicas
    assert four.gpus == one.gpus + 3 * decode.replicas


def test_a_budget_is_never_exceeded_and_said_to_be_short() -> None:
    planned = plan(case(budget_gpus=5, rate_per_s=40))
    assert planned.gpus <= 5
    assert [role.limit for role in planned.roles] == ["budget", "budget"]
    assert all(role.is_short for role in planned.roles)


def test_a_budget_below_the_fewest_replicas_is_told() -> None:
    planned = plan(case(budget_gpus=1))
    assert planned.infeasible is not None
    assert "2 GPUs" in planned.infeasible


def test_an_unreachable_target_is_told() -> None:
    planned = plan(case(ttft_ms=100))
    assert not planned.reachable
    assert [role.reachable for role in planned.roles] == [False, True]


def test_prompts_beyond_the_profile_are_told() -> None:
    assert not plan(case(isl=60_000)).in_range


def test_no_load_needs_the_fewest() -> None:
    assert [role.replicas for role in plan(case(rate_per_s=0)).roles] == [1, 1]


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ({"ttft_ms": None}, "--ttft-ms and --itl-ms"),
        ({"rate_per_s": None}, "give --rate"),
        ({"isl": None, "osl": None}, "give --isl, --osl"),
        ({"ttft_ms": float("nan")}, "--ttft-ms is nan"),
        ({"itl_ms": float("inf")}, "--itl-ms is inf"),
        ({"ttft_ms": -5.0}, "--ttft-ms is -5.0"),
    ],
)
def test_what_is_missing_is_told(missing: dict[str, Any], said: str) -> None:
    with pytest.raises(CaseError, match=said):
        case(**missing)


def test_a_rate_that_is_no_number_is_told() -> None:
    with pytest.raises(WorkloadError, match="rate_per_s is nan"):
        case(rate_per_s=float("nan"))


def test_a_planner_is_asked_about_the_load_that_it_plans_for() -> None:
    asked = case_of(planner(), PROFILE, Overrides())
    assert (asked.load.rate_per_s, asked.load.isl, asked.load.osl) == (22.5, 2048, 128)
    assert asked.load_from == "forecast"
    assert asked.gpus_each == {Role.PREFILL: 2, Role.DECODE: 2}
    assert asked.replicas == {Role.PREFILL: 6, Role.DECODE: 4}


def test_without_a_forecast_the_observed_load_counts() -> None:
    asked = case_of(planner({"observed": STATUS["observed"]}), PROFILE, Overrides())
    assert (asked.load.rate_per_s, asked.load_from) == (18.4, "observed")


def test_a_planner_that_has_seen_nothing_has_no_load() -> None:
    with pytest.raises(CaseError, match="the load is not known: give --rate, --isl, --osl"):
        case_of(planner({}), PROFILE, Overrides())


def test_a_given_budget_takes_the_place_of_a_shared_one() -> None:
    shared = case_of(planner(budget={"ref": "team"}), PROFILE, Overrides())
    own = changed(shared, Overrides(budget_gpus=9))
    assert (own.policy.budget_gpus, own.policy.budget_ref) == (9, None)


def test_a_comparison_names_what_is_different() -> None:
    now = case()
    then = changed(now, Overrides(ttft_ms=250, percentile=Percentile.P95, budget_gpus=12))
    assert differences(now, then) == (
        "TTFT 300 ms → 250 ms",
        "percentile mean → p95",
        "budget none → 12 GPUs",
    )


def test_more_load_never_needs_fewer() -> None:
    asked = what_if(case(), case(rate_per_s=35))
    assert all(then.needed > now.needed for now, then in asked.pairs())


def decided(how: Policy, load: LoadSeen, prefill: int, decode: int) -> list[int]:
    """What the planner's own decision asks for under a steady load."""
    seen = Observation(target=target(prefill, decode, gpus_per_replica=2), load=load)
    outcome = decide(seen, PROFILE, how, State(), at(0), forecaster=EXACTLY).outcome
    assert isinstance(outcome, Plan)
    return [role.needed for role in outcome.roles]


@pytest.mark.parametrize(
    ("spec", "by"),
    [
        ({"sizing": {"policy": "Classic"}}, "Classic"),
        ({"sla": UNREACHABLE | {"whenUnreachable": "MaxOut"}, "roles": MANY}, "MaxOut"),
        ({"sla": UNREACHABLE | {"whenUnreachable": "Hold"}, "roles": MANY}, "Hold"),
    ],
)
def test_a_plan_asks_for_what_the_planner_would(spec: dict[str, Any], by: str) -> None:
    there = planner({"roles": STATUS["roles"]}, **spec)
    planned = plan(case_of(there, PROFILE, replace(GIVEN, ttft_ms=None, itl_ms=None)))
    unseen = replace(
        load(20),
        ttft_ms=NOT_MEASURED,
        itl_ms=NOT_MEASURED,
        isl_quantiles=None,
        osl_quantiles=None,
    )
    assert {str(role.chosen_by) for role in planned.roles} == {by}
    needed = [role.needed for role in planned.roles]
    assert needed == decided(Policy.of(there.spec), unseen, prefill=6, decode=4)
    assert needed != [role.for_targets for role in planned.roles]


def test_without_load_classic_needs_the_fewest() -> None:
    there = planner(sizing={"policy": "Classic"})
    planned = plan(case_of(there, PROFILE, Overrides(rate_per_s=0)))
    assert [role.replicas for role in planned.roles] == [1, 1]


def test_classic_that_asks_for_too_few_is_told() -> None:
    there = planner(sizing={"policy": "Classic"}, sla={"ttftMs": 195, "itlMs": 25})
    prefill, _ = plan(case_of(there, PROFILE, Overrides())).roles
    assert prefill.is_short
    assert prefill.needed < prefill.for_targets


def test_classic_without_the_data_of_a_profile_is_told() -> None:
    asked = case_of(planner(sizing={"policy": "Classic"}), replace(PROFILE, data=None), Overrides())
    with pytest.raises(CaseError, match="Classic needs profile data"):
        plan(asked)
