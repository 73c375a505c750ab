"""What the user asked for, with every default applied."""

from collections.abc import Mapping
from dataclasses import dataclass

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner import Bounds, SLAPlannerSpec
from dgdr_perf.sizing import Percentile, Targets

SCALED_ROLES = (Role.PREFILL, Role.DECODE)


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
    """Targets and limits of one SLAPlanner."""

    targets: Targets
    limits: Mapping[Role, Limits]
    interval_s: float
    stabilization_s: float
    max_step_up: int | None = None
    max_step_down: int = 1
    shadow: bool = False
    suspended: bool = False

    @classmethod
    def of(cls, spec: SLAPlannerSpec) -> "Policy":
        """Read a spec."""
        return cls(
            targets=Targets(
                ttft_ms=spec.sla.ttft_ms,
                itl_ms=spec.sla.itl_ms,
                percentile=Percentile(spec.percentile),
            ),
            limits={
                Role.PREFILL: _limits(spec.roles.prefill),
                Role.DECODE: _limits(spec.roles.decode),
            },
            interval_s=spec.interval_s,
            stabilization_s=spec.stabilization_s,
            max_step_up=spec.max_step_up,
            max_step_down=spec.max_step_down,
            shadow=spec.is_shadow,
            suspended=spec.is_suspended,
        )


def _limits(bounds: Bounds) -> Limits:
    return Limits(fewest=bounds.floor, most=bounds.max)
