"""A number of GPUs that several planners share: who may hold how many.

Each planner publishes what it holds, and the further replicas that it would like, each with its
gain: the SLA loss that it saves per GPU. Everybody computes the same shares from that, and moves
towards its own one in an order that never lets the sum exceed the budget:

1. *Reserve*: a planner writes the most GPUs that its pods can hold after its next writes, stopping
   pods included, into the budget's status; the write fails when anybody wrote since it read.
2. *Scale*: only then it writes replicas.
3. *Release*: it lowers its reservation when its pods are seen to be gone.

So at every moment, also after a kill between any two writes, what a planner holds is at most what
it has reserved, and the reservations are at most the budget.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dgdr_api.models import gpu_budget as api
from dgdr_planner.observe.value import Trouble


@dataclass(frozen=True, slots=True)
class Step:
    """One more replica, or a run of equal ones: what it takes, and the SLA loss saved per GPU."""

    gpus: int
    gain: float
    replicas: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one planner holds and would like to hold.

    ``reserved_gpus`` is the most that it may hold after its next writes; ``floor_gpus`` what its
    fewest replicas hold. A ``fixed`` planner cannot change now, so others must not count on its
    GPUs. ``steps`` go from the fewest replicas upwards, in falling order of gain. ``target`` is
    the deployment that holds them, None where nobody said.
    """

    reserved_gpus: int = 0
    floor_gpus: int = 0
    fixed: bool = False
    steps: tuple[Step, ...] = ()
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A planner as the budget knows it; ``claim`` is None when it never said anything."""

    name: str
    priority: int = 0
    min_gpus: int = 0
    claim: Claim | None = None

    @property
    def reserved_gpus(self) -> int:
        """GPUs that it holds, or is about to."""
        return self.claim.reserved_gpus if self.claim else 0

    @property
    def guaranteed_gpus(self) -> int:
        """GPUs that nobody else may take; without its fewest replicas a planner is an outage."""
        return max(self.min_gpus, self.claim.floor_gpus if self.claim else 0)

    @property
    def untouchable_gpus(self) -> int:
        """GPUs that nobody else can get now."""
        return max(self.guaranteed_gpus, self.reserved_gpus)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSeen:
    """A GPUBudget as one of its members sees it.

    ``others`` are all other members, and planners that are none any more but still hold GPUs.
    ``unheard`` are members that run, but have not said what they hold. ``orphaned_gpus`` are those
    that pods of this planner's target hold although the target is not there; None where it is.
    ``version`` is the resourceVersion that a reservation depends on.
    """

    name: str
    gpus: int
    me: Member
    others: tuple[Member, ...] = ()
    unheard: tuple[str, ...] = ()
    orphaned_gpus: int | None = None
    version: str = ""

    @property
    def running(self) -> frozenset[str]:
        """The names of those that are known to hold GPUs, or to be about to."""
        told = (one.name for one in self.others if one.claim is not None)
        return frozenset({self.me.name, *told, *self.unheard})

    @property
    def guaranteed_gpus(self) -> int:
        """The sum of all guarantees."""
        return sum(member.guaranteed_gpus for member in (self.me, *self.others))

    def room(self) -> int:
        """GPUs that this planner may hold at most right now."""
        if self.unheard:
            return 0
        return self.gpus - sum(member.untouchable_gpus for member in self.others)

    def with_claim(self, claim: Claim) -> "BudgetSeen":
        """Return the budget as it is when this planner says something else."""
        return replace(self, me=replace(self.me, claim=claim))

    def scaling(self, target: str) -> "BudgetSeen":
        """Return the budget as it is for a planner that scales this deployment.

        What it has reserved for another one stays reserved, for a stranger with a name that no
        planner can have; and it does not grow before it has said so.
        """
        mine, claim = f"{self.me.name}/{target}", self.me.claim
        seen = replace(self, others=tuple(one for one in self.others if one.name != mine))
        if claim is None or claim.target in (None, target) or not claim.reserved_gpus:
            return seen
        left = Claim(reserved_gpus=claim.reserved_gpus, fixed=True, target=claim.target)
        former = Member(name=f"{self.me.name}/{claim.target}", claim=left)
        return replace(
            seen,
            me=replace(self.me, claim=None),
            others=(*seen.others, former),
            unheard=(*self.unheard, former.name),
        )


def budget_seen(
    budget: api.GPUBudget, planner: str, running: frozenset[str], left: Mapping[str, int]
) -> BudgetSeen | Trouble:
    """Return a budget as ``planner`` sees it.

    ``running`` are the planners that take from it; ``left`` are the GPUs that the pods of planners
    which do so no longer still hold, by planner. What a deployment holds that one of the running
    has claimed for is not counted twice.
    """
    name, spec, status = budget.metadata.name, budget.spec, budget.status
    if spec.member(planner) is None:
        text = f"GPUBudget {name} has no member {planner}; add it to spec.members"
        return Trouble("NotAMember", text)
    members = {
        one.planner: Member(
            name=one.planner,
            priority=one.rank,
            min_gpus=one.guaranteed,
            claim=claim_of(status.holding(one.planner)),
        )
        for one in spec.members
    }
    told = {one.planner: one.target for one in status.holdings}
    scaled = {told[one] for one in running if told.get(one) is not None}
    for gone, gpus in left.items():
        claim = Claim(reserved_gpus=gpus, fixed=True, target=told.get(gone))
        holds = gpus and claim.target not in scaled
        known = members.get(gone, Member(name=gone))
        members[gone] = replace(known, claim=claim if holds else None)
    others = tuple(one for one in members.values() if one.name != planner)
    return BudgetSeen(
        name=name,
        gpus=spec.gpus,
        me=members[planner],
        others=others,
        unheard=tuple(one.name for one in others if one.claim is None and one.name in running),
        version=budget.metadata.resource_version or "",
    )


def left_behind(budget: api.GPUBudget, running: frozenset[str]) -> tuple[api.Holding, ...]:
    """Return the holdings of planners that take from the budget no longer."""
    return tuple(one for one in budget.status.holdings if one.planner not in running)


def claim_of(told: api.Holding | None) -> Claim | None:
    """Return what a holding of the status says; None where nothing was said."""
    if told is None:
        return None
    return Claim(
        reserved_gpus=told.reserved_gpus,
        floor_gpus=told.floor_gpus,
        fixed=bool(told.fixed),
        steps=tuple(Step(step.gpus, step.gain, step.replicas or 1) for step in told.steps),
        target=told.target,
    )
