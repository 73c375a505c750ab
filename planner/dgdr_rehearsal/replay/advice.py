"""Which fewest replicas, and which budget, would have kept the targets in a trace.

The fewest of a role are the least with which our planner keeps the role's own target, without any
budget; the budget is the least that then attains as much but for ``GIVEN_UP``. Found by halving, in
some ten runs of our planner.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from dgdr_api.graph import Role
from dgdr_planner.policy import Policy
from dgdr_rehearsal.replay.allowed import with_fewest
from dgdr_rehearsal.replay.controllers import Replicas
from dgdr_rehearsal.replay.hindsight import Rungs, least_rungs
from dgdr_rehearsal.replay.rehearsal import Rehearsed

# A tenth of a point of attainment.
GIVEN_UP = 0.001

Try = Callable[[Policy], Rehearsed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What to write into the spec, and the run with it.

    ``goal`` is the share that was asked for; ``run`` attains less where no number of replicas at
    the begin of a rise does more.
    """

    fewest: Replicas
    budget_gpus: int
    goal: float
    run: Rehearsed

    @property
    def attains(self) -> bool:
        """Whether the goal is attained, but for what a budget may cost."""
        return self.run.attained >= self.goal - GIVEN_UP


def advice(
    policy: Policy, gpus: Mapping[Role, int], peak: Replicas, goal: float, tried: Try
) -> Advice:
    """Search up to what the ``peak`` of the load needs, within the most that the spec allows."""
    free = replace(policy, budget_gpus=None, budget_ref=None)
    least = {role: min(limits.fewest, 1) for role, limits in policy.limits.items()}
    tops = {
        role: max(limits.clamp(peak[role]) - least[role], 0)
        for role, limits in policy.limits.items()
    }

    def fewest(rungs: Rungs) -> Policy:
        return with_fewest(free, {role: least[role] + rung for role, rung in rungs.items()})

    most = tried(fewest(tops))
    reached = min(goal, most.attained)
    rungs = least_rungs(tops, lambda at: tried(fewest(at)), reached)
    chosen, run = fewest(rungs), tried(fewest(rungs))
    while run.attained < reached and rungs != tops:  # each target holds, but not both at once
        rungs = {role: min(rung + 1, tops[role]) for role, rung in rungs.items()}
        chosen, run = fewest(rungs), tried(fewest(rungs))
    gpus_needed, run = _budget(chosen, gpus, run, tried)
    return Advice(
        fewest={role: limits.fewest for role, limits in chosen.limits.items()},
        budget_gpus=gpus_needed,
        goal=goal,
        run=run,
    )


def _budget(
    policy: Policy, gpus: Mapping[Role, int], free: Rehearsed, tried: Try
) -> tuple[int, Rehearsed]:
    """Return the least budget that attains as much, and its run."""
    low = sum(gpus[role] * limits.fewest for role, limits in policy.limits.items()) - 1
    high, found = held_gpus(free, gpus), free
    while high - low > 1:
        middle = (low + high) // 2
        run = tried(replace(policy, budget_gpus=middle))
        if run.attained >= free.attained - GIVEN_UP:
            high, found = middle, run
        else:
            low = middle
    return high, found


def held_gpus(run: Rehearsed, gpus: Mapping[Role, int]) -> int:
    """Return the most GPUs that were held at once; pods that start or stop hold theirs."""
    moments = np.concatenate([line.at_s for line in run.timelines.values()])
    held = sum(gpus[role] * line.at(moments) for role, line in run.timelines.items())
    return int(np.max(held))
