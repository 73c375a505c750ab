"""What both programs show of their work with the API server: ``dgdr_kube_*``.

Names and units are those of controller-runtime and client-go where they have one. Labels are
verbs, kinds, queues and namespaces that are watched: never the name of an object. What a queue, a
watch or a store knows anyway is read when somebody scrapes, and costs a pass nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dgdr_kube.calls import Call
from dgdr_kube.following import Watch
from dgdr_kube.kinds import Kind
from dgdr_kube.ports import Key
from dgdr_kube.store import Store
from dgdr_kube.workqueue import WorkQueue

CALL_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
QUEUE_BUCKETS_S = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)
WORK_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0)


class Leads(Protocol):
    """Who may lead, as far as metrics ask."""

    def left_s(self) -> float:
        """Seconds for which this process leads for sure."""
        ...

    def transitions(self) -> int:
        """How often the Lease has changed hands."""
        ...


@dataclass(frozen=True, slots=True)
class Followed:
    """One collection that is followed; ``scope`` is its namespace, None all of them.

    ``needed``: without it the process is not ready.
    """

    kind: Kind
    selector: str
    scope: str | None
    watch: Watch
    needed: bool = True

    @property
    def labels(self) -> tuple[str, str, str]:
        """Kind, label selector and namespace."""
        return self.kind.kind, self.selector, self.scope or ""


@dataclass(eq=False)
class _Known(Collector):
    """What is read at each scrape."""

    queues: list[WorkQueue[Key]] = field(default_factory=list)
    watches: list[Followed] = field(default_factory=list)
    stores: list[tuple[Kind, Store]] = field(default_factory=list)
    leaders: list[tuple[str, Leads]] = field(default_factory=list)

    def collect(self) -> Iterable[Metric]:
        yield from self._of_queues()
        yield from self._of_watches()
        yield _gauge(
            "cached_objects",
            "Objects that passes look at without asking the API server",
            ("kind", "selector"),
            (((kind.kind, store.label), len(store)) for kind, store in self.stores),
        )
        yield from self._of_leaders()

    def _of_queues(self) -> Iterable[Metric]:
        def each(read: Callable[[WorkQueue[Key]], float]) -> Iterable[tuple[tuple[str], float]]:
            return (((queue.name,), read(queue)) for queue in self.queues)

        label = ("queue",)
        yield _gauge("workqueue_depth", "Keys that wait for a worker", label, each(len))
        yield _gauge(
            "workqueue_oldest_seconds",
            "How long the key waits that waits the longest; 0: none does",
            label,
            each(lambda queue: queue.oldest_s()),
        )
        yield _gauge(
            "workqueue_longest_running_processor_seconds",
            "How long the pass runs that runs the longest; 0: none does",
            label,
            each(lambda queue: queue.longest_pass_s()),
        )
        yield _counter("workqueue_adds", "Keys marked", label, each(lambda queue: queue.adds))
        yield _counter(
            "workqueue_retries",
            "Passes that ended in an error and are tried again",
            label,
            each(lambda queue: queue.retries),
        )

    def _of_watches(self) -> Iterable[Metric]:
        def each(
            read: Callable[[Watch], float],
        ) -> Iterable[tuple[tuple[str, str, str], float]]:
            return ((followed.labels, read(followed.watch)) for followed in self.watches)

        labels = ("kind", "selector", "scope")
        yield _gauge(
            "watch_silent_seconds",
            "Seconds since a list, a change or a failure was heard of a watch",
            labels,
            each(lambda watch: watch.silent_s()),
        )
        yield _gauge(
            "watch_followed",
            "1 where a watch tells what happens now; needed: not ready without it",
            (*labels, "needed"),
            (((*one.labels, str(one.needed).lower()), one.watch.followed) for one in self.watches),
        )
        yield _counter(
            "watch_lists", "Lists that a watch began with", labels, each(lambda watch: watch.lists)
        )
        yield _counter(
            "watch_failures", "Watches that broke", labels, each(lambda watch: watch.failures)
        )
        yield _counter(
            "watch_events", "Changes that were told", labels, each(lambda watch: watch.changes)
        )

    def _of_leaders(self) -> Iterable[Metric]:
        label = ("lease",)
        yield _gauge(
            "leader",
            "1 where this process leads, by this Lease",
            label,
            (((lease,), leader.left_s() > 0) for lease, leader in self.leaders),
        )
        yield _counter(
            "lease_transitions",
            "How often the Lease has changed hands, as the Lease says",
            label,
            (((lease,), leader.transitions()) for lease, leader in self.leaders),
        )


class KubeMetrics:
    """All of them in one registry, with those of the process itself (``process_*``)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "dgdr_kube_client_requests",
            "Calls to the API server by what came back; none: no answer",
            ("verb", "kind", "code"),
            registry=registry,
        )
        self._request_seconds = Histogram(
            "dgdr_kube_client_request_duration_seconds",
            "Time of a call to the API server; of a watch until it is answered",
            ("verb",),
            buckets=CALL_BUCKETS_S,
            registry=registry,
        )
        self._queue_seconds = Histogram(
            "dgdr_kube_workqueue_queue_duration_seconds",
            "Time from when a key is marked until its pass begins",
            ("queue",),
            buckets=QUEUE_BUCKETS_S,
            registry=registry,
        )
        self._work_seconds = Histogram(
            "dgdr_kube_workqueue_work_duration_seconds",
            "Time of a pass",
            ("queue",),
            buckets=WORK_BUCKETS_S,
            registry=registry,
        )
        self._worked: dict[str, Callable[[float], None]] = {}
        self._known = _Known()
        registry.register(self._known)
        ProcessCollector(registry=registry)

    def called(self, call: Call) -> None:
        """Count a call to the API server."""
        self._requests.labels(call.verb, call.kind.kind, call.code).inc()
        self._request_seconds.labels(call.verb).observe(call.seconds)

    def worked(self, queue: str, seconds: float) -> None:
        """Count a pass of a queue that is shown."""
        self._worked[queue](seconds)

    def show_queue(self, queue: WorkQueue[Key]) -> None:
        """Show a work queue."""
        self._known.queues.append(queue)
        queue.waited = self._queue_seconds.labels(queue.name).observe
        self._worked[queue.name] = self._work_seconds.labels(queue.name).observe

    def show_watches(self, watches: Iterable[Followed]) -> None:
        """Show what is followed."""
        self._known.watches += watches

    def show_stores(self, stores: Iterable[tuple[Kind, Store]]) -> None:
        """Show how much is kept."""
        self._known.stores += stores

    def show_leader(self, lease: str, leader: Leads) -> None:
        """Show who leads."""
        self._known.leaders.append((lease, leader))


Samples = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, text: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    family = GaugeMetricFamily(f"dgdr_kube_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, float(value))
    return family


def _counter(name: str, text: str, labels: tuple[str, ...], samples: Samples) -> Metric:
    family = CounterMetricFamily(f"dgdr_kube_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, float(value))
    return family
