"""Candidates of requests that no longer exist: found by their label, and deleted."""

import logging

from dgdr_api import names
from dgdr_kube.kinds import DGD, DGDR
from dgdr_kube.ports import Manifest, WatchedCluster
from dgdr_operator.core import observed_run
from dgdr_operator.followed import CANDIDATES

log = logging.getLogger(__name__)


async def sweep_orphans(cluster: WatchedCluster, namespace: str | None) -> list[str]:
    """Delete candidates of requests that no longer exist; returns their names.

    Garbage collection does this too, by their owner reference. This is for candidates that lost
    it, and so that GPUs are free at once.
    """
    if not await _orphans(cluster, namespace):
        return []
    orphans = await _orphans(cluster.fresh, namespace)
    for dgd in orphans:
        meta = dgd["metadata"]
        log.info("Deleting candidate %s/%s: its request is gone", meta["namespace"], meta["name"])
        await cluster.delete(DGD, meta["namespace"], meta["name"], meta["uid"])
    return [dgd["metadata"]["name"] for dgd in orphans]


async def _orphans(cluster: WatchedCluster, namespace: str | None) -> list[Manifest]:
    """Return the candidates without their request; those are looked at first.

    A request is older than its candidates: one that came meanwhile has none among these.
    """
    made = await cluster.find(DGD, namespace, CANDIDATES)
    candidates = [dgd for dgd in made if observed_run.is_candidate(dgd)]
    if not candidates:
        return []
    alive = {dgdr["metadata"]["uid"] for dgdr in await cluster.find(DGDR, namespace)}
    return [
        dgd for dgd in candidates if dgd["metadata"]["labels"][names.Label.RUN.value] not in alive
    ]
