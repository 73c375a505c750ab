"""Asks a candidate that serves: its metadata, its ``/metrics`` and its log."""

import logging
from collections.abc import Sequence

import httpx

from dgdr_api.graph import Graph, Role
from dgdr_api.models.worker_metadata import DynamoWorkerMetadata
from dgdr_api.pods import MAIN
from dgdr_profiler.adapters.kube import WORKER_METADATA, Kube
from dgdr_profiler.adapters.waiting import pods_of
from dgdr_profiler.core.candidate import EngineFacts, Fetched
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.expected import Expected
from dgdr_profiler.core.readiness import Json, engine_images, metrics_url, role_of, telling_pods
from dgdr_profiler.engines import exposition
from dgdr_profiler.engines.facts import Said, capacity_of

logger = logging.getLogger(__name__)

METRICS_TIMEOUT_S = 5.0
# Engines say what they hold while they start, so it is near the beginning of the log.
LOG_BYTES = 4 * 2**20


async def engine_facts(kube: Kube, graph: Graph, expected: Expected) -> EngineFacts:
    """Return the limits of a candidate's engine, and which images all its engines run.

    What an engine does not say is None. Whether that matters, whoever needs it decides.

    Raises:
        CandidateFailed: there is no worker, or one that does not say which image it runs.
    """
    pods = await pods_of(kube, graph)
    engines = [p for p in pods if (role := role_of(p)) is not None and role.serves_model]
    telling = telling_pods(engines)
    if not telling:
        raise CandidateFailed(f"{graph.name} is ready but has no pod of a worker")
    found = capacity_of(await _said(kube, telling, expected))
    facts = EngineFacts(
        image_digest=engine_images(engines),
        max_kv_tokens=found.max_kv_tokens,
        max_batch=found.max_batch,
        context_length=found.context_length,
        kv_source=found.source,
        notes=found.notes if expected.decodes else (),
    )
    logger.info("%s: %s", graph.name, facts)
    return facts


async def fetched_caches(kube: Kube, graph: Graph, parts: int) -> Fetched | None:
    """Return what a candidate's decode engine says of the KV caches that it fetched."""
    engines = [p for p in await pods_of(kube, graph) if role_of(p) is Role.DECODE]
    return exposition.fetched("\n".join([await _metrics(pod) for pod in engines]), parts)


async def _said(kube: Kube, pods: Sequence[Json], expected: Expected) -> Said:
    metadata = [await _metadata(kube, pod) for pod in pods]
    metrics = [await _metrics(pod) for pod in pods]
    logs = [await kube.log(pod["metadata"]["name"], MAIN, LOG_BYTES) for pod in pods]
    return Said(
        metadata=next((m for m in metadata if m is not None and m.cards()), None),
        metrics="\n".join(metrics),
        log="\n".join(logs),
        estimated_kv_tokens=expected.kv_tokens,
        ranks=expected.ranks,
        unlike_layers=expected.unlike_layers,
    )


async def _metadata(kube: Kube, pod: Json) -> DynamoWorkerMetadata | None:
    """Return what a worker publishes; None where it is discovered through etcd."""
    found = await kube.get(WORKER_METADATA, pod["metadata"]["name"])
    return DynamoWorkerMetadata.parse(found) if found else None


async def _metrics(pod: Json) -> str:
    """Return the text of ``/metrics``; empty where a pod has none or does not answer in time."""
    url = metrics_url(pod)
    if url is None:
        return ""
    try:
        # Pods are reached directly, whatever proxy the hub needs.
        async with httpx.AsyncClient(timeout=METRICS_TIMEOUT_S, trust_env=False) as client:
            answer = await client.get(url)
            answer.raise_for_status()
            return answer.text
    except httpx.HTTPError as exc:
        logger.info("%s: %r", url, exc)
        return ""
