"""The metrics that the planner shows: names, texts and labels."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dgdr_planner.tell.metrics import OURS, UPSTREAM

# Not ``namespace``: Prometheus gives that name to where the planner itself runs.
LABELS = ("dynamo_namespace", "target_namespace", "planner")


class Numbers(Collector):
    """A gauge that keeps a number for each set of labels, and nothing else.

    A planner has some fifty; as the library keeps them, each takes nearly a kilobyte.
    """

    def __init__(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        self._about = name, text, labels
        self._held: dict[tuple[str, ...], float] = {}

    def put(self, labels: tuple[str, ...], value: float | None) -> None:
        """Show a number; None takes it away."""
        if value is None:
            self._held.pop(labels, None)
        else:
            self._held[labels] = value

    def forget(self, labels: tuple[str, ...]) -> None:
        """Remove all numbers whose labels begin with these."""
        count = len(labels)
        self._held = {key: held for key, held in self._held.items() if key[:count] != labels}

    def collect(self) -> Iterable[Metric]:
        """Return the numbers as the library shows them."""
        name, text, names = self._about
        family = GaugeMetricFamily(name, text, labels=names)
        for labels, value in self._held.items():
            family.add_metric(labels, value)
        yield family


class PlannerMetrics:
    """All of them in one registry; ``gauges`` are those of a planner's plain numbers by name."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.gauges = {
            name: self._numbers(f"{prefix}_planner_{name}", text)
            for prefix, names in (("dynamo", UPSTREAM), ("dgdr", OURS))
            for name, text in names.items()
        }
        self.gpu_hours = Gauge(
            "dynamo_planner_gpu_hours",
            "GPU-hours that the target held since the planner's start",
            LABELS,
            registry=registry,
        )
        self.latencies = self._numbers(
            "dgdr_planner_observed_latency_ms",
            "Percentiles of TTFT over requests and of ITL over gaps between tokens",
            "latency",
            "quantile",
        )
        self.replicas = self._numbers(
            "dgdr_planner_replicas",
            "Replicas of a role: wanted now, ready, needed by the load, chosen",
            "role",
            "state",
        )
        self.corrections = self._numbers(
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
        self.conditions = self._numbers(
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
        for numbers in (
            *self.gauges.values(),
            self.latencies,
            self.replicas,
            self.corrections,
            self.conditions,
        ):
            numbers.forget(labels)
        own = dict(zip(LABELS, labels, strict=True))
        for metric in (self.gpu_hours, self.judged, self.within, self.passes):
            metric.remove_by_labels(own)

    def _numbers(self, name: str, text: str, *more: str) -> Numbers:
        numbers = Numbers(name, text, (*LABELS, *more))
        self._registry.register(numbers)
        return numbers

    def _counter(self, name: str, text: str, *more: str) -> Counter:
        return Counter(name, text, (*LABELS, *more), registry=self._registry)
