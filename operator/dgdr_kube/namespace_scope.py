"""The Lease by which operators of Dynamo share out namespaces.

NVIDIA's cluster-wide operator leaves a namespace alone, objects and admission, as long as a Lease
of this name is renewed in it. One of its operators that is restricted to a namespace writes it, and
so do we in mode Takeover. It is not given up at the end: whoever leads next renews it in time, and
after an uninstall it runs out.
"""

import asyncio
import logging
from collections.abc import Iterable

from dgdr_api.names import NAMESPACE_SCOPE_LEASE
from dgdr_kube.candidate import Candidate, LeaseLost
from dgdr_kube.lease import Timing
from dgdr_kube.ports import Cluster

log = logging.getLogger(__name__)

PRINCIPAL = "nvidia.com/dynamo-operator-principal"
"""Annotation: as whom NVIDIA's webhooks let the holder write replicas that an adapter owns.

Part of each renewal: without it adapters of ours are refused, and the Lease may be made anew.
"""
TIMING = Timing(lease_s=30, renew_s=20.0, retry_s=10.0, look_s=2.0)


class NamespaceScope:
    """Holds the Leases of some namespaces, under a name that all pods of an installation share."""

    def __init__(
        self,
        cluster: Cluster,
        namespaces: Iterable[str],
        holder: str,
        principal: str,
        timing: Timing = TIMING,
    ) -> None:
        self.holder = holder
        says = {PRINCIPAL: principal}
        self._candidates = {
            namespace: Candidate(cluster, namespace, NAMESPACE_SCOPE_LEASE, holder, timing, says)
            for namespace in namespaces
        }

    def holds(self, namespace: str) -> bool:
        """Whether NVIDIA's operator leaves this namespace to us, now and for a while."""
        candidate = self._candidates.get(namespace)
        return candidate is not None and candidate.left_s() > 0

    async def keep(self) -> None:
        """Hold all of them until cancelled; one that somebody else takes is waited for."""
        async with asyncio.TaskGroup() as group:
            for namespace, candidate in self._candidates.items():
                group.create_task(self._keep(namespace, candidate))

    async def _keep(self, namespace: str, candidate: Candidate) -> None:
        while True:
            try:
                await candidate.acquire()
                await candidate.keep()
            except LeaseLost as exc:
                log.warning("Namespace %s is taken from us: %s", namespace, exc)
