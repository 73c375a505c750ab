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

from collections import Counter
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
    ``gone`` are those of them that take from it no longer. ``target`` is what this one scales.
    ``unheard`` are members that run, but have not said what they hold. ``orphaned_gpus`` are those
    that pods of this planner's target hold although the target is not there; None where it is.
    ``version`` is the resourceVersion that a reservation depends on.
    """

    name: str
    gpus: int
    me: Member
    others: tuple[Member, ...] = ()
    target: str | None = None
    gone: frozenset[str] = frozenset()
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

    def sharing(self) -> tuple[Member, ...]:
        """Return all that share it, with one claim for a deployment that several run for.

        Until a planner has said that it left a deployment, or while two want one, it would count
        twice, and somebody would shrink for it. What may be held at most, ``room``, counts both.
        """
        listed, claimed = [self.me], {self.target}
        for one in sorted(self.others, key=lambda other: -other.reserved_gpus):
            target = one.claim.target if one.claim and one.name not in self.gone else None
            listed.append(replace(one, claim=None) if target and target in claimed else one)
            claimed.add(target)
        return tuple(listed)

    def scaling(self, target: str, held_gpus: int) -> "BudgetSeen":
        """Return the budget as it is for a planner that scales this deployment, and holds so much.

        What it has reserved for another one stays reserved, for a stranger with a name that no
        planner can have; and it does not grow before it has said so. Of what others left of
        either deployment only the rest stays theirs.
        """
        claim = self.me.claim
        told = {claim.target: claim.reserved_gpus} if claim else {}
        counted = {**told, target: held_gpus}
        others = tuple(_less(one, counted) if one.name in self.gone else one for one in self.others)
        seen = replace(self, target=target, others=others)
        if claim is None or claim.target in (None, target) or not claim.reserved_gpus:
            return seen
        name = f"{self.me.name}/{claim.target}"
        rest = sum(one.reserved_gpus for one in others if one.name == name)
        left = Claim(reserved_gpus=claim.reserved_gpus + rest, fixed=True, target=claim.target)
        former = _less(Member(name=name, claim=left), self._claimed())
        return replace(
            seen,
            me=replace(self.me, claim=None),
            others=(*(one for one in others if one.name != name), former),
            gone=self.gone | {name},
            unheard=(*self.unheard, name),
        )

    def _claimed(self) -> Counter[str | None]:
        """GPUs that others which run claim, by deployment."""
        claimed: Counter[str | None] = Counter()
        for one in self.others:
            if one.claim and one.name not in self.gone:
                claimed[one.claim.target] += one.reserved_gpus
        return claimed


def _less(one: Member, counted: Mapping[str | None, int]) -> Member:
    """Return a planner that is gone without what another claims of its deployment."""
    if one.claim is None or one.claim.target is None or one.claim.target not in counted:
        return one
    rest = one.claim.reserved_gpus - counted[one.claim.target]
    return replace(one, claim=replace(one.claim, reserved_gpus=rest) if rest > 0 else None)


def budget_seen(
    budget: api.GPUBudget, planner: str, running: frozenset[str], left: Mapping[str, int]
) -> BudgetSeen | Trouble:
    """Return a budget as ``planner`` sees it.

    ``running`` are the planners that take from it; ``left`` are the GPUs that the pods of planners
    which do so no longer still hold, by planner. What a deployment holds counts once: first for
    others that run and have claimed it, and the rest for one of those that are gone. What
    ``planner`` holds of it, ``scaling`` says.
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
    counted: Counter[str | None] = Counter()
    for one in status.holdings:
        if one.planner in running and one.planner != planner:
            counted[one.target] += one.reserved_gpus
    for gone, gpus in left.items():
        claim = Claim(reserved_gpus=gpus, fixed=True, target=told.get(gone))
        known = members.get(gone, Member(name=gone))
        rest = _less(replace(known, claim=claim), counted).reserved_gpus
        # None now may be some later: a claim comes before the replicas that it is for.
        claim = replace(claim, reserved_gpus=rest)
        members[gone] = replace(known, claim=claim if gpus else None)
        counted[claim.target] += rest
    others = tuple(one for one in members.values() if one.name != planner)
    return BudgetSeen(
        name=name,
        gpus=spec.gpus,
        me=members[planner],
        others=others,
        gone=frozenset(left),
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
