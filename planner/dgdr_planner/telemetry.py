"""The planner's own metrics.

What upstream's planner shows has upstream's name (``dynamo_planner_*``), so that its dashboards
work; the rest is ``dgdr_planner_*``. A number that is not known is absent, never an old one.
"""

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from dgdr_api.graph import Role
from dgdr_api.models.base import ConditionStatus
from dgdr_api.models.sla_planner import SLAPlannerStatus
from dgdr_api.names import dynamo_namespace
from dgdr_kube.ports import Key
from dgdr_planner.core.decide import Decision, Plan
from dgdr_planner.core.observation import Observation, TargetSeen, number
from dgdr_planner.core.policy import Policy

# Not ``namespace``: Prometheus gives that name to where the planner itself runs.
LABELS = ("dynamo_namespace", "target_namespace", "planner")

_UPSTREAM = {
    "num_prefill_replicas": "Prefill replicas that are there",
    "num_decode_replicas": "Decode replicas that are there",
    "observed_requests_per_second": "Requests started per second, over all frontends",
    "observed_request_duration_seconds": "Mean duration of requests",
    "observed_input_sequence_tokens": "Mean prompt length",
    "observed_output_sequence_tokens": "Mean answer length",
    "observed_ttft_ms": "Mean time to first token",
    "observed_itl_ms": "Mean time between tokens",
    "predicted_requests_per_second": "Requests per second that are planned for",
    "predicted_input_sequence_tokens": "Prompt length that is planned for",
    "predicted_output_sequence_tokens": "Answer length that is planned for",
    "predicted_num_prefill_replicas": "Prefill replicas that the load needs, before limits",
    "predicted_num_decode_replicas": "Decode replicas that the load needs, before limits",
    "estimated_ttft_ms": "Time to first token expected with the replicas that the load needs",
    "estimated_itl_ms": "Time between tokens expected with the replicas that the load needs",
    "sla_target_ttft_ms": "Target of the time to first token",
    "sla_target_itl_ms": "Target of the time between tokens",
}
Numbers = dict[str, float | None]


@dataclass
class Telemetry:
    """Metrics of all planners of this process."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self._gauges = {
            name: Gauge(f"dynamo_planner_{name}", text, LABELS, registry=self.registry)
            for name, text in _UPSTREAM.items()
        }
        self._conditions = Gauge(
            "dgdr_planner_condition",
            "1 for the status that a condition has",
            (*LABELS, "type", "status"),
            registry=self.registry,
        )
        self._passes = Counter(
            "dgdr_planner_passes_total",
            "Passes by what came of them",
            (*LABELS, "outcome"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "dgdr_planner_pass_duration_seconds",
            "Time from the start of a pass to its last write",
            registry=self.registry,
        )
        self._shown: dict[Key, tuple[str, str, str]] = {}

    def show(
        self,
        key: Key,
        policy: Policy,
        seen: Observation,
        decision: Decision,
        status: SLAPlannerStatus,
    ) -> None:
        """Show what a pass saw and decided."""
        if not isinstance(seen.target, TargetSeen):
            return
        graph = dynamo_namespace(seen.target.namespace, seen.target.name)
        labels = (graph, key.namespace, key.name)
        if self._shown.setdefault(key, labels) != labels:
            self.forget(key)
            self._shown[key] = labels
        numbers = _targets(policy) | _observed(seen) | _predicted(decision)
        for name, gauge in self._gauges.items():
            _set(gauge, labels, numbers.get(name))
        for condition in status.conditions:
            for word in ConditionStatus:
                held = float(condition.status is word)
                self._conditions.labels(*labels, condition.type, word).set(held)

    def count(self, key: Key, outcome: str, seconds: float) -> None:
        """Count a pass."""
        self._seconds.observe(seconds)
        labels = self._shown.get(key)
        if labels is not None:
            self._passes.labels(*labels, outcome).inc()

    def forget(self, key: Key) -> None:
        """Stop showing a planner that is gone."""
        labels = self._shown.pop(key, None)
        if labels is None:
            return
        own = dict(zip(LABELS, labels, strict=True))
        for metric in (*self._gauges.values(), self._conditions, self._passes):
            metric.remove_by_labels(own)


def _set(gauge: Gauge, labels: tuple[str, ...], value: float | None) -> None:
    if value is not None:
        gauge.labels(*labels).set(value)
    else:
        gauge.remove_by_labels(dict(zip(LABELS, labels, strict=True)))


def _targets(policy: Policy) -> Numbers:
    return {
        "sla_target_ttft_ms": policy.targets.ttft_ms,
        "sla_target_itl_ms": policy.targets.itl_ms,
    }


def _observed(seen: Observation) -> Numbers:
    load = seen.load
    numbers: Numbers = {
        "observed_requests_per_second": number(load.rate_per_s),
        "observed_request_duration_seconds": number(load.duration_s),
        "observed_input_sequence_tokens": number(load.isl),
        "observed_output_sequence_tokens": number(load.osl),
        "observed_ttft_ms": number(load.ttft_ms),
        "observed_itl_ms": number(load.itl_ms),
    }
    if isinstance(seen.target, TargetSeen):
        numbers |= {f"num_{role.role}_replicas": role.replicas for role in seen.target.roles}
    return numbers


def _predicted(decision: Decision) -> Numbers:
    plan = decision.outcome
    if not isinstance(plan, Plan):
        return {}
    numbers: Numbers = {
        "predicted_requests_per_second": plan.forecast.rate_per_s,
        "predicted_input_sequence_tokens": plan.forecast.isl,
        "predicted_output_sequence_tokens": plan.forecast.osl,
    }
    for role in plan.roles:
        numbers[f"predicted_num_{role.seen.role}_replicas"] = role.needed
        latency = "ttft" if role.seen.role is Role.PREFILL else "itl"
        numbers[f"estimated_{latency}_ms"] = role.answer.latency_ms if role.answer else None
    return numbers
