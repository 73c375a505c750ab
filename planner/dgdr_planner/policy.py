"""What the user asked for, with every default applied."""

from collections.abc import Mapping
from dataclasses import dataclass

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner import SLAPlannerSpec
from dgdr_api.models.sla_planner_policy import Bounds, RoleBounds, SizingPolicy, WhenUnreachable
from dgdr_perf.queueing import Dispatch
from dgdr_perf.sizing import Percentile, Targets

SCALED_ROLES = (Role.PREFILL, Role.DECODE, Role.WORKER)
"""Roles that can be scaled, in the order in which they are reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Fewest and most replicas of one role."""

    fewest: int
    most: int

    def clamp(self, replicas: int) -> int:
        """Return the nearest number within the limits."""
        return min(max(replicas, self.fewest), self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Targets and limits of one SLAPlanner.

    ``limits`` holds exactly the roles that are scaled. ``budget_gpus`` is the planner's own
    budget, ``budget_ref`` the name of a shared one; at most one of them is set.
    """

    targets: Targets
    limits: Mapping[Role, Limits]
    interval_s: float
    stabilization_s: float
    stabilization_up_s: float = 0.0
    max_step_up: int | None = None
    max_step_down: int | None = None
    sizing: SizingPolicy = SizingPolicy.QUEUEING
    dispatch: Dispatch = Dispatch.ROUND_ROBIN
    when_unreachable: WhenUnreachable = WhenUnreachable.BEST_EFFORT
    forecast_model: str = "Auto"
    quantile: float = 0.9
    budget_gpus: int | None = None
    budget_ref: str | None = None
    shadow: bool = False
    suspended: bool = False

    @property
    def roles(self) -> tuple[Role, ...]:
        """Roles that are scaled, in the order in which they are reported."""
        return tuple(role for role in SCALED_ROLES if role in self.limits)

    @property
    def is_budgeted(self) -> bool:
        """Whether GPUs are counted."""
        return self.budget_gpus is not None or self.budget_ref is not None

    @classmethod
    def of(cls, spec: SLAPlannerSpec) -> "Policy":
        """Read a spec."""
        return cls(
            targets=Targets(
                ttft_ms=spec.sla.ttft_ms,
                itl_ms=spec.sla.itl_ms,
                percentile=Percentile(spec.percentile),
            ),
            limits=_limits_by_role(spec.roles),
            interval_s=spec.interval_s,
            stabilization_s=spec.stabilization_s,
            stabilization_up_s=spec.stabilization_up_s,
            max_step_up=spec.max_step_up,
            max_step_down=spec.max_step_down,
            sizing=spec.sizing_policy,
            dispatch=Dispatch(spec.queue),
            when_unreachable=spec.when_unreachable,
            forecast_model=spec.forecast_model,
            quantile=spec.quantile,
            budget_gpus=spec.budget.gpus if spec.budget else None,
            budget_ref=spec.budget_ref,
            shadow=spec.is_shadow,
            suspended=spec.is_suspended,
        )


def _limits_by_role(roles: RoleBounds) -> dict[Role, Limits]:
    bounds = {Role.PREFILL: roles.prefill, Role.DECODE: roles.decode, Role.WORKER: roles.worker}
    return {role: _limits(given) for role, given in bounds.items() if given is not None}


def _limits(bounds: Bounds) -> Limits:
    return Limits(fewest=bounds.floor, most=bounds.max)
