"""Planners that share GPUs, pods that lag behind, and kills between any two writes.

A store in memory stands for the API server: a budget with a version, and for each role a number,
pods that follow it later, and pods that stop for a while. A planner's turn is read, decide, write
the claim, write the replicas; it may end after any of them. After each write the world is checked.

Fate may strike a planner at any moment, in the midst of its turn too: it breaks, is suspended,
turned into a shadow, or deleted, with its deployment or without, and releases nothing. At the end
the loads stand still, and whoever decides must have what is free.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from dgdr_api.graph import Role
from dgdr_planner.limit.budget import GpuPlan, RoleDemand, plan_own, plan_shared, standing_claim
from dgdr_planner.observe.budget import BudgetSeen, Claim, Member


class Fate(StrEnum):
    """What became of a planner."""

    DECIDES = "decides"
    BROKEN = "broken"
    """It says what it holds, and can change nothing: a bad profile, pods that are never ready."""
    SUSPENDED = "suspended"
    SHADOW = "shadow"
    """It takes from the budget no longer; its pods are left as they are."""
    GONE = "gone"
    """Deleted; its deployment serves on."""
    DELETED = "deleted"
    """Deleted with its deployment; pods go when they go."""


TAKING = (Fate.DECIDES, Fate.BROKEN, Fate.SUSPENDED)
COMES_BACK = (Fate.BROKEN, Fate.SUSPENDED, Fate.SHADOW)
# Rounds of a world without change until what is free must have been given.
QUIET = 60


@dataclass
class Workers:
    """One role: the number that is wanted, pods that run or start, pods that stop."""

    role: Role
    gpus_each: int
    fewest: int
    most: int
    replicas: int
    present: int
    stopping: int = 0
    need: float = 1.0

    @property
    def held(self) -> int:
        return max(self.replicas, self.present) + self.stopping

    @property
    def pods(self) -> int:
        """Pods that are there, as whoever lists them counts."""
        return self.present + self.stopping

    @property
    def asked(self) -> int:
        return min(max(-int(-self.need // 1), self.fewest), self.most)

    def step(self, dice: random.Random) -> None:
        """Let the operator and the kubelet do a part of their work."""
        if self.present < self.replicas and dice.random() < 0.5:
            self.present = self.replicas
        if self.present > self.replicas and dice.random() < 0.5:
            self.stopping += self.present - self.replicas
            self.present = self.replicas
        if self.stopping and dice.random() < 0.4:
            self.stopping -= dice.randint(1, self.stopping)


@dataclass
class Planner:
    """One deployment and what is known of its load.

    A ``blind`` one has no metrics; a ``careless`` one takes a GPU for free before its pod is gone.
    """

    name: str
    workers: list[Workers]
    priority: int
    min_gpus: int
    rate_per_s: float = 1.0
    blind: bool = False
    careless: bool = False
    fate: Fate = Fate.DECIDES

    @property
    def holds_still(self) -> bool:
        """Whether it can change nothing now."""
        return self.blind or self.fate is not Fate.DECIDES

    @property
    def pod_gpus(self) -> int:
        return sum(one.pods * one.gpus_each for one in self.workers)

    @property
    def guaranteed_gpus(self) -> int:
        return max(self.min_gpus, self.floor_gpus)

    @property
    def used_gpus(self) -> int:
        return sum(one.held * one.gpus_each for one in self.workers)

    @property
    def wanted_gpus(self) -> int:
        return sum(one.replicas * one.gpus_each for one in self.workers)

    @property
    def floor_gpus(self) -> int:
        return sum(one.fewest * one.gpus_each for one in self.workers)

    def demands(self) -> tuple[RoleDemand, ...]:
        return tuple(
            RoleDemand(
                role=one.role,
                gpus_each=one.gpus_each,
                replicas=one.replicas,
                held=one.replicas if self.careless else one.held,
                fewest=one.fewest,
                asked=one.asked,
                need=one.need,
                rate_per_s=self.rate_per_s,
            )
            for one in self.workers
        )


@dataclass
class Tally:
    """What was seen: decisions, kills, lost races, and what must never be."""

    decisions: int = 0
    kills: int = 0
    conflicts: int = 0
    grown: int = 0
    struck: int = 0
    over_budget: int = 0
    below_guarantee: int = 0
    below_fewest: int = 0
    starved: int = 0

    def add(self, other: "Tally") -> None:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class World:
    """Several planners on one budget.

    Mistakes, for tests that they are caught: ``pods_alone`` forgets numbers without pods of who is
    gone; in a ``mute`` one the last planner never says what it holds.
    """

    dice: random.Random
    gpus: int
    planners: list[Planner]
    claims: dict[str, Claim] = field(default_factory=dict)
    version: int = 0
    fateful: float = 0.03
    pods_alone: bool = False
    mute: bool = False
    tally: Tally = field(default_factory=Tally)

    @classmethod
    def of(cls, dice: random.Random) -> "World":
        """Make planners with their fewest replicas, and GPUs that hold their guarantees."""
        planners = [_planner(dice, f"p{index}") for index in range(dice.randint(1, 4))]
        guaranteed = sum(max(one.min_gpus, one.floor_gpus) for one in planners)
        return cls(dice, guaranteed + dice.randint(0, 12), planners)

    def left(self, planner: Planner) -> int:
        """What others count of one that takes from the budget no longer."""
        return planner.pod_gpus if self.pods_alone else planner.used_gpus

    def seen(self, planner: Planner) -> BudgetSeen:
        def member(one: Planner) -> Member:
            claim = self.claims.get(one.name)
            if claim is not None and one.fate not in TAKING:
                claim = Claim(reserved_gpus=self.left(one), fixed=True)
            return Member(name=one.name, priority=one.priority, min_gpus=one.min_gpus, claim=claim)

        others = [one for one in self.planners if one is not planner]
        return BudgetSeen(
            name="team",
            gpus=self.gpus,
            me=member(planner),
            others=tuple(member(one) for one in others),
            unheard=tuple(
                one.name for one in others if one.name not in self.claims and one.fate in TAKING
            ),
            version=str(self.version),
        )

    def write(self, planner: Planner, seen: BudgetSeen, claim: Claim) -> bool:
        """Write a claim, if nobody wrote, or came, since the budget was seen."""
        before = self.claims.get(planner.name)
        if self.mute and planner is self.planners[-1]:
            return False
        if claim == before:
            return True
        if seen.version != str(self.version):
            return False
        grows = before is None or claim.reserved_gpus > before.reserved_gpus
        taking = {one.name for one in self.planners if one.fate in TAKING}
        if grows and not taking <= seen.running:
            return False
        self.claims[planner.name] = claim
        self.version += 1
        for one in self.planners:
            held = self.claims.get(one.name)
            if one.fate in TAKING or held is None:
                continue
            left = replace(held, reserved_gpus=self.left(one), fixed=True)
            self.claims[one.name] = left
            if not left.reserved_gpus:
                self.claims.pop(one.name)
        return True

    def turn(self, planner: Planner) -> Iterator[None]:
        """One pass; it yields before each of its writes, and may be dropped there."""
        seen, demands, blind = self.seen(planner), planner.demands(), planner.holds_still
        self.tally.decisions += 1
        if blind:
            claim: Claim | None = standing_claim(planner.used_gpus, planner.floor_gpus)
            plan = GpuPlan(replicas={one.role: one.replicas for one in planner.workers})
        else:
            plan = plan_shared(demands, seen)
            claim = plan.claim
        yield
        if claim is not None and not self.write(planner, seen, claim):
            self.tally.conflicts += 1
            return
        read = {one.role: one.replicas for one in demands}
        for one in sorted(planner.workers, key=lambda w: w.replicas - plan.replicas[w.role]):
            yield
            if one.replicas != read[one.role]:
                continue
            self.tally.grown += plan.replicas[one.role] > one.replicas
            one.replicas = plan.replicas[one.role]
            self.check()
        if plan.infeasible is None and not blind and not seen.unheard:
            self.check_guarantee(planner, plan, demands)

    def check(self) -> None:
        held = sum(one.used_gpus for one in self.planners)
        wanted = sum(one.wanted_gpus for one in self.planners)
        self.tally.over_budget += max(held, wanted) > self.gpus

    def check_guarantee(
        self, planner: Planner, plan: GpuPlan, demands: tuple[RoleDemand, ...]
    ) -> None:
        """Nobody is sent below its fewest replicas, nor, wanting them, below its guarantee."""
        wanted = sum(one.asked * one.gpus_each for one in demands)
        guaranteed = min(planner.guaranteed_gpus, wanted)
        # What stops for it takes room until it is gone; a replica is given whole or not at all.
        given = plan.claim.reserved_gpus if plan.claim else 0
        each = max(one.gpus_each for one in demands)
        self.tally.below_fewest += any(plan.replicas[one.role] < one.fewest for one in demands)
        self.tally.below_guarantee += (plan.share or 0) < guaranteed
        self.tally.below_guarantee += given <= guaranteed - each

    def run(self, rounds: int) -> Tally:
        """Let planners take turns at once, interleaved at their writes, some of them killed.

        One planner has one turn at a time, as the work queue has it.
        """
        running: dict[str, Iterator[None]] = {}
        for _ in range(rounds):
            self.drift()
            if self.dice.random() < self.fateful:
                self.strike(running)
            taking = [one for one in self.planners if one.fate in TAKING]
            planner = self.dice.choice(taking)
            running.setdefault(planner.name, self.turn(planner))
            while running and (len(running) > 2 or self.dice.random() < 0.7):
                self.advance(running)
        self.settle()
        return self.tally

    def strike(self, running: dict[str, Iterator[None]]) -> None:
        """Let fate have a planner, or give one back; the first one decides for ever."""
        one = self.dice.choice(self.planners)
        if one is self.planners[0] or one.name not in self.claims:
            return
        if one.fate is Fate.DECIDES:
            one.fate = self.dice.choice([fate for fate in Fate if fate is not Fate.DECIDES])
            if one.fate is Fate.DELETED:
                for workers in one.workers:
                    workers.replicas = 0
        elif one.fate in COMES_BACK:
            one.fate = Fate.DECIDES
        self.tally.struck += 1
        running.pop(one.name, None)

    def settle(self) -> None:
        """Stand still until all is given that can be, and see whether anybody lacks it."""
        for planner in self.planners:
            planner.blind = False
        for _ in range(QUIET):
            for planner in self.planners:
                if planner.fate in TAKING:
                    for _ in self.turn(planner):
                        pass
                for one in planner.workers:
                    one.step(self.dice)
        untouchable = sum(max(one.used_gpus, one.guaranteed_gpus) for one in self.planners)
        free = self.gpus - untouchable
        for planner in self.planners:
            if planner.fate is Fate.DECIDES:
                self.tally.starved += self.is_starved(planner, free)

    def is_starved(self, planner: Planner, free: int) -> bool:
        """Whether a replica that it asks for fits into what is free, or into its guarantee."""
        room = free + max(planner.guaranteed_gpus - planner.used_gpus, 0)
        return any(one.replicas < one.asked and one.gpus_each <= room for one in planner.workers)

    def advance(self, running: dict[str, Iterator[None]]) -> None:
        name = self.dice.choice(list(running))
        if self.dice.random() < 0.1:
            self.tally.kills += 1
            running.pop(name)
        elif next(running[name], StopIteration) is StopIteration:
            running.pop(name)

    def drift(self) -> None:
        """Change loads, sometimes abruptly, and let pods move."""
        for planner in self.planners:
            planner.blind = self.dice.random() < 0.05
            if self.dice.random() < 0.3:
                planner.rate_per_s = self.dice.uniform(0.1, 100.0)
            for one in planner.workers:
                one.step(self.dice)
                if self.dice.random() < 0.3:
                    one.need = self.dice.choice((0.0, self.dice.uniform(0.1, one.most + 2.0)))


def own_budget(dice: random.Random, rounds: int) -> Tally:
    """One planner with a budget of its own."""
    planner = _planner(dice, "own")
    world = World(dice, planner.floor_gpus + dice.randint(0, 8), [planner])
    for _ in range(rounds):
        world.drift()
        world.tally.decisions += 1
        plan = plan_own(planner.demands(), world.gpus)
        for one in planner.workers:
            # Between the writes of two roles is a good moment to be killed.
            if dice.random() < 0.1:
                world.tally.kills += 1
                break
            world.tally.below_fewest += plan.replicas[one.role] < one.fewest
            one.replicas = plan.replicas[one.role]
            world.check()
    return world.tally


def _planner(dice: random.Random, name: str) -> Planner:
    roles = dice.choice(
        [(Role.PREFILL, Role.DECODE), (Role.PREFILL, Role.DECODE), (Role.WORKER,), (Role.DECODE,)]
    )
    workers = [
        Workers(
            role=role,
            gpus_each=dice.choice((1, 1, 2, 4)),
            fewest=1,
            most=dice.randint(2, 10),
            replicas=1,
            present=1,
        )
        for role in roles
    ]
    return Planner(name, workers, dice.choice((0, 0, 1)), dice.choice((0, 0, 2, 6)))
