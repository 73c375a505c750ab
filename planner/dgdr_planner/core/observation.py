"""What a pass has seen: one frozen value, and the three things that a metric can be.

*Value*: fresh samples say a number. *Idle*: fresh samples say that nothing happened. *Unknown*:
nobody knows, and the cause says why. Unknown is never read as zero.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from dgdr_api.graph import Role


@dataclass(frozen=True, slots=True)
class Value:
    """Fresh samples say this number; the unit is in the name of the field that holds it."""

    number: float


@dataclass(frozen=True, slots=True)
class Idle:
    """Fresh samples say that nothing happened."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows. ``reason`` is one CamelCase word, ``cause`` a sentence for users."""

    reason: str
    cause: str


Metric = Value | Idle | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSeen:
    """Load and latencies of one deployment over the last window, over all its frontends.

    ``rate_per_s`` is the offered load: requests that were started, not those that finished.
    Latencies and lengths are means over requests, not over frontends.
    """

    rate_per_s: Metric
    isl: Metric
    osl: Metric
    ttft_ms: Metric
    itl_ms: Metric
    duration_s: Metric
    window_s: float
    frontends: int = 0

    @classmethod
    def unknown(cls, reason: str, cause: str, window_s: float) -> "LoadSeen":
        """Return a load of which nothing is known."""
        nothing = Unknown(reason, cause)
        return cls(
            rate_per_s=nothing,
            isl=nothing,
            osl=nothing,
            ttft_ms=nothing,
            itl_ms=nothing,
            duration_s=nothing,
            window_s=window_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSeen:
    """Replicas of one role. ``replicas`` are wanted, pending ones included.

    ``adapter_version`` is the resourceVersion of the component's scaling adapter; None without
    one.
    """

    role: Role
    component: str
    replicas: int
    ready: int
    gpus_per_replica: int
    adapter_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSeen:
    """The deployment that is scaled. ``frontends`` is None where nobody reports how many run."""

    namespace: str
    name: str
    model: str | None
    roles: tuple[RoleSeen, ...]
    frontends: int | None = None

    def role(self, role: Role) -> RoleSeen:
        """Return the component of a role; there is one of each."""
        return next(seen for seen in self.roles if seen.role is role)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something that a decision needs cannot be used."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything that a decision looks at, but for the profile and the spec."""

    target: TargetSeen | Trouble
    load: LoadSeen


def number(metric: Metric) -> float | None:
    """Return the number of a value; None when idle or unknown."""
    return metric.number if isinstance(metric, Value) else None


def first_unknown(metrics: Iterable[Metric]) -> Unknown | None:
    """Return the first of the metrics that is not known."""
    return next((metric for metric in metrics if isinstance(metric, Unknown)), None)
