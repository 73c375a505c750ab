"""Candidates as DynamoGraphDeployments: create, wait until they serve, delete until gone."""

import asyncio
import copy
import logging
import time
from collections.abc import Mapping
from typing import Any

from dgdr_api import names
from dgdr_api.codec_v1beta1 import encode
from dgdr_api.graph import Graph, Role
from dgdr_api.request import OwnerReference
from dgdr_profiler.adapters import endpoint
from dgdr_profiler.adapters.capacity import engine_facts, fetched_caches
from dgdr_profiler.adapters.kube import DGD, AlreadyExists, ClusterError, Kube
from dgdr_profiler.adapters.waiting import Patience, Wait, pods_of
from dgdr_profiler.core.candidate import EngineFacts, Fetched
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.expected import Expected
from dgdr_profiler.ports import Tell

logger = logging.getLogger(__name__)

POLL_S = 0.5
# For a deployment of the same name and another shape, which has to go first.
GONE_TIMEOUT_S = 180.0


class KubeDeployments:
    """Deployments of one run.

    ``expected`` says by name what each engine should be like, ``image_fields`` by image where a
    user says which it is.
    """

    def __init__(
        self,
        kube: Kube,
        owner: OwnerReference,
        patience: Patience,
        expected: Mapping[str, Expected],
        image_fields: Mapping[str, str],
    ) -> None:
        self._kube = kube
        self._owner = owner
        self._patience = patience
        self._expected = expected
        self._image_fields = image_fields

    async def standing(self, graph: Graph) -> bool:
        """Whether the graph is there, left by an earlier pod of the Job."""
        found = await self._kube.get(DGD, graph.name)
        return found is not None and self._is_ours(found) and not _is_going(found)

    async def deploy(self, graph: Graph, model: str, tell: Tell) -> EngineFacts:
        """Deploy a graph, or adopt it where it stands already, and wait until it serves."""
        logger.info("deploying %s", graph.name)
        await self._ensure(candidate_manifest(graph, self._owner), graph)
        wait = Wait(self._kube, graph, self._patience, tell, self._image_fields)
        await wait.until_serving(frontend_url(graph), model)
        return await engine_facts(self._kube, graph, self._expected.get(graph.name, Expected()))

    async def fetched(self, graph: Graph, parts: int) -> Fetched | None:
        """Return what a pair's decode engine says of the KV caches that it fetched, if it does."""
        return await fetched_caches(self._kube, graph, parts)

    async def serves(self, graph: Graph, model: str) -> bool:
        """Whether a graph that stands still answers."""
        return await endpoint.serves(frontend_url(graph), model)

    async def retire(self, graph: Graph, patience_s: float) -> str | None:
        """Delete a graph and wait until its pods are gone: only then its GPUs are free."""
        found = await self._kube.get(DGD, graph.name)
        if found is not None and not self._is_ours(found):
            return None
        if found is not None and not _is_going(found):
            logger.info("deleting %s", graph.name)
            await self._kube.delete(DGD, graph.name)
        deadline_s = time.monotonic() + patience_s
        while (left := await self._left(graph)) is not None:
            if time.monotonic() >= deadline_s:
                return left
            await asyncio.sleep(POLL_S)
        return None

    async def _left(self, graph: Graph) -> str | None:
        """Return what is still there of a graph that was deleted."""
        pods = [pod["metadata"]["name"] for pod in await pods_of(self._kube, graph)]
        if pods:
            return f"pods {', '.join(pods)} have not ended"
        there = await self._kube.get(DGD, graph.name)
        return None if there is None else f"the deployment {graph.name} is still being deleted"

    def _is_ours(self, found: dict[str, Any]) -> bool:
        labels = found["metadata"].get("labels") or {}
        return bool(labels.get(names.Label.RUN.value) == self._owner.uid)

    async def _ensure(self, manifest: dict[str, Any], graph: Graph) -> None:
        found = await self._kube.get(DGD, graph.name)
        if found is not None and not self._is_ours(found):
            raise CandidateFailed(
                f"a DynamoGraphDeployment {graph.name} exists and is not of this run; delete it, "
                "or rename the request",
                lasting=False,
            )
        if found is not None and not _is_going(found) and found["spec"] == manifest["spec"]:
            logger.info("%s stands already", graph.name)
            return
        if found is not None and (left := await self.retire(graph, GONE_TIMEOUT_S)) is not None:
            raise CandidateFailed(f"an earlier {graph.name} is in the way: {left}", lasting=False)
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


def candidate_manifest(graph: Graph, owner: OwnerReference) -> dict[str, Any]:
    """Return a candidate as it is deployed: the request's own."""
    manifest = copy.deepcopy(encode(graph))
    manifest["metadata"]["ownerReferences"] = [owner.to_json()]
    for component in manifest["spec"]["components"]:
        _keep_last_words(component.get("podTemplate") or {})
    return manifest


def _keep_last_words(template: dict[str, Any]) -> None:
    """Have the kubelet keep the end of a crashed container's log: reading logs takes a right."""
    spec = template.get("spec") or {}
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")


def frontend_url(graph: Graph) -> str:
    """Return the in-cluster URL of a graph."""
    frontend = next(iter(graph.with_role(Role.FRONTEND)), None)
    if frontend is None:
        raise CandidateFailed(f"{graph.name} has no component of type {Role.FRONTEND}")
    return names.frontend_url(graph.namespace or "default", graph.name, frontend.name)


def _is_going(found: dict[str, Any]) -> bool:
    return bool(found["metadata"].get("deletionTimestamp"))
