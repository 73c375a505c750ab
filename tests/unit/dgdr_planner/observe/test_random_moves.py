"""Planners that turn to any deployment, swap, go and come back, killed between two writes."""

import random

from dgdr_api.graph import Role
from dgdr_api.models.gpu_budget import GPUBudget
from dgdr_planner.limit.budget import RoleDemand, plan_shared, standing_claim
from dgdr_planner.observe.budget import BudgetSeen, budget_seen
from dgdr_planner.tell.budget import status_with
from support.planner_status import gpu_budget
from support.planning import at


class Moving:
    """As many planners as deployments, each of one role whose pods follow at once."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.names = "pqrs"[: self.dice.randint(2, 4)]
        self.deployments = "ABCD"[: len(self.names)]
        self.held = {one: self.dice.randint(1, 8) for one in self.deployments}
        self.need = dict(self.held)
        self.gpus = sum(self.held.values()) + self.dice.choice((0, 0, 3, 8))
        self.targets = dict(zip(self.names, self.deployments, strict=True))
        self.running = set(self.names)
        spec = {"gpus": self.gpus, "members": [{"planner": one} for one in self.names]}
        self.budget = GPUBudget.parse(gpu_budget(self.gpus) | {"spec": spec, "status": {}})
        for name in self.names:
            self.turn(name)

    def move(self) -> None:
        dice, chance = self.dice, self.dice.random()
        one, two = dice.sample(self.names, 2)
        if chance < 0.15:
            self.targets[one] = dice.choice(self.deployments)
        elif chance < 0.2:
            self.targets[one], self.targets[two] = self.targets[two], self.targets[one]
        elif chance < 0.25 and (one not in self.running or len(self.running) > 1):
            self.running ^= {one}

    def seen(self, name: str) -> BudgetSeen:
        holdings = self.budget.status.holdings
        left = {
            one.planner: self.held[one.target or ""]
            for one in holdings
            if one.planner not in self.running
        }
        seen = budget_seen(self.budget, name, frozenset(self.running), left)
        assert isinstance(seen, BudgetSeen)
        return seen.scaling(self.targets[name], self.held[self.targets[name]])

    def turn(self, name: str) -> None:
        target, seen = self.targets[name], self.seen(name)
        held = self.held[target]
        claim, replicas = standing_claim(held, 1), held
        if name == min(one for one in self.running if self.targets[one] == target):
            demand = RoleDemand(
                role=Role.DECODE,
                gpus_each=1,
                replicas=held,
                held=held,
                fewest=1,
                asked=self.need[target],
                need=float(self.need[target]),
                rate_per_s=10.0,
            )
            plan = plan_shared((demand,), seen)
            claim, replicas = plan.claim or claim, plan.replicas[Role.DECODE]
        status = status_with(self.budget, seen, claim, target, at(0))
        self.budget = self.budget.model_copy(update={"status": status})
        if self.dice.random() > 0.1:
            self.held[target] = replicas


def test_moves_alone_change_no_replicas() -> None:
    for seed in range(100):
        world = Moving(seed)
        for _ in range(60):
            world.move()
            world.turn(world.dice.choice(sorted(world.running)))
            assert world.held == world.need, seed


def test_moves_under_changing_loads_never_exceed_the_budget() -> None:
    for seed in range(100):
        world = Moving(seed)
        for _ in range(60):
            world.move()
            world.need[world.dice.choice(world.deployments)] = world.dice.randint(1, 12)
            world.turn(world.dice.choice(sorted(world.running)))
            assert sum(world.held.values()) <= world.gpus, seed
