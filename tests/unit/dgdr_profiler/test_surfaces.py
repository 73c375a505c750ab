"""Runs on engines that no curve of ours describes: what is picked holds where requests are."""

import pytest

from dgdr_profiler.core.actions import Deploy, Fail, Finish, Measure, Reject, Retire
from dgdr_profiler.core.demand import most_in_flight
from dgdr_profiler.core.pick import Selection
from dgdr_profiler.core.strategy import next_action
from support.profiling import TP1, TP2, TP4, Machine, plan
from support.surfaces import Case, case

SEEDS = range(200)
MOST_STEPS = 60
ALL = (TP1, TP2, TP4)


def picked(of: Case) -> Selection | None:
    """Run to the end."""
    machine = Machine(plan(*ALL, of=of.demand), facts=of.facts, times=of.surface)
    for _ in range(MOST_STEPS):
        action = next_action(machine.plan, machine.state)
        match action:
            case Finish(selection=chosen):
                return chosen
            case Fail():
                return None
            case Deploy(candidate=c):
                machine.deploy(c)
            case Retire(candidate=c):
                machine.retire(c)
            case Reject(candidate=c, reason=reason):
                machine.reject(c, reason)
            case Measure(candidate=c, call=call):
                machine.measure(c, call)
    raise AssertionError("the run does not end")


def itl_ms(of: Case, tp: int, batch: float) -> float:
    """Truth at the mean context of the workload's requests."""
    load = of.demand.workload
    return of.surface.itl_ms(tp, batch, batch * (load.isl + load.osl / 2))


def holds(of: Case, chosen: Selection) -> bool:
    p, d = chosen.prefill, chosen.decode
    batch = d.point.effective_concurrency or d.point.concurrency
    return of.demand.targets.hold(
        of.surface.ttft_ms(p.candidate.shape.largest.gpus, of.demand.workload.isl),
        itl_ms(of, d.candidate.shape.largest.gpus, batch),
    )


def could_hold(of: Case) -> bool:
    if most_in_flight(of.facts, of.demand.workload) < 1:
        return False
    ttft = min(of.surface.ttft_ms(c.shape.largest.gpus, of.demand.workload.isl) for c in ALL)
    return of.demand.targets.hold(ttft, min(itl_ms(of, c.shape.largest.gpus, 1) for c in ALL))


@pytest.fixture(scope="module")
def runs() -> list[tuple[Case, Selection | None]]:
    return [(one, picked(one)) for one in map(case, SEEDS)]


def test_no_pick_breaks_a_target_at_the_context_that_requests_have(
    runs: list[tuple[Case, Selection | None]],
) -> None:
    said = [(of, chosen) for of, chosen in runs if chosen is not None and chosen.sla_reachable]
    assert len(said) > len(SEEDS) / 2
    assert [of for of, chosen in said if not holds(of, chosen)] == []


def test_something_is_picked_wherever_something_holds(
    runs: list[tuple[Case, Selection | None]],
) -> None:
    possible = [chosen for of, chosen in runs if could_hold(of)]
    missed = [chosen for chosen in possible if chosen is None or not chosen.sla_reachable]
    assert len(missed) <= 0.01 * len(possible)
