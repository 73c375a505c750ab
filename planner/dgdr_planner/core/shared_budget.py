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

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Step:
    """One more replica: what it takes, and the SLA loss that it saves per GPU."""

    gpus: int
    gain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one planner holds and would like to hold.

    ``reserved_gpus`` is the most that it may hold after its next writes; ``floor_gpus`` what its
    fewest replicas hold. A ``fixed`` planner cannot change now, so others must not count on its
    GPUs. ``steps`` go from the fewest replicas upwards, in falling order of gain.
    """

    reserved_gpus: int = 0
    floor_gpus: int = 0
    fixed: bool = False
    steps: tuple[Step, ...] = ()


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
    ``unheard`` are members that run, but have not said what they hold. ``version`` is the
    resourceVersion that a reservation depends on.
    """

    name: str
    gpus: int
    me: Member
    others: tuple[Member, ...] = ()
    unheard: tuple[str, ...] = ()
    version: str = ""

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
        (-one.priority, -step.gain, one.name, step.gpus)
        for one in listed
        if one.claim is not None and not one.claim.fixed
        for step in one.claim.steps
    )
    for _, _, name, step_gpus in wishes:
        before = max(used[name], base[name])
        extra = max(used[name] + step_gpus - before, 0)
        if extra <= max(spare, 0):
            used[name] += step_gpus
            spare -= extra
    return {name: max(base[name], used[name]) for name in base}


def _base(member: Member) -> int:
    """GPUs that a member has whatever the others want."""
    fixed = member.claim is not None and member.claim.fixed
    return member.untouchable_gpus if fixed else member.guaranteed_gpus
