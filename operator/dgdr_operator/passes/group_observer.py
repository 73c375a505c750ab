"""Looks which graphs have LeaderWorkerSets: of all at once, since nobody watches the kind."""

import time
from collections.abc import Callable

from dgdr_api.graph import Graph
from dgdr_api.models.dgd_v1beta1 import DGDStatus
from dgdr_api.names import MANAGED_BY_VALUE, Label
from dgdr_kube.errors import NotFound, Rejected
from dgdr_kube.kinds import LEADER_WORKER_SET
from dgdr_kube.ports import Key, WatchedCluster
from dgdr_operator.core.workload import is_group
from dgdr_operator.passes.data_plane_observer import DataPlaneObserver

# Who else makes them is an operator that led before, or leads again in between.
GOOD_FOR_S = 120.0


class GroupObserver:
    """One for all graphs; reads only.

    A status tells of a group only when the pass that made it came to its end, so what is there, and
    what this process may have made, counts too.
    """

    def __init__(
        self,
        cluster: WatchedCluster,
        data_plane: DataPlaneObserver,
        scopes: tuple[str | None, ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._data_plane = data_plane
        self._scopes = scopes
        self._clock = clock
        self._made: set[Key] = set()
        self._there: set[Key] = set()
        self._good_until_s = 0.0

    async def has_groups(self, graph: Graph, old: DGDStatus) -> bool:
        """Whether a component takes several nodes, or did, and the cluster serves the kind.

        Raises:
            Rejected: nobody may know whether it is served, and a graph that has groups loses none
                for that.
        """
        key = Key(graph.namespace or "", graph.name)
        takes = any(map(is_group, graph.components))
        had = key in self._made or _tells_of_groups(old)
        try:
            if not await self._data_plane.serves(LEADER_WORKER_SET):
                return False
        except Rejected:
            if had:
                raise
            return False
        if takes:
            self._made.add(key)
        return takes or had or key in await self._keys()

    async def _keys(self) -> set[Key]:
        if self._clock() >= self._good_until_s:
            self._there = {key for scope in self._scopes for key in await self._list(scope)}
            self._good_until_s = self._clock() + GOOD_FOR_S
        return self._there

    async def _list(self, scope: str | None) -> list[Key]:
        ours = {Label.MANAGED_BY.value: MANAGED_BY_VALUE}
        try:
            found = await self._cluster.list(LEADER_WORKER_SET, scope, ours)
        except (NotFound, Rejected):
            return []
        metas = [manifest["metadata"] for manifest in found]
        return [Key(meta["namespace"], meta["labels"].get(Label.GRAPH, "")) for meta in metas]


def _tells_of_groups(old: DGDStatus) -> bool:
    kinds = {state.component_kind for state in (old.components or {}).values()}
    return LEADER_WORKER_SET.kind in kinds
