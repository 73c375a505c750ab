"""Looks at what the cluster has for requests and graphs: kinds, and GPUs of nodes."""

from collections.abc import Iterable, Sequence

from dgdr_kube.crd_check import crd_name, is_ours, is_served
from dgdr_kube.errors import Rejected
from dgdr_kube.kinds import CRD, NODE, Kind
from dgdr_kube.ports import Cluster
from dgdr_operator.core.hardware import Node
from dgdr_operator.core.lacks import ClusterFacts
from dgdr_operator.core.observed_run import node_seen


class DataPlaneObserver:
    """Reads only; what it may not read stays unknown."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def nodes(self) -> list[Node] | None:
        """Return the nodes; None without the right to read them."""
        try:
            return [node_seen(node) for node in await self._cluster.list(NODE, None)]
        except Rejected:
            return None

    async def facts(self, kinds: Iterable[Kind], nodes: Sequence[Node] | None) -> ClusterFacts:
        """Return which kinds are not served, or somebody else's, and the GPUs of the nodes."""
        missing: list[str] = []
        foreign: list[str] = []
        for kind in kinds:
            try:
                crd = await self._cluster.get(CRD, None, crd_name(kind))
            except Rejected:
                continue
            if crd is None or not is_served(crd, kind):
                missing.append(crd_name(kind))
            elif not is_ours(crd):
                foreign.append(crd_name(kind))
        return ClusterFacts(
            crds_missing=tuple(missing),
            crds_foreign=tuple(foreign),
            gpus_by_node=None if nodes is None else tuple(node.allocatable or 0 for node in nodes),
        )
