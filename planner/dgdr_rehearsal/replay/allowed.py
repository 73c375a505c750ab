"""What a spec allows, for every controller alike: bounds of each role, and GPUs of them all."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dgdr_api.graph import Role
from dgdr_perf.simulator.fleet import Counts
from dgdr_planner.limit.budget import RoleDemand, plan_own, unlimited
from dgdr_planner.policy import Limits, Policy
from dgdr_rehearsal.replay.controllers import Controller, Replicas
from dgdr_rehearsal.replay.window import WindowSeen

NONE_YET = Counts(ready=0, pending=0, terminating=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """``gpus`` are those of one replica; nobody counts them where ``budget_gpus`` is None."""

    limits: Mapping[Role, Limits]
    gpus: Mapping[Role, int]
    budget_gpus: int | None = None

    @classmethod
    def by(cls, policy: Policy, gpus: Mapping[Role, int]) -> "Allowed":
        """Return what a policy allows; a budget that is shared with others does not count here."""
        return cls(limits=policy.limits, gpus=gpus, budget_gpus=policy.budget_gpus)

    @property
    def most(self) -> Replicas:
        """The most replicas of each role."""
        return {role: limits.most for role, limits in self.limits.items()}

    def nearest(self, need: Replicas) -> Replicas:
        """Return what comes nearest to a need when nothing is there yet."""
        return self.next(need, dict.fromkeys(self.limits, NONE_YET))

    def next(self, need: Replicas, there: Mapping[Role, Counts]) -> Replicas:
        """Return the replicas that may be asked for now.

        As for our planner a pod that stops holds its GPUs until it is gone.
        """
        demands = tuple(self._demand(role, need, there[role]) for role in self.limits)
        if self.budget_gpus is None:
            return unlimited(demands).replicas
        return plan_own(demands, self.budget_gpus).replicas

    def _demand(self, role: Role, need: Replicas, there: Counts) -> RoleDemand:
        asked = self.limits[role].clamp(need.get(role, there.replicas))
        return RoleDemand(
            role=role,
            gpus_each=self.gpus[role],
            replicas=there.replicas,
            held=there.replicas + there.terminating,
            fewest=self.limits[role].fewest,
            asked=asked,
            need=float(asked),
            rate_per_s=1.0,
        )


@dataclass(frozen=True, slots=True)
class Within:
    """Another controller, which gets what is allowed."""

    controller: Controller
    allowed: Allowed

    def __call__(self, seen: WindowSeen) -> Replicas:
        """Return what it asks for, as far as it may."""
        return self.allowed.next(self.controller(seen), seen.roles)


def with_fewest(policy: Policy, fewest: Replicas) -> Policy:
    """Return the policy with other fewest replicas."""
    limits = {
        role: replace(one, fewest=fewest.get(role, one.fewest))
        for role, one in policy.limits.items()
    }
    return replace(policy, limits=limits)
