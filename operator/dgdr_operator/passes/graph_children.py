"""The writing half of a graph's pass: its children, made, corrected and removed."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from dgdr_api.graph import Graph
from dgdr_api.names import FieldManager, Label
from dgdr_kube.errors import AlreadyExists, Conflict, Rejected
from dgdr_kube.kinds import DEPLOYMENT, DGDSA, LEADER_WORKER_SET, Kind, kind_of
from dgdr_kube.manifests import is_going, is_owned_by
from dgdr_kube.ports import Manifest, WatchedCluster
from dgdr_operator.core.adapter import adapted_components, render_adapter
from dgdr_operator.core.children import Standing, is_settled, standing
from dgdr_operator.core.pinned import record_of
from dgdr_operator.core.workloads import Problem
from dgdr_operator.followed import CHILDREN, OF_GRAPH
from dgdr_operator.passes.live import apply_over

log = logging.getLogger(__name__)

Place = tuple[Kind, str]


@dataclass(slots=True, kw_only=True)
class Children:
    """What is there after the writes, and what stood in their way."""

    live: dict[Place, Manifest]
    problems: list[Problem] = field(default_factory=list)
    must_wait: bool = False
    removed_adapters: list[str] = field(default_factory=list)

    def of(self, kind: Kind) -> list[Manifest]:
        """Return the children of a kind."""
        return [manifest for (k, _), manifest in self.live.items() if k == kind]

    def workloads(self) -> list[Manifest]:
        """Return what has pods."""
        return [*self.of(DEPLOYMENT), *self.of(LEADER_WORKER_SET)]

    def own_workloads(self, owner: Manifest) -> list[Manifest]:
        """Return those that belong to that owner, or did until they were freed."""
        return [m for m in self.workloads() if standing(m, owner) is Standing.OURS]


class ChildWriter:
    """Makes the children of one graph what they should be."""

    def __init__(
        self, cluster: WatchedCluster, graph: Graph, owner: Manifest, *, groups: bool = False
    ) -> None:
        self._cluster = cluster
        self._graph = graph
        self._owner = owner
        # To ask for a kind that is not served is an error.
        self._kinds = (*CHILDREN, LEADER_WORKER_SET) if groups else CHILDREN

    async def write(self, wanted: Iterable[Manifest], children: Children) -> Children:
        """Apply what differs, remove what is not wanted any more, settle the adapters."""
        manifests = {_place(manifest): manifest for manifest in wanted}
        for place, manifest in manifests.items():
            await self._settle(place, manifest, children)
        await self._prune(manifests.keys(), children)
        await self._settle_adapters(children)
        return children

    def lacks(self, wanted: Iterable[Manifest], children: Children) -> bool:
        """Whether something is to be made that is not there."""
        adapters = self._adapters()
        return any(_place(manifest) not in children.live for manifest in (*wanted, *adapters))

    async def observe(self) -> Children:
        """Return what is there."""
        found: dict[Place, Manifest] = {}
        for kind in (*self._kinds, DGDSA):
            there = await self._cluster.find(
                kind, self._graph.namespace, OF_GRAPH, self._graph.name
            )
            found |= {(kind, manifest["metadata"]["name"]): manifest for manifest in there}
        return Children(live=found)

    async def _settle(self, place: Place, wanted: Manifest, children: Children) -> None:
        kind, name = place
        live = children.live.get(place)
        if live is None:
            # Somebody's object of that name has no label of ours, is not watched, and must not be
            # taken over; nor what an earlier pass has made and no watch has told of yet.
            live = await self._cluster.get(kind, self._graph.namespace, name)
        match standing(live, self._owner):
            case Standing.LEAVING:
                children.live.pop(place, None)
                children.must_wait = True
            case Standing.FOREIGN:
                children.live.pop(place, None)
                children.problems.append(_foreign(wanted))
            case Standing.OURS if live is not None and is_settled(live, wanted):
                pass
            case Standing.FREE | Standing.OURS:
                await self._apply(place, wanted, live, children)

    async def _apply(
        self, place: Place, wanted: Manifest, live: Manifest | None, children: Children
    ) -> None:
        log.info("Applying %s %s/%s", place[0].kind, self._graph.namespace, place[1])
        try:
            children.live[place] = await self._write(place, wanted, live)
        except Rejected as exc:
            children.problems.append(_problem(wanted, exc.message))

    async def _write(self, place: Place, wanted: Manifest, live: Manifest | None) -> Manifest:
        """Apply over what was seen; pods that came and went meanwhile change nothing of that.

        A rollout changes a Deployment's status several times a second.
        """
        try:
            return await apply_over(self._cluster, wanted, live)
        except Conflict:
            now = await self._cluster.get(place[0], self._graph.namespace, place[1])
            if live is None or now is None or not _asks_the_same(live, now):
                raise
            return await apply_over(self._cluster, wanted, now)

    async def _prune(self, wanted: Iterable[Place], children: Children) -> None:
        keep = set(wanted)
        for place, live in list(children.live.items()):
            if place in keep or place[0] not in self._kinds:
                continue
            if standing(live, self._owner) is Standing.OURS:
                await self._delete(place, live)
            del children.live[place]

    async def _settle_adapters(self, children: Children) -> None:
        wanted = self._adapters()
        for manifest in wanted:
            if _place(manifest) not in children.live:
                await self._create_adapter(manifest, children)
        keep = {_place(manifest) for manifest in wanted}
        for place, live in list(children.live.items()):
            if place[0] != DGDSA or place in keep or is_going(live):
                continue
            if is_owned_by(live, self._owner["uid"]):
                await self._delete(place, live)
                children.removed_adapters.append(place[1])

    def _adapters(self) -> list[Manifest]:
        return [
            render_adapter(self._graph, component, self._owner)
            for component in adapted_components(self._graph)
        ]

    async def _create_adapter(self, manifest: Manifest, children: Children) -> None:
        """Make the adapter once; from then on its replicas belong to whoever scales."""
        kind, name = _place(manifest)
        try:
            live = await self._cluster.look(kind, self._graph.namespace, name)
            if live is None:
                await self._cluster.create(manifest, FieldManager.OPERATOR)
                return
        except AlreadyExists:
            live = await self._cluster.get(kind, self._graph.namespace, name)
        except Rejected as exc:
            children.problems.append(_problem(manifest, exc.message))
            return
        # One that the user made for this component does the same work.
        children.must_wait |= standing(live, self._owner) in (Standing.LEAVING, Standing.FREE)

    async def _delete(self, place: Place, live: Manifest) -> None:
        log.info("Deleting %s %s/%s", place[0].kind, self._graph.namespace, place[1])
        await self._cluster.delete(
            place[0], self._graph.namespace, place[1], live["metadata"]["uid"]
        )


def _asks_the_same(seen: Manifest, now: Manifest) -> bool:
    """Whether only what an object reports has changed, of kinds that count their changes."""
    before, meta = seen["metadata"], now["metadata"]
    counted = meta.get("generation")
    return (
        counted is not None
        and (meta["uid"], counted) == (before["uid"], before.get("generation"))
        and record_of(now) == record_of(seen)
    )


def _place(manifest: Manifest) -> Place:
    return kind_of(manifest), manifest["metadata"]["name"]


def _problem(manifest: Manifest, text: str) -> Problem:
    labels = manifest["metadata"].get("labels") or {}
    what = f"{manifest['kind']} {manifest['metadata']['name']}"
    return Problem(component=labels.get(Label.COMPONENT, ""), message=f"{what}: {text}")


def _foreign(manifest: Manifest) -> Problem:
    return _problem(
        manifest, "exists and belongs to somebody else; delete it or choose another name"
    )
