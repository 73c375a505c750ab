"""Planners that share GPUs, pods that lag behind, and kills between any two writes.

A store in memory stands for the API server: a budget with a version, and for each role a number,
pods that follow it later, and pods that stop for a while. A planner's turn is read, decide, write
the claim, write the replicas; it may end after any of them. After each write the world is checked.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from dgdr_api.graph import Role
from dgdr_planner.limit.budget import GpuPlan, RoleDemand, plan_own, plan_shared, standing_claim
from dgdr_planner.observe.budget import BudgetSeen, Claim, Member


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
    over_budget: int = 0
    below_guarantee: int = 0
    below_fewest: int = 0

    def add(self, other: "Tally") -> None:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass
class World:
    """Several planners on one budget."""

    dice: random.Random
    gpus: int
    planners: list[Planner]
    claims: dict[str, Claim] = field(default_factory=dict)
    version: int = 0
    tally: Tally = field(default_factory=Tally)

    @classmethod
    def of(cls, dice: random.Random) -> "World":
        """Make planners with their fewest replicas, and GPUs that hold their guarantees."""
        planners = [_planner(dice, f"p{index}") for index in range(dice.randint(1, 4))]
        guaranteed = sum(max(one.min_gpus, one.floor_gpus) for one in planners)
        return cls(dice, guaranteed + dice.randint(0, 12), planners)

    def seen(self, planner: Planner) -> BudgetSeen:
        def member(one: Planner) -> Member:
            claim = self.claims.get(one.name)
            return Member(name=one.name, priority=one.priority, min_gpus=one.min_gpus, claim=claim)

        others = [one for one in self.planners if one is not planner]
        return BudgetSeen(
            name="team",
            gpus=self.gpus,
            me=member(planner),
            others=tuple(member(one) for one in others),
            unheard=tuple(one.name for one in others if one.name not in self.claims),
            version=str(self.version),
        )

    def turn(self, planner: Planner) -> Iterator[None]:
        """One pass; it yields before each of its writes, and may be dropped there."""
        seen, demands, blind = self.seen(planner), planner.demands(), planner.blind
        self.tally.decisions += 1
        if blind:
            claim: Claim | None = standing_claim(planner.used_gpus, planner.floor_gpus)
            plan = GpuPlan(replicas={one.role: one.replicas for one in planner.workers})
        else:
            plan = plan_shared(demands, seen)
            claim = plan.claim
        yield
        if seen.version != str(self.version):
            self.tally.conflicts += 1
            return
        if claim is not None and claim != self.claims.get(planner.name):
            self.claims[planner.name] = claim
            self.version += 1
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
        guaranteed = min(max(planner.min_gpus, planner.floor_gpus), wanted)
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
            planner = self.dice.choice(self.planners)
            running.setdefault(planner.name, self.turn(planner))
            while running and (len(running) > 2 or self.dice.random() < 0.7):
                self.advance(running)
        return self.tally

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
