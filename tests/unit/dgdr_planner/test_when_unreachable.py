"""What becomes of a role whose target no number of replicas meets is the user's choice."""

from dataclasses import replace

import pytest

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_policy import WhenUnreachable
from dgdr_planner.decide import decide
from dgdr_planner.observe.observation import Observation
from dgdr_planner.plan import Plan
from dgdr_planner.policy import Limits
from dgdr_planner.state import State
from dgdr_planner.tell.conditions import ConditionType, statements
from support.planning import EXACTLY, PROFILE, at, load, policy, target

HERE = 4
HOPELESS = policy(
    targets=replace(policy().targets, itl_ms=1.0),
    limits={role: Limits(fewest=1, most=30) for role in (Role.PREFILL, Role.DECODE)},
)


def decided(choice: WhenUnreachable) -> tuple[int, str]:
    chosen = replace(HOPELESS, when_unreachable=choice)
    seen = Observation(target=target(3, HERE), load=load(8.0))
    decision = decide(seen, PROFILE, chosen, State(), at(0), forecaster=EXACTLY)
    assert isinstance(decision.outcome, Plan)
    told = next(
        one
        for one in statements(seen, decision, chosen, None)
        if one.type is ConditionType.SLA_REACHABLE
    )
    assert told.status is False
    replicas = {role.seen.role: role.replicas for role in decision.outcome.roles}
    return replicas[Role.DECODE], told.message


def test_hold_keeps_what_is_there() -> None:
    replicas, message = decided(WhenUnreachable.HOLD)
    assert replicas == HERE
    assert f"whenUnreachable Hold: decode stays at {HERE}" in message


def test_max_out_takes_all_that_is_allowed() -> None:
    replicas, message = decided(WhenUnreachable.MAX_OUT)
    assert replicas == 30
    assert "whenUnreachable MaxOut: decode takes all that roles and budget allow" in message


def test_best_effort_takes_no_more_than_the_target_would_and_says_so() -> None:
    replicas, message = decided(WhenUnreachable.BEST_EFFORT)
    assert HERE <= replicas <= 30
    assert "whenUnreachable BestEffort: decode gets" in message


@pytest.mark.parametrize("choice", list(WhenUnreachable))
def test_a_target_that_can_be_met_is_met_whatever_is_chosen(choice: WhenUnreachable) -> None:
    chosen = replace(HOPELESS, targets=policy().targets, when_unreachable=choice)
    seen = Observation(target=target(1, 1), load=load(8.0))
    decision = decide(seen, PROFILE, chosen, State(), at(0), forecaster=EXACTLY)
    assert isinstance(decision.outcome, Plan)
    assert all(role.replicas < 30 for role in decision.outcome.roles)
