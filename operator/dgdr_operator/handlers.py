"""What kopf calls: each handler only marks keys in a queue.

``on.event`` handlers keep no state on the objects, and see additions, changes and deletions, of
parents and children alike. After a start every object comes by once, so nothing needs to be
remembered.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import kopf

from dgdr_api.names import Label
from dgdr_kube import kopf_settings
from dgdr_kube.kinds import CONFIG_MAP, DEPLOYMENT, DGD, DGDR, DGDSA, JOB, POD, Kind
from dgdr_kube.manifests import intent_of
from dgdr_kube.ports import Key
from dgdr_kube.workqueue import Backoff, WorkQueue
from dgdr_operator.core import routing

PREFIX = "operator.dgdr.dev"
# The API server sends what carries these labels, and nothing else, of kinds that others use too.
WATCHED_LABELS = {
    JOB.plural: Label.JOB_DGDR.value,
    CONFIG_MAP.plural: Label.DGDR_NAME.value,
    DEPLOYMENT.plural: Label.GRAPH.value,
    POD.plural: Label.GRAPH.value,
}
WATCHED = (DGDR, JOB, CONFIG_MAP, DGD, DGDSA, DEPLOYMENT, POD)
# Somebody else wrote the graph in the same moment: read again soon, a scale is waiting.
ADAPTER_RETRY_S = 0.1
_RESULTS = ("dgdr-output-", "profile-")

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Queues:
    """One queue for each kind of pass.

    Adapters of one graph write the same fields of it, so there is one worker for all of them.
    """

    requests: WorkQueue[Key] = field(default_factory=lambda: WorkQueue(4, "dgdr"))
    graphs: WorkQueue[Key] = field(default_factory=lambda: WorkQueue(4, "dgd"))
    adapters: WorkQueue[Key] = field(
        default_factory=lambda: WorkQueue(1, "dgdsa", Backoff(first_s=ADAPTER_RETRY_S))
    )
    intents: dict[tuple[Kind, Key], object] = field(default_factory=dict)
    """What was wanted of each object when it was heard of last."""

    def all(self) -> tuple[WorkQueue[Key], ...]:
        """Return every queue."""
        return (self.requests, self.graphs, self.adapters)

    def is_wanted_anew(self, kind: Kind, body: Json, gone: bool) -> bool:
        """Whether somebody wants something else of an object, or made or deleted it."""
        (key,) = routing.itself(body)
        before = self.intents.pop((kind, key), None)
        if gone:
            return True
        self.intents[kind, key] = intent = intent_of(body)
        return before != intent

    def retry_failed(self) -> None:
        """Run now what waits after a failure."""
        for queue in self.all():
            queue.retry_failed()


def mark(queue: WorkQueue[Key], keys: Iterable[Key]) -> None:
    """Mark keys in a queue because of something that changed around them."""
    for key in keys:
        queue.notice(key)


def register(registry: kopf.OperatorRegistry, queues: Queues) -> None:
    """Register all handlers; both arguments are the process's own, so that tests have theirs."""
    kopf.on.login(registry=registry)(kopf_settings.login)
    _on(registry, DGDR, lambda body, gone: _own(queues, queues.requests, DGDR, body, gone))
    _on(registry, JOB, lambda body, _: mark(queues.requests, routing.owning_request(body)))
    _on(registry, CONFIG_MAP, lambda body, _: _config_map(queues, body))
    _on(registry, DGD, lambda body, gone: _dgd(queues, body, gone))
    _on(registry, DGDSA, lambda body, gone: _adapter(queues, body, gone))
    _on(registry, DEPLOYMENT, lambda body, _: _deployment(queues, body))
    _on(registry, POD, lambda body, _: mark(queues.graphs, routing.graph(body)))


def _on(registry: kopf.OperatorRegistry, kind: Kind, handle: Callable[[Json, bool], None]) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id=kind.plural)
    async def on_event(body: kopf.Body, type: str | None, **_: Any) -> None:  # noqa: A002
        handle(body, type == "DELETED")


def _config_map(queues: Queues, body: Json) -> None:
    """Mark for requests and results; measured points come by the hundred and decide nothing."""
    if body["metadata"]["name"].startswith(_RESULTS):
        mark(queues.requests, routing.owning_request(body))


def _own(queues: Queues, queue: WorkQueue[Key], kind: Kind, body: Json, gone: bool) -> None:
    """Mark an object for its own pass: at once when it is wanted anew, whatever failed before."""
    if queues.is_wanted_anew(kind, body, gone):
        queue.add_all(routing.itself(body))
    else:
        mark(queue, routing.itself(body))


def _dgd(queues: Queues, body: Json, gone: bool) -> None:
    _own(queues, queues.graphs, DGD, body, gone)
    mark(queues.adapters, routing.adapters_of_graph(body))
    mark(queues.requests, routing.owning_request(body))


def _adapter(queues: Queues, body: Json, gone: bool) -> None:
    _own(queues, queues.adapters, DGDSA, body, gone)
    if gone:  # the graph may still ask for it
        mark(queues.graphs, routing.graph_of_adapter(body))


def _deployment(queues: Queues, body: Json) -> None:
    """Mark the graph, and the adapter, which has the Deployment's name and reports its pods."""
    mark(queues.graphs, routing.graph(body))
    mark(queues.adapters, routing.itself(body))
