"""Candidates as DynamoGraphDeployments: create, wait until they serve, delete until gone."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from dgdr_api import names
from dgdr_api.codec_v1beta1 import encode
from dgdr_api.graph import Graph, Role
from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_api.models.worker_metadata import DynamoWorkerMetadata
from dgdr_api.request import OwnerReference
from dgdr_profiler.adapters.endpoint import serves
from dgdr_profiler.adapters.kube import DGD, POD, WORKER_METADATA, AlreadyExists, ClusterError, Kube
from dgdr_profiler.core.candidate import EngineFacts
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.readiness import facts_of, is_ready, trouble, unschedulable

logger = logging.getLogger(__name__)

POLL_S = 0.5
GONE_TIMEOUT_S = 180.0


class KubeDeployments:
    """Deployments of one run."""

    def __init__(self, kube: Kube, owner: OwnerReference, ready_timeout_s: float) -> None:
        self._kube = kube
        self._owner = owner
        self._ready_timeout_s = ready_timeout_s

    async def standing(self, graph: Graph) -> bool:
        """Whether the graph is there, left by an earlier pod of the Job."""
        found = await self._kube.get(DGD, graph.name)
        return found is not None and self._is_ours(found) and not _is_going(found)

    async def deploy(self, graph: Graph, model: str) -> EngineFacts:
        """Deploy a graph, or adopt it where it stands already, and wait until it serves."""
        logger.info("deploying %s", graph.name)
        await self._ensure(self._manifest(graph), graph)
        deadline_s = time.monotonic() + self._ready_timeout_s
        await self._until(deadline_s, graph, lambda: self._serves(graph))
        url = frontend_url(graph)
        await self._until(deadline_s, graph, lambda: serves(url, model))
        return await self._facts(graph)

    async def retire(self, graph: Graph) -> None:
        """Delete a graph and wait until its pods are gone: only then its GPUs are free."""
        logger.info("deleting %s", graph.name)
        found = await self._kube.get(DGD, graph.name)
        if found is not None and not self._is_ours(found):
            return
        await self._kube.delete(DGD, graph.name)
        deadline_s = time.monotonic() + GONE_TIMEOUT_S
        while await self._kube.get(DGD, graph.name) or await self._pods(graph):
            if time.monotonic() > deadline_s:
                raise ClusterError(
                    f"the pods of {graph.name} are still there {GONE_TIMEOUT_S:.0f} s after its "
                    "deletion; their GPUs cannot be used again"
                )
            await asyncio.sleep(POLL_S)

    def _manifest(self, graph: Graph) -> dict[str, Any]:
        manifest = encode(graph)
        manifest["metadata"]["ownerReferences"] = [self._owner.to_json()]
        return manifest

    def _is_ours(self, found: dict[str, Any]) -> bool:
        labels = found["metadata"].get("labels") or {}
        return bool(labels.get(names.Label.RUN.value) == self._owner.uid)

    async def _ensure(self, manifest: dict[str, Any], graph: Graph) -> None:
        found = await self._kube.get(DGD, graph.name)
        if found is not None and not self._is_ours(found):
            raise CandidateFailed(
                f"a DynamoGraphDeployment {graph.name} exists and is not of this run; delete it, "
                "or rename the request"
            )
        if found is not None and not _is_going(found) and found["spec"] == manifest["spec"]:
            logger.info("%s stands already", graph.name)
            return
        if found is not None:
            await self.retire(graph)
        try:
            await self._kube.create(DGD, manifest)
        except AlreadyExists as exc:
            # Ours all the same when only the answer to the first try was lost.
            there = await self._kube.get(DGD, graph.name)
            if there is None or not self._is_ours(there):
                raise CandidateFailed(f"{graph.name} was created by someone else: {exc}") from exc
        except ClusterError as exc:
            if exc.status in (400, 403, 422):
                raise CandidateFailed(f"the deployment was refused: {exc}") from exc
            raise

    async def _until(
        self, deadline_s: float, graph: Graph, holds: Callable[[], Awaitable[bool]]
    ) -> None:
        while not await holds():
            if time.monotonic() > deadline_s:
                raise CandidateFailed(await self._why_not(graph))
            await asyncio.sleep(POLL_S)

    async def _serves(self, graph: Graph) -> bool:
        found = await self._kube.get(DGD, graph.name)
        if found is None:
            raise CandidateFailed(f"the deployment {graph.name} was deleted by someone else")
        if is_ready(DynamoGraphDeployment.parse(found)):
            return True
        stuck = trouble(await self._pods(graph))
        if stuck is not None:
            tail = await self._kube.log_tail(stuck.pod, previous=stuck.restarted)
            said = f"; its log ends: {tail.strip()}" if tail.strip() else ""
            raise CandidateFailed(f"pod {stuck.pod}: {stuck.reason}{said}")
        return False

    async def _why_not(self, graph: Graph) -> str:
        pods = await self._pods(graph)
        homeless = unschedulable(pods)
        waited = f"not serving after {self._ready_timeout_s:.0f} s"
        return f"{waited}: {homeless}" if homeless else waited

    async def _facts(self, graph: Graph) -> EngineFacts:
        decode = [p for p in await self._pods(graph) if _role(p) == Role.DECODE]
        if not decode:
            raise CandidateFailed(f"{graph.name} is ready but has no pod of a decode worker")
        pod = decode[0]
        found = await self._kube.get(WORKER_METADATA, pod["metadata"]["name"])
        return facts_of(pod, DynamoWorkerMetadata.parse(found) if found else None)

    async def _pods(self, graph: Graph) -> list[dict[str, Any]]:
        return await self._kube.list(POD, {names.Label.GRAPH.value: graph.name})


def frontend_url(graph: Graph) -> str:
    """Return the in-cluster URL of a graph."""
    frontend = next(iter(graph.with_role(Role.FRONTEND)), None)
    if frontend is None:
        raise CandidateFailed(f"{graph.name} has no component of type {Role.FRONTEND}")
    return names.frontend_url(graph.namespace or "default", graph.name, frontend.name)


def _is_going(found: dict[str, Any]) -> bool:
    return bool(found["metadata"].get("deletionTimestamp"))


def _role(pod: dict[str, Any]) -> str | None:
    labels = pod["metadata"].get("labels") or {}
    value = labels.get(names.Label.COMPONENT_TYPE.value)
    return None if value is None else str(value)
