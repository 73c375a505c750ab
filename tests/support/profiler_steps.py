"""Carries a run's actions out on a machine of ``support.profiling``, to its end."""

from collections.abc import Callable

from dgdr_profiler.core.actions import (
    Action,
    Deploy,
    Fail,
    Finish,
    Measure,
    Reject,
    Retire,
)
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.cells import Call
from dgdr_profiler.core.pick import Selection
from dgdr_profiler.core.strategy import next_action
from support.profiling import Machine

MOST_STEPS = 200

Broken = Callable[[Candidate, Call], bool]


def step(machine: Machine, action: Action, broken: Broken = lambda *_: False) -> None:
    match action:
        case Deploy(candidate=c):
            machine.deploy(c)
        case Retire(candidate=c):
            machine.retire(c)
        case Reject(candidate=c, reason=reason):
            machine.reject(c, reason)
        case Measure(candidate=c, call=call):
            (machine.fail if broken(c, call) else machine.measure)(c, call)


def run(machine: Machine, broken: Broken = lambda *_: False) -> list[Action]:
    """Run to the end; return every action."""
    done: list[Action] = []
    for _ in range(MOST_STEPS):
        action = next_action(machine.plan, machine.state)
        done.append(action)
        if isinstance(action, Finish | Fail):
            return done
        step(machine, action, broken)
    raise AssertionError("the run does not end")


def selected(actions: list[Action]) -> Selection:
    last = actions[-1]
    assert isinstance(last, Finish), last
    return last.selection
