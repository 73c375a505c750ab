"""Replicas under a number of GPUs, never above it: not half-way, and not after a crash.

GPUs go to the role, and between planners to the planner, whose next replica saves the most SLA
loss per GPU. A role that has ``n`` of the ``x`` replicas that its load needs is short by
``s = 1 - n / x``; both the share of its requests that miss their target and how far they miss grow
with ``s``, so its loss is ``rate * s**2``. The loss is convex: the shorter role is served first,
and no role starves for another.

A pod that stops holds its GPUs until it is gone, so what shrinks makes no room before it is seen to
be gone. What grows waits for that room.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from statistics import fmean

from dgdr_api.graph import Role
from dgdr_api.models.gpu_budget import MAX_STEPS
from dgdr_planner.observe.budget import BudgetSeen, Claim, Member, Step

# A replica that is there is worth more than an equal one that would have to be started: without
# this, noise in two needs would move GPUs to and fro.
KEEP = 1.25
# What may not be changed comes before all that may.
FIXED_GAIN = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleDemand:
    """One role before the budget is looked at.

    ``replicas`` are wanted now, ``held`` hold GPUs (stopping ones included), ``asked`` is what the
    load needs within all other limits, ``need`` the same before rounding. With ``fixed`` the
    number may not change.
    """

    role: Role
    gpus_each: int
    replicas: int
    held: int
    fewest: int
    asked: int
    need: float
    rate_per_s: float
    fixed: bool = False

    @property
    def goal(self) -> int:
        """Replicas that it heads for when nobody counts GPUs."""
        return self.replicas if self.fixed else self.asked

    @property
    def floor(self) -> int:
        """Replicas that it has in any case."""
        return self.replicas if self.fixed else self.fewest

    def gain(self, replicas: int) -> float:
        """SLA loss per GPU that this many replicas save over one less."""
        if self.fixed:
            return FIXED_GAIN
        saved = _loss(self, replicas - 1) - _loss(self, replicas)
        kept = KEEP if replicas <= self.replicas else 1.0
        return kept * saved / max(self.gpus_each, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPlan:
    """What may be asked for now.

    ``replicas`` may be written; ``share`` are the GPUs that the plan heads for, None where no
    budget limits it; ``waiting`` are roles that grow further once others' GPUs are free, ``short``
    those that get less than they ask for. ``infeasible`` says why nothing may change at all.
    """

    replicas: Mapping[Role, int]
    share: int | None = None
    short: frozenset[Role] = frozenset()
    waiting: frozenset[Role] = frozenset()
    infeasible: str | None = None
    claim: Claim | None = None


def unlimited(demands: Iterable[RoleDemand]) -> GpuPlan:
    """Return what is asked for: nobody counts GPUs."""
    return GpuPlan(replicas={one.role: one.goal for one in demands})


def plan_own(demands: tuple[RoleDemand, ...], gpus: int) -> GpuPlan:
    """Plan under a budget that nobody else takes from."""
    fewest = _fewest_gpus(demands)
    if fewest > gpus:
        return _held(demands, f"the fewest replicas hold {fewest} GPUs, spec.budget has {gpus}")
    return _plan(demands, share=gpus, room=gpus)


def plan_shared(demands: tuple[RoleDemand, ...], seen: BudgetSeen) -> GpuPlan:
    """Plan under a shared budget; the claim has to be written before any replicas are."""
    wish = Claim(
        reserved_gpus=_held_gpus(demands),
        floor_gpus=_fewest_gpus(demands),
        steps=_told([Step(gpus, gain) for gain, gpus, _ in _steps(demands)]),
    )
    told = seen.with_claim(wish)
    if told.guaranteed_gpus > seen.gpus:
        text = f"guarantees add up to {told.guaranteed_gpus} GPUs, {seen.name} has {seen.gpus}"
        return _held(demands, text, wish)
    share = shares(seen.gpus, told.sharing())[seen.me.name]
    plan = _plan(demands, share=share, room=min(share, seen.room()))
    return GpuPlan(
        replicas=plan.replicas,
        share=share,
        short=plan.short,
        waiting=plan.waiting,
        claim=Claim(
            reserved_gpus=_held_gpus(demands, plan.replicas),
            floor_gpus=wish.floor_gpus,
            steps=wish.steps,
        ),
    )


def standing_claim(held_gpus: int, floor_gpus: int) -> Claim:
    """Return what a planner says that cannot change its replicas now."""
    return Claim(reserved_gpus=held_gpus, floor_gpus=floor_gpus, fixed=True)


def _plan(demands: tuple[RoleDemand, ...], *, share: int, room: int) -> GpuPlan:
    """Head for the share; what grows has to fit into the room together with all that is held."""
    goal = _filled(demands, share)
    free = room - _held_gpus(demands)
    replicas: dict[Role, int] = {}
    waiting: set[Role] = set()
    for one in sorted(demands, key=lambda d: -d.gain(d.replicas + 1)):
        more = 0 if one.fixed else goal[one.role] - one.replicas
        if more > 0 and one.gpus_each:
            more = min(more, max(free, 0) // one.gpus_each)
            free -= more * one.gpus_each
        replicas[one.role] = one.replicas + more
        if replicas[one.role] < goal[one.role]:
            waiting.add(one.role)
    return GpuPlan(
        replicas={one.role: replicas[one.role] for one in demands},
        share=share,
        short=frozenset(one.role for one in demands if goal[one.role] < one.goal),
        waiting=frozenset(waiting),
    )


def _filled(demands: tuple[RoleDemand, ...], share: int) -> dict[Role, int]:
    """Fill the share: the fewest replicas, then by gain."""
    goal = {one.role: one.floor for one in demands}
    spare = share - sum(one.floor * one.gpus_each for one in demands)
    for _, gpus, role in _steps(one for one in demands if not one.fixed):
        if gpus <= max(spare, 0):
            goal[role] += 1
            spare -= gpus
    return goal


def _steps(demands: Iterable[RoleDemand]) -> list[tuple[float, int, Role]]:
    """Return (gain, GPUs, role) of every further replica, the most useful first."""
    steps = [
        (one.gain(replicas), one.gpus_each, one.role)
        for one in demands
        for replicas in range(one.fewest + 1, one.goal + 1)
    ]
    return sorted(steps, key=lambda step: -step[0])


def _told(steps: list[Step]) -> tuple[Step, ...]:
    """Return the steps as others are told of them: in runs of equal replicas, if there are many."""
    alike: defaultdict[tuple[int, bool], list[Step]] = defaultdict(list)
    for one in steps:
        alike[one.gpus, one.gain == FIXED_GAIN].append(one)
    sizes = list(alike.values())
    length = next(
        length
        for length in count(1)
        if sum(math.ceil(len(equal) / length) for equal in sizes) <= MAX_STEPS
    )
    runs = (
        equal[first : first + length] for equal in sizes for first in range(0, len(equal), length)
    )
    return tuple(sorted(map(_joined, runs), key=lambda step: -step.gain))


def _joined(run: list[Step]) -> Step:
    return Step(sum(one.gpus for one in run), fmean(one.gain for one in run), len(run))


def _loss(one: RoleDemand, replicas: int) -> float:
    """Requests per second weighted by how far they miss."""
    if one.need <= 0 or replicas >= one.need:
        return 0.0
    return one.rate_per_s * (1.0 - max(replicas, 0) / one.need) ** 2


def _fewest_gpus(demands: Iterable[RoleDemand]) -> int:
    return sum(one.fewest * one.gpus_each for one in demands)


def _held_gpus(demands: Iterable[RoleDemand], replicas: Mapping[Role, int] | None = None) -> int:
    """GPUs that can be held at most, once these replicas have been asked for."""
    grown = replicas or {}
    return sum(
        (one.held + max(grown.get(one.role, 0) - one.replicas, 0)) * one.gpus_each
        for one in demands
    )


def _held(demands: tuple[RoleDemand, ...], text: str, claim: Claim | None = None) -> GpuPlan:
    return GpuPlan(
        replicas={one.role: one.replicas for one in demands}, infeasible=text, claim=claim
    )


def shares(gpus: int, members: Iterable[Member]) -> Mapping[str, int]:
    """Share the GPUs: guarantees first, then by priority, then by gain per GPU.

    A guarantee is never lent: a GPU that is in use takes a drain to come back, and by then the
    guarantee would have been broken.
    """
    listed = tuple(members)
    base = {one.name: _base(one) for one in listed}
    spare = gpus - sum(base.values())
    used = {one.name: one.claim.floor_gpus if one.claim else 0 for one in listed}
    wishes = sorted(
        (-one.priority, -step.gain, one.name, step.gpus, step.replicas)
        for one in listed
        if one.claim is not None and not one.claim.fixed
        for step in one.claim.steps
    )
    for _, _, name, step_gpus, replicas in wishes:
        before = max(used[name], base[name])
        room = before - used[name] + max(spare, 0)
        given = min(step_gpus, room - room % max(step_gpus // replicas, 1))
        used[name] += given
        spare -= max(used[name] - before, 0)
    return {name: max(base[name], used[name]) for name in base}


def _base(member: Member) -> int:
    """GPUs that a member has whatever the others want."""
    fixed = member.claim is not None and member.claim.fixed
    return member.untouchable_gpus if fixed else member.guaranteed_gpus
