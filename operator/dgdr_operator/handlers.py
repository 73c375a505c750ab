"""What kopf calls: each handler only marks keys in a queue.

``on.event`` handlers keep no state on the objects, and see additions, changes and deletions, of
parents and children alike. After a start every request, graph and adapter comes by once, so nothing
needs to be remembered.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import kopf

from dgdr_kube import kopf_settings
from dgdr_kube.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    DGD,
    DGDR,
    DGDSA,
    JOB,
    LEASE,
    NODE,
    POD,
    PROFILING_POLICY,
    PVC,
    SLA_PLANNER,
    Kind,
)
from dgdr_kube.manifests import intent_of
from dgdr_kube.ports import Key
from dgdr_kube.served import Mode
from dgdr_kube.workqueue import Backoff, Urgency, WorkQueue
from dgdr_operator.core import news, routing
from dgdr_operator.core.observation import JobState
from dgdr_operator.core.observed_job import job_seen
from dgdr_operator.followed import CHILDREN, collections
from dgdr_operator.passes.waits import NODES, Waits, room_in

PREFIX = "operator.dgdr.dev"
# Somebody else wrote the graph in the same moment: read again soon, a scale is waiting.
ADAPTER_RETRY_S = 0.1
# A rollout of a Deployment is told in half a dozen changes of its status: one pass serves them.
ROLLOUT_S = 0.25
# A first pass makes 16 calls, one after the other: behind a slow API server four passes at once
# made half a graph a second. The client's pace bounds what all of them ask for.
GRAPHS_AT_ONCE = 16
# Each of an adapter's calls waits for its turn behind passes of graphs: with four at once scales
# came 20 s late where 25 objects changed a second.
ADAPTERS_AT_ONCE = 16
_RESULTS = ("dgdr-output-", "profile-")

Json = Mapping[str, Any]
AdaptersOf = Callable[[Key], Iterable[Key]]
CandidatesOf = Callable[[str, str], Iterable[Key]]


def _no_adapters(_: Key) -> Iterable[Key]:
    return ()


def _no_candidates(_namespace: str, _run: str) -> Iterable[Key]:
    return ()


@dataclass(frozen=True)
class Queues:
    """One queue for each kind of pass, and what decides who is marked.

    ``adapters_of`` names the adapters of a graph, whoever made them; ``candidates_of`` those that
    are there of a namespace and a run.
    """

    requests: WorkQueue[Key] = field(default_factory=lambda: WorkQueue(4, "dgdr"))
    graphs: WorkQueue[Key] = field(default_factory=lambda: WorkQueue(GRAPHS_AT_ONCE, "dgd"))
    adapters: WorkQueue[Key] = field(
        default_factory=lambda: WorkQueue(
            ADAPTERS_AT_ONCE, "dgdsa", Backoff(first_s=ADAPTER_RETRY_S)
        )
    )
    adapters_of: AdaptersOf = _no_adapters
    candidates_of: CandidatesOf = _no_candidates
    waits: Waits = field(default_factory=Waits)
    rollout_s: float = ROLLOUT_S
    _heard: dict[tuple[str, Kind, Key], int] = field(default_factory=dict)

    def all(self) -> tuple[WorkQueue[Key], ...]:
        """Return every queue."""
        return (self.requests, self.graphs, self.adapters)

    def retry_failed(self) -> None:
        """Run now what waits after a failure."""
        for queue in self.all():
            queue.retry_failed()

    def release(self) -> None:
        """Let the passes start."""
        for queue in self.all():
            queue.release()

    def has_heard(self, reader: str, heard: "Heard") -> bool:
        """Whether an object was told of before."""
        return (reader, heard.kind, heard.key) in self._heard

    def is_news(self, reader: str, heard: "Heard", read: object) -> bool:
        """Whether what somebody reads of an object differs from what was heard of it last."""
        known = (reader, heard.kind, heard.key)
        before = self._heard.pop(known, None)
        if heard.gone:
            return True
        self._heard[known] = now = hash(repr(read))
        return before != now


@dataclass(frozen=True, slots=True)
class Heard:
    """An object as a watch told of it: gone, or there before this process (``first``)."""

    kind: Kind
    body: Json
    gone: bool = False
    first: bool = False

    @property
    def key(self) -> Key:
        """The object's own key."""
        (key,) = routing.itself(self.body)
        return key

    @property
    def urgency(self) -> Urgency:
        """How urgent is what follows from it."""
        return Urgency.FIRST if self.first else Urgency.NOTICED

    def mark(self, queue: WorkQueue[Key], keys: Iterable[Key], *, after_s: float = 0.0) -> None:
        """Mark keys in a queue because of it."""
        for key in keys:
            queue.notice(key, self.urgency, after_s=after_s)


Handle = Callable[[Heard], None]


def register(registry: kopf.OperatorRegistry, queues: Queues, mode: Mode = Mode.STANDALONE) -> None:
    """Register all handlers; the arguments are the process's own, so that tests have theirs."""
    kopf.on.login(registry=registry)(kopf_settings.login)
    for kind, handle in handlers(queues, mode).items():
        _on(registry, kind, handle)


def handlers(queues: Queues, mode: Mode = Mode.STANDALONE) -> dict[Kind, Handle]:
    """Return what is done about an object of each kind that is followed: keys are marked."""
    found = _handlers(queues)
    if mode is Mode.BESIDE:  # NVIDIA's operator reconciles graphs and adapters
        found[DGD] = lambda heard: _graph_of_request(queues, heard)
        found[POD] = lambda heard: _profiling_pod(queues, heard)
    return {one.kind: found[one.kind] for one in collections(mode)}


def _handlers(queues: Queues) -> dict[Kind, Handle]:
    found: dict[Kind, Handle] = {
        kind: lambda heard: _child(queues, heard) for kind in CHILDREN if kind != DEPLOYMENT
    }
    for kind in (PVC, PROFILING_POLICY):
        found[kind] = lambda heard: _waited_for(queues, heard)
    return found | {
        DGDR: lambda heard: _own(queues, queues.requests, heard),
        JOB: lambda heard: _job(queues, heard),
        CONFIG_MAP: lambda heard: _config_map(queues, heard),
        DGD: lambda heard: _dgd(queues, heard),
        DGDSA: lambda heard: _adapter(queues, heard),
        DEPLOYMENT: lambda heard: _deployment(queues, heard),
        POD: lambda heard: _pod(queues, heard),
        SLA_PLANNER: lambda heard: _planner(queues, heard),
        NODE: lambda heard: heard.mark(queues.requests, queues.waits.woken_by(NODES)),
        LEASE: lambda _: None,  # each pass looks at it, and most of its changes are renewals
    }


def _on(registry: kopf.OperatorRegistry, kind: Kind, handle: Handle) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=kind.plural)
    async def on_event(body: kopf.Body, type: str | None, **_: Any) -> None:  # noqa: A002
        handle(Heard(kind, body, gone=type == "DELETED", first=type is None))


def _own(
    queues: Queues,
    queue: WorkQueue[Key],
    heard: Heard,
    read: Callable[[Json], object] = news.of_itself,
) -> None:
    """Mark an object for its own pass: first of all when somebody wants something else of it."""
    is_known = queues.has_heard("itself", heard)
    is_wanted = queues.is_news("intent", heard, intent_of(heard.body))
    if queues.is_news("itself", heard, read(heard.body)):
        if is_known and is_wanted:
            queue.add(heard.key)
        else:
            heard.mark(queue, (heard.key,))


def _of_request(queues: Queues, heard: Heard) -> None:
    heard.mark(queues.requests, routing.owning_request(heard.body))


def _job(queues: Queues, heard: Heard) -> None:
    _of_request(queues, heard)
    if heard.gone or job_seen(heard.body).state is not JobState.RUNNING:
        _room(queues, heard)


def _room(queues: Queues, heard: Heard) -> None:
    """Mark the requests that a quota of this namespace has refused something."""
    heard.mark(queues.requests, queues.waits.woken_by(room_in(heard.key.namespace)))


def _config_map(queues: Queues, heard: Heard) -> None:
    """Mark for requests and results; curves decide nothing."""
    if heard.body["metadata"]["name"].startswith(_RESULTS):
        _of_request(queues, heard)


def _dgd(queues: Queues, heard: Heard) -> None:
    _own(queues, queues.graphs, heard)
    if queues.is_news("adapters", heard, news.of_graph_for_adapters(heard.body)):
        heard.mark(queues.adapters, queues.adapters_of(heard.key))
    _graph_of_request(queues, heard)
    if heard.gone:
        for namespace, run in routing.run(heard.body):  # others of it may wait for its GPUs
            heard.mark(queues.graphs, queues.candidates_of(namespace, run))


def _graph_of_request(queues: Queues, heard: Heard) -> None:
    """Mark the request that a graph was made for, and those that wait for its room."""
    if queues.is_news("request", heard, news.of_graph_for_request(heard.body)):
        _of_request(queues, heard)
    if heard.gone:
        _room(queues, heard)


def _adapter(queues: Queues, heard: Heard) -> None:
    _own(queues, queues.adapters, heard, news.of_adapter)
    if heard.gone:  # the graph may still ask for it, and another one have its component now
        for graph in routing.graph_of_adapter(heard.body):
            heard.mark(queues.graphs, [graph])
            heard.mark(queues.adapters, queues.adapters_of(graph))


def _deployment(queues: Queues, heard: Heard) -> None:
    """Mark the graph, and its adapters, which report the pods."""
    after_s = 0.0 if heard.gone or heard.first else queues.rollout_s
    if queues.is_news("graph", heard, news.of_deployment_for_graph(heard.body)):
        heard.mark(queues.graphs, routing.graph(heard.body), after_s=after_s)
    if queues.is_news("adapters", heard, news.of_deployment_for_adapters(heard.body)):
        for graph in routing.graph(heard.body):
            heard.mark(queues.adapters, queues.adapters_of(graph), after_s=after_s)


def _child(queues: Queues, heard: Heard) -> None:
    if queues.is_news("graph", heard, news.of_child(heard.body)):
        heard.mark(queues.graphs, routing.graph(heard.body))


def _pod(queues: Queues, heard: Heard) -> None:
    """Mark the graph of a pod that does not run, and the request whose profiler it is."""
    is_known, troubles = queues.has_heard("graph", heard), news.of_pod_for_graph(heard.body)
    if queues.is_news("graph", heard, troubles) and (is_known or troubles):
        heard.mark(queues.graphs, routing.graph(heard.body))
    _profiling_pod(queues, heard)


def _profiling_pod(queues: Queues, heard: Heard) -> None:
    heard.mark(queues.requests, routing.profiled_request(heard.body))


def _planner(queues: Queues, heard: Heard) -> None:
    if queues.is_news("request", heard, news.of_itself(heard.body)):
        _of_request(queues, heard)


def _waited_for(queues: Queues, heard: Heard) -> None:
    heard.mark(queues.requests, queues.waits.woken_by((heard.kind, *heard.key)))
