"""Looks at what the cluster has for requests and graphs: kinds, and GPUs of nodes."""

import time
from collections.abc import Callable, Iterable, Sequence

from dgdr_kube.crd_check import crd_name, is_ours, is_served
from dgdr_kube.errors import Rejected
from dgdr_kube.kinds import CRD, NODE, Kind
from dgdr_kube.ports import WatchedCluster
from dgdr_operator.core.hardware import Node
from dgdr_operator.core.lacks import ClusterFacts
from dgdr_operator.core.observed_run import node_seen
from dgdr_operator.followed import GPU_NODES

# To watch definitions costs more than to read four of them now and then: a cluster has hundreds,
# of up to 1 MB. One that is not as it should be is read each time.
GOOD_FOR_S = 120.0
# Every graph asks for a kind that most clusters have not.
ABSENT_FOR_S = 10.0


class DataPlaneObserver:
    """Reads only; what it may not read stays unknown."""

    def __init__(
        self, cluster: WatchedCluster, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._good_until_s: dict[Kind, float] = {}
        self._absent_until_s: dict[Kind, float] = {}

    async def nodes(self) -> list[Node] | None:
        """Return the nodes that report GPUs; None without the right to read them."""
        try:
            return [node_seen(node) for node in await self._cluster.find(NODE, None, GPU_NODES)]
        except Rejected:
            return None

    async def serves(self, kind: Kind) -> bool:
        """Whether the cluster has a kind of somebody else's.

        Raises:
            Rejected: there is no right to know.
        """
        if self._clock() < self._good_until_s.get(kind, 0.0):
            return True
        if self._clock() < self._absent_until_s.get(kind, 0.0):
            return False
        crd = await self._cluster.get(CRD, None, crd_name(kind))
        if crd is None or not is_served(crd, kind):
            self._absent_until_s[kind] = self._clock() + ABSENT_FOR_S
            return False
        self._good_until_s[kind] = self._clock() + GOOD_FOR_S
        return True

    async def facts(self, kinds: Iterable[Kind], nodes: Sequence[Node] | None) -> ClusterFacts:
        """Return which kinds are not served, or somebody else's, and the GPUs of the nodes."""
        missing: list[str] = []
        foreign: list[str] = []
        for kind in kinds:
            if self._clock() < self._good_until_s.get(kind, 0.0):
                continue
            try:
                crd = await self._cluster.get(CRD, None, crd_name(kind))
            except Rejected:
                continue
            if crd is None or not is_served(crd, kind):
                missing.append(crd_name(kind))
            elif not is_ours(crd):
                foreign.append(crd_name(kind))
            else:
                self._good_until_s[kind] = self._clock() + GOOD_FOR_S
        return ClusterFacts(
            crds_missing=tuple(missing),
            crds_foreign=tuple(foreign),
            gpus_by_node=None if nodes is None else tuple(node.allocatable or 0 for node in nodes),
        )
