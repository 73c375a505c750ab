"""The metrics that the planner shows: names, texts and labels."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from dgdr_planner.tell.metrics import OURS, UPSTREAM

# Not ``namespace``: Prometheus gives that name to where the planner itself runs.
LABELS = ("dynamo_namespace", "target_namespace", "planner")


class PlannerMetrics:
    """All of them in one registry; ``gauges`` are those of a planner's plain numbers by name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.gauges = {
            name: self._gauge(f"{prefix}_planner_{name}", text)
            for prefix, names in (("dynamo", UPSTREAM), ("dgdr", OURS))
            for name, text in names.items()
        }
        self.gpu_hours = self._gauge(
            "dynamo_planner_gpu_hours", "GPU-hours that the target held since the planner's start"
        )
        self.latencies = self._gauge(
            "dgdr_planner_observed_latency_ms",
            "Percentiles of TTFT over requests and of ITL over gaps between tokens",
            "latency",
            "quantile",
        )
        self.replicas = self._gauge(
            "dgdr_planner_replicas",
            "Replicas of a role: wanted now, ready, needed by the load, chosen",
            "role",
            "state",
        )
        self.corrections = self._gauge(
            "dgdr_planner_correction_ratio",
            "What the need of the curves is multiplied by, because requests were late",
            "role",
        )
        self.judged = self._counter(
            "dgdr_planner_sla_requests", "Requests whose latency is known", "target"
        )
        self.within = self._counter(
            "dgdr_planner_sla_requests_within",
            "Those of them that were within the target",
            "target",
        )
        self.asked = Histogram(
            "dgdr_planner_prometheus_seconds",
            "Time for an answer of Prometheus",
            ("outcome",),
            registry=registry,
        )
        self.conditions = self._gauge(
            "dgdr_planner_condition", "1 for the status that a condition has", "type", "status"
        )
        self.passes = self._counter("dgdr_planner_passes", "Passes by what came of them", "outcome")
        self.seconds = Histogram(
            "dgdr_planner_pass_duration_seconds",
            "Time from the start of a pass to its last write",
            registry=registry,
        )

    def forget(self, labels: tuple[str, ...]) -> None:
        """Remove everything about one planner."""
        own = dict(zip(LABELS, labels, strict=True))
        for metric in (
            *self.gauges.values(),
            self.gpu_hours,
            self.latencies,
            self.replicas,
            self.corrections,
            self.judged,
            self.within,
            self.conditions,
            self.passes,
        ):
            metric.remove_by_labels(own)

    def _gauge(self, name: str, text: str, *more: str) -> Gauge:
        return Gauge(name, text, (*LABELS, *more), registry=self._registry)

    def _counter(self, name: str, text: str, *more: str) -> Counter:
        return Counter(name, text, (*LABELS, *more), registry=self._registry)
