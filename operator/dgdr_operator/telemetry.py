"""What the operator shows of its work: ``dgdr_operator_*``.

Objects are counted as the watches tell of them, so a count costs no pass and no question. Names of
objects are labels only where somebody has to look at one: graphs that are not ready, Jobs with a
deadline, the last requests that failed.
"""

import heapq
import time
from collections import Counter as Count
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dgdr_api.models.dgd_v1beta1 import DgdState
from dgdr_api.models.dgdr_v1beta1 import Phase
from dgdr_kube.kinds import DGD, DGDR, JOB, Kind
from dgdr_kube.pass_record import Result
from dgdr_kube.ports import Key
from dgdr_kube.store import key_of
from dgdr_operator.core import routing
from dgdr_operator.core.census import (
    GraphCounted,
    RequestCounted,
    Use,
    deadline_of,
    graph_counted,
    request_counted,
)
from dgdr_operator.core.upgrades import Verdict

Seen = dict[str, Any] | None

# From a request that waits for nothing to a model that is measured for a day.
PHASE_BUCKETS_S = (1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400)
MOST_FAILED_NAMED = 50
"""Failed requests stay for ever; the newest of them have a name."""


@dataclass(eq=False)
class _Census(Collector):
    """What there is of requests, graphs and Jobs."""

    monotonic: Callable[[], float]
    requests: dict[Key, RequestCounted] = field(default_factory=dict)
    graphs: dict[Key, GraphCounted] = field(default_factory=dict)
    deadlines_s: dict[Key, float] = field(default_factory=dict)
    _gpus: Count[Use] = field(default_factory=Count)
    _gpu_s: dict[Use, float] = field(default_factory=lambda: dict.fromkeys(Use, 0.0))
    _counted_s: float | None = None

    def count_graph(self, key: Key, graph: GraphCounted | None) -> None:
        """Take over a graph as it is now; None: it is gone."""
        self.count_gpu_seconds()
        if (before := self.graphs.pop(key, None)) is not None:
            self._gpus[before.use] -= before.gpus
        if graph is not None:
            self.graphs[key] = graph
            self._gpus[graph.use] += graph.gpus

    def count_gpu_seconds(self) -> None:
        """Count up to now what was held since the last change."""
        now_s = self.monotonic()
        for use in Use:
            self._gpu_s[use] += self._gpus[use] * (now_s - (self._counted_s or now_s))
        self._counted_s = now_s

    def collect(self) -> Iterable[Metric]:
        yield from self._of_requests()
        yield from self._of_graphs()
        yield from self._of_gpus()

    def _of_requests(self) -> Iterable[Metric]:
        by_phase = Count(request.phase for request in self.requests.values())
        yield _family(
            GaugeMetricFamily, "requests", "Requests by phase", ("phase",),
            (((phase.value,), by_phase[phase]) for phase in Phase),
        )  # fmt: skip
        failed = {k: r.failed_s for k, r in self.requests.items() if r.failed_s is not None}
        newest = heapq.nlargest(MOST_FAILED_NAMED, failed.items(), key=lambda item: item[1])
        yield _family(
            GaugeMetricFamily,
            "request_failed_timestamp_seconds",
            f"Since when a request is Failed, the newest {MOST_FAILED_NAMED}",
            ("target_namespace", "request"),
            newest,
        )
        yield _family(
            GaugeMetricFamily,
            "request_profiling_deadline_timestamp_seconds",
            "When the profiling Job of a request has to be over, while it runs",
            ("target_namespace", "request"),
            self.deadlines_s.items(),
        )

    def _of_graphs(self) -> Iterable[Metric]:
        by_state = Count((graph.use, graph.state) for graph in self.graphs.values())
        yield _family(
            GaugeMetricFamily,
            "deployments",
            "Deployments by what they are for and their state",
            ("use", "state"),
            (((u.value, s.value), by_state[u, s]) for u in Use for s in DgdState),
        )
        serving = {k: graph for k, graph in self.graphs.items() if graph.use is Use.SERVING}
        yield _family(
            GaugeMetricFamily,
            "deployment_unready_since_timestamp_seconds",
            "Since when a deployment that is no candidate is not ready; absent for the others",
            ("target_namespace", "deployment"),
            ((key, g.unready_s) for key, g in serving.items() if g.unready_s is not None),
        )
        by_reason = Count(graph.behind for graph in self.graphs.values())
        yield _family(
            GaugeMetricFamily,
            "deployments_behind",
            "Deployments whose pods are not what this operator would make, by reason of UpToDate",
            ("reason",),
            (((v.value,), by_reason[v]) for v in Verdict if v is not Verdict.CURRENT),
        )

    def _of_gpus(self) -> Iterable[Metric]:
        self.count_gpu_seconds()
        yield _family(
            GaugeMetricFamily, "gpus", "GPUs of the pods that are there, by use", ("use",),
            (((use.value,), self._gpus[use]) for use in Use),
        )  # fmt: skip
        yield _family(
            CounterMetricFamily,
            "gpu_seconds",
            "GPU-seconds that pods held since this process leads, by use",
            ("use",),
            (((use.value,), self._gpu_s[use]) for use in Use),
        )


class Telemetry:
    """The metrics of one operator process."""

    def __init__(
        self,
        registry: CollectorRegistry,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._passes = Counter(
            "dgdr_operator_passes",
            "Passes by queue, by what they decided and by how they ended",
            ("queue", "decision", "result"),
            registry=registry,
        )
        self._phases = Histogram(
            "dgdr_operator_request_phase_duration_seconds",
            "Time that a request was in a phase that it has left; only where its begin is known",
            ("phase",),
            buckets=PHASE_BUCKETS_S,
            registry=registry,
        )
        for phase in Phase:  # an increase is not seen of a series that begins with it
            self._phases.labels(phase.value)
        self._census = _Census(monotonic)
        self._began_s: dict[Key, float | None] = {}

    def show(self) -> None:
        """Show counts from now on: who stands by knows of no object."""
        self._registry.register(self._census)

    def passed(self, queue: str, decision: str, result: Result) -> None:
        """Count a pass."""
        self._passes.labels(queue, decision, result).inc()

    def heard(self, kind: Kind, old: Seen, new: Seen) -> None:
        """Count an object as it is now; None: it is not there."""
        if kind == DGDR:
            self._count_request(old, new)
        elif kind == DGD:
            key = key_of(new or old or {})
            self._census.count_graph(key, None if new is None else graph_counted(new))
        elif kind == JOB:
            self._count_job(old, new)

    def _count_request(self, old: Seen, new: Seen) -> None:
        key, known = key_of(new or old or {}), self._census.requests
        before = known.pop(key, None)
        began_s = self._began_s.pop(key, None)
        if new is None:
            return
        now = known[key] = request_counted(new)
        if before is None or old is None or old["metadata"]["uid"] != new["metadata"]["uid"]:
            began_s = now.created_s
        elif before.phase is not now.phase:
            if began_s is not None:
                self._phases.labels(before.phase).observe(max(self._clock() - began_s, 0.0))
            began_s = self._clock()
        self._began_s[key] = began_s

    def _count_job(self, old: Seen, new: Seen) -> None:
        deadline_s = None if new is None else deadline_of(new)
        for key in routing.owning_request(new or old or {}):
            self._census.deadlines_s.pop(key, None)
            if deadline_s is not None:
                self._census.deadlines_s[key] = deadline_s


def _family(
    family: type[GaugeMetricFamily] | type[CounterMetricFamily],
    name: str,
    text: str,
    labels: tuple[str, ...],
    samples: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    metric = family(f"dgdr_operator_{name}", text, labels=labels)
    for values, value in samples:
        metric.add_metric(values, float(value))
    return metric
