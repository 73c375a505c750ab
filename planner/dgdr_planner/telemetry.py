"""The planner's own metrics.

What upstream's planner shows has upstream's name (``dynamo_planner_*``), so that its dashboards
work; the rest is ``dgdr_planner_*``. A number that is not known is absent, never an old one.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from dgdr_api.graph import Role
from dgdr_api.models.base import ConditionStatus
from dgdr_api.models.sla_planner_status import SLAPlannerStatus
from dgdr_api.names import dynamo_namespace
from dgdr_kube.ports import Key
from dgdr_planner.core.decide import Decision, Plan, RolePlan
from dgdr_planner.core.forecast import Forecast
from dgdr_planner.core.observation import (
    NOT_MEASURED,
    SHARES,
    LoadSeen,
    Observation,
    TargetSeen,
    number,
)
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
    "engine_prefill_capacity_requests_per_second": "Requests that one prefill replica serves",
    "engine_decode_capacity_requests_per_second": "Requests that one decode replica serves",
}
_OURS = {
    "planned_requests_per_second": "Requests per second at the quantile that is planned for",
    "completed_requests_per_second": "Requests that ended per second, over all frontends",
    "queued_requests": "Requests that wait in the frontends",
    "sla_objective_ratio": "Share of the requests that shall be within the targets",
    "startup_seconds": "Time from asking for a replica to its being ready",
}
# A mean has no share of requests that must be within it; its windows are judged by this one.
MEAN_OBJECTIVE = 0.95
SECONDS_PER_HOUR = 3600.0
Numbers = dict[str, float | None]


@dataclass
class Telemetry:
    """Metrics of all planners of this process."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._gauges = {
            name: self._gauge(f"{prefix}_planner_{name}", text)
            for prefix, names in (("dynamo", _UPSTREAM), ("dgdr", _OURS))
            for name, text in names.items()
        }
        self._gpu_hours = self._gauge(
            "dynamo_planner_gpu_hours", "GPU-hours that the target held since the planner's start"
        )
        self._latencies = self._gauge(
            "dgdr_planner_observed_latency_ms",
            "Percentiles of TTFT over requests and of ITL over gaps between tokens",
            "latency",
            "quantile",
        )
        self._replicas = self._gauge(
            "dgdr_planner_replicas",
            "Replicas of a role: wanted now, ready, needed by the load, chosen",
            "role",
            "state",
        )
        self._corrections = self._gauge(
            "dgdr_planner_correction_ratio",
            "Observed latency over the one that the curves expect, by which a target is divided",
            "role",
        )
        self._judged = self._counter(
            "dgdr_planner_sla_requests", "Requests whose latency is known", "target"
        )
        self._within = self._counter(
            "dgdr_planner_sla_requests_within",
            "Those of them that were within the target",
            "target",
        )
        self._asked = Histogram(
            "dgdr_planner_prometheus_seconds",
            "Time for an answer of Prometheus",
            ("outcome",),
            registry=self.registry,
        )
        self._conditions = self._gauge(
            "dgdr_planner_condition", "1 for the status that a condition has", "type", "status"
        )
        self._passes = self._counter(
            "dgdr_planner_passes", "Passes by what came of them", "outcome"
        )
        self._seconds = Histogram(
            "dgdr_planner_pass_duration_seconds",
            "Time from the start of a pass to its last write",
            registry=self.registry,
        )
        self._shown: dict[Key, tuple[str, str, str]] = {}
        self._judged_at: dict[Key, datetime] = {}
        self._counted_s: dict[Key, float] = {}

    def _gauge(self, name: str, text: str, *more: str) -> Gauge:
        return Gauge(name, text, (*LABELS, *more), registry=self.registry)

    def _counter(self, name: str, text: str, *more: str) -> Counter:
        return Counter(name, text, (*LABELS, *more), registry=self.registry)

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
        numbers["startup_seconds"] = status.startup_seconds
        for name, gauge in self._gauges.items():
            _set(gauge, labels, numbers.get(name))
        for condition in status.conditions:
            for word in ConditionStatus:
                held = float(condition.status is word)
                self._conditions.labels(*labels, condition.type, word).set(held)
        self._show_latencies(labels, seen.load)
        self._show_roles(labels, seen.target, decision)
        self._count_gpu_hours(key, labels, seen.target)
        self._judge(key, labels, decision)

    def answered(self, outcome: str, seconds: float) -> None:
        """Count a question to Prometheus."""
        self._asked.labels(outcome).observe(seconds)

    def _show_latencies(self, labels: tuple[str, ...], load: LoadSeen) -> None:
        for latency in ("ttft", "itl"):
            for name, share in SHARES.items():
                value = number(load.quantiles.get(f"{latency}_{name}", NOT_MEASURED))
                _set(self._latencies, (*labels, latency, f"{share:g}"), value)

    def _show_roles(self, labels: tuple[str, ...], target: TargetSeen, decision: Decision) -> None:
        plan = decision.outcome if isinstance(decision.outcome, Plan) else None
        plans = {role.seen.role: role for role in plan.roles} if plan else {}
        for seen in target.roles:
            own = plans.get(seen.role)
            states = {
                "wanted": seen.replicas,
                "ready": seen.ready,
                "needed": own.needed if own else None,
                "chosen": own.replicas if own else None,
            }
            for state, replicas in states.items():
                _set(self._replicas, (*labels, seen.role, state), replicas)
            ratio = decision.state.ratios.get(seen.role)
            _set(self._corrections, (*labels, seen.role), ratio)

    def _count_gpu_hours(self, key: Key, labels: tuple[str, ...], target: TargetSeen) -> None:
        now_s = self.clock()
        hours = (now_s - self._counted_s.get(key, now_s)) / SECONDS_PER_HOUR
        self._counted_s[key] = now_s
        gpus = sum(seen.held * seen.gpus_per_replica for seen in target.roles)
        self._gpu_hours.labels(*labels).inc(gpus * hours)

    def _judge(self, key: Key, labels: tuple[str, ...], decision: Decision) -> None:
        """Count the newest window's requests once, as those of the status are."""
        for target in ("ttft", "itl"):
            self._judged.labels(*labels, target)
            self._within.labels(*labels, target)
        windows = decision.state.windows
        if not windows or windows[-1].at == self._judged_at.get(key):
            return
        newest = windows[-1]
        # What a process finds when it starts was judged by the one before.
        self._judged_at[key] = newest.at
        for target, met in (("ttft", newest.ttft_met), ("itl", newest.itl_met)):
            if met is not None:
                self._judged.labels(*labels, target).inc(newest.requests)
                self._within.labels(*labels, target).inc(newest.requests * met)

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
        for metric in (
            *self._gauges.values(),
            self._gpu_hours,
            self._latencies,
            self._replicas,
            self._corrections,
            self._judged,
            self._within,
            self._conditions,
            self._passes,
        ):
            metric.remove_by_labels(own)
        self._judged_at.pop(key, None)
        self._counted_s.pop(key, None)


def _set(gauge: Gauge, labels: tuple[str, ...], value: float | None) -> None:
    if value is not None:
        gauge.labels(*labels).set(value)
    else:
        gauge.remove(*labels)


def _targets(policy: Policy) -> Numbers:
    return {
        "sla_target_ttft_ms": policy.targets.ttft_ms,
        "sla_target_itl_ms": policy.targets.itl_ms,
        "sla_objective_ratio": SHARES.get(policy.targets.percentile.value, MEAN_OBJECTIVE),
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
        "completed_requests_per_second": number(load.completed_per_s),
        "queued_requests": number(load.queued),
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
        "planned_requests_per_second": plan.forecast.planned,
    }
    for role in plan.roles:
        numbers |= _of_role(role, plan.forecast)
    return numbers


def _of_role(plan: RolePlan, forecast: Forecast) -> Numbers:
    role, answer = plan.seen.role, plan.answer
    numbers: Numbers = {f"predicted_num_{role}_replicas": plan.needed}
    if plan.need and forecast.planned > 0:
        numbers[f"engine_{role}_capacity_requests_per_second"] = forecast.planned / plan.need
    if answer is not None and role is not Role.DECODE:
        ttft_ms = answer.latency_ms if role is Role.PREFILL else answer.ttft_ms
        numbers["estimated_ttft_ms"] = ttft_ms
    if answer is not None and role is not Role.PREFILL:
        itl_ms = answer.latency_ms if role is Role.DECODE else answer.itl_ms
        numbers["estimated_itl_ms"] = itl_ms
    return numbers
