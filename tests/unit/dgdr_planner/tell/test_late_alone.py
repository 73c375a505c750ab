"""Prompts that no replica can help are said, and not chased."""

from dataclasses import replace

from dgdr_perf.sizing import Percentile
from dgdr_planner.decide import decide
from dgdr_planner.observe.observation import Observation
from dgdr_planner.plan import Plan
from dgdr_planner.state import State
from dgdr_planner.tell import explain
from dgdr_planner.tell.conditions import ConditionType, statements
from support.planning import EXACTLY, PROFILE, at, load, policy, target

TAIL = ((0.0, 500.0), (0.965, 1500.0), (0.965, 40_000.0), (1.0, 40_000.0))
P95 = policy(targets=replace(policy().targets, percentile=Percentile.P95))


def told(quantiles: tuple[tuple[float, float], ...] | None) -> tuple[str | None, str]:
    seen = Observation(target=target(3, 2), load=replace(load(4.0), isl_quantiles=quantiles))
    decision = decide(seen, PROFILE, P95, State(), at(0), forecaster=EXACTLY)
    assert isinstance(decision.outcome, Plan)
    reachable = next(
        one
        for one in statements(seen, decision, P95, None)
        if one.type is ConditionType.SLA_REACHABLE
    )
    return explain.late_alone(decision.outcome), reachable.message


def test_prompts_that_are_late_alone_are_said() -> None:
    text, message = told(TAIL)
    assert text == "3.5 % of the prompts are late even alone: no replica is asked for them"
    assert message.startswith(f"enough replicas meet the targets; {text}")


def test_what_another_router_would_need_is_said() -> None:
    _, message = told(TAIL)
    assert message.endswith(
        "; with RoundRobin dispatch prefill needs 12 replicas, a least-loaded router (Dynamo 1.6)"
        " would need 4"
    )


def test_nothing_is_said_where_all_prompts_can_be_in_time() -> None:
    assert told(((0.0, 2048.0), (1.0, 2048.0))) == (None, "enough replicas meet the targets")


def test_what_follows_from_lengths_that_are_assumed_says_so() -> None:
    _, message = told(None)
    assert message.endswith("; how the lengths of prompts spread is assumed, no histogram says it")
