"""What a pass has seen: one frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dgdr_api.fingerprint import Fingerprint
from dgdr_api.graph import Role
from dgdr_planner.observe.budget import BudgetSeen
from dgdr_planner.observe.histogram import Histogram
from dgdr_planner.observe.looks import Look
from dgdr_planner.observe.value import NOT_MEASURED, Metric, Trouble, Unknown, Value

# Names of the percentiles that latency targets may speak about, and the share that each stands for.
SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
QUANTILES = tuple(f"{latency}_{name}" for latency in ("ttft", "itl") for name in SHARES)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSeen:
    """Load and latencies of one deployment over the last window, over all its frontends.

    ``rate_per_s`` is the offered load: requests that were started, not those that finished.
    Latencies and lengths are means over requests, not over frontends.

    ``completed_per_s`` are requests that ended, ``requests`` how many of them in the window;
    ``queued`` those that wait for their first token now, ``in_flight`` all that have not ended.
    ``quantiles`` are latencies in ms by the names in QUANTILES:
    ``ttft_p95`` over requests, ``itl_p95`` over gaps between tokens. ``isl_quantiles`` are
    (share, prompt length) pairs, ascending in both, with the mean ``isl``, ``osl_quantiles`` the
    same of answers; None where nobody knows. The histograms say which share of the requests (TTFT),
    or of the gaps between tokens (ITL), was within a target. ``cached_share`` are the tokens of
    prompts whose KV cache was there.
    """

    rate_per_s: Metric
    isl: Metric
    osl: Metric
    ttft_ms: Metric
    itl_ms: Metric
    duration_s: Metric
    window_s: float
    frontends: int = 0
    completed_per_s: Metric = NOT_MEASURED
    queued: Metric = NOT_MEASURED
    in_flight: Metric = NOT_MEASURED
    cached_share: Metric = NOT_MEASURED
    requests: float = 0.0
    quantiles: Mapping[str, Metric] = field(default_factory=dict)
    isl_quantiles: tuple[tuple[float, float], ...] | None = None
    osl_quantiles: tuple[tuple[float, float], ...] | None = None
    ttft_histogram_ms: Histogram | None = None
    itl_histogram_ms: Histogram | None = None

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
            completed_per_s=nothing,
            queued=nothing,
            in_flight=nothing,
            quantiles=dict.fromkeys(QUANTILES, nothing),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSeen:
    """Replicas of one role. ``replicas`` are wanted, pending ones included.

    ``ready`` is None where nobody reports it. ``terminating`` still run, and hold their GPUs,
    although they are wanted no more. ``present`` counts pods in whole replicas, stopping ones
    apart; it is above ``replicas`` until a smaller number has reached the pods. ``writer`` is the
    field manager that wrote ``replicas``, None where nobody knows. ``adapter_version`` is the
    resourceVersion of the component's scaling adapter; None without one. ``engine`` is what the
    deployment says about the engine, None where there is no deployment to ask.
    """

    role: Role
    component: str
    replicas: int
    ready: int | None
    gpus_per_replica: int
    adapter_version: str | None = None
    terminating: int = 0
    present: int = 0
    writer: str | None = None
    engine: Fingerprint | None = None

    @property
    def pending(self) -> int | None:
        """Replicas that are wanted and not ready yet; None where nobody knows."""
        return None if self.ready is None else max(self.replicas - self.ready, 0)

    @property
    def held(self) -> int:
        """Replicas that hold GPUs, or are about to."""
        return max(self.replicas, self.present) + self.terminating


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSeen:
    """The deployment that is scaled. ``frontends`` is None where nobody reports how many run.

    ``uncountable`` says of which component nobody knows the GPUs, and why; they are 0 then.
    ``other_planner`` is a component that scales it too: a planner of NVIDIA's.
    """

    namespace: str
    name: str
    model: str | None
    roles: tuple[RoleSeen, ...]
    frontends: int | None = None
    uncountable: str | None = None
    other_planner: str | None = None

    def role(self, role: Role) -> RoleSeen:
        """Return the component of a role; there is one of each."""
        return next(seen for seen in self.roles if seen.role is role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything that a decision looks at, but for the profile and the spec.

    ``budget`` is the shared GPUBudget, None where the planner has none; ``hold`` is why nothing
    may be changed at all, whatever the load. ``looks`` are the last fast looks, oldest first; when
    ``is_fast`` one of them brought this pass, between two ticks: ``load`` is that of the last
    tick but for what a look counts.
    """

    target: TargetSeen | Trouble
    load: LoadSeen
    budget: BudgetSeen | Trouble | None = None
    hold: Trouble | None = None
    looks: tuple[Look, ...] = ()
    is_fast: bool = False

    def looked(self, looks: tuple[Look, ...]) -> "Observation":
        """Return what is known between two ticks: of the load, how many requests come and wait."""
        last = looks[-1]
        load = replace(
            self.load,
            rate_per_s=Value(last.rate_per_s),
            queued=_counted(last.queued),
            in_flight=_counted(last.in_flight),
        )
        return replace(self, load=load, looks=looks, is_fast=True)


def _counted(count: float | None) -> Metric:
    return Unknown("NotCounted", "the look did not count it") if count is None else Value(count)
