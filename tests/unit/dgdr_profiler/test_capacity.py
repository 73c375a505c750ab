import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dgdr_profiler.adapters.capacity import LOG_BYTES, engine_facts
from dgdr_profiler.adapters.kube import POD, WORKER_METADATA
from dgdr_profiler.core.candidate import CapacitySource, EngineFacts
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.expected import Expected
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.engines.source import ModelSource
from dgdr_profiler.engines.vllm import Vllm
from support.profiler_ports import MemoryKube

GRAPH = Vllm(image="i", source=ModelSource(model="m")).template(
    "q-p-tp1", Shape.pair(Mapping.tensor(1))
)
METRICS = 'vllm:cache_config_info{block_size="16",num_gpu_blocks="1000"} 1.0\n'
LOG = "INFO GPU KV cache size: 24,000 tokens\n"


def pod(role: str, name: str, port: int = 9) -> dict[str, Any]:
    labels = {
        "nvidia.com/dynamo-graph-deployment-name": GRAPH.name,
        "nvidia.com/dynamo-component-type": role,
    }
    main = {"name": "main", "ports": [{"name": "system", "containerPort": port}]}
    ran = {"name": "main", "imageID": "i@sha256:abc", "restartCount": 0}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [main]},
        "status": {"podIP": "127.0.0.1", "containerStatuses": [ran]},
    }


def metadata(pod_name: str, **runtime: int) -> dict[str, Any]:
    card = {"context_length": 32768, "kv_cache_block_size": 64, "runtime_config": runtime}
    return {
        "apiVersion": "nvidia.com/v1alpha1",
        "kind": "DynamoWorkerMetadata",
        "metadata": {"name": pod_name},
        "spec": {"data": {"model_cards": {"k": {"card_json": json.dumps(card)}}}},
    }


def cluster(*pods: dict[str, Any]) -> MemoryKube:
    kube = MemoryKube()
    for made in pods or (pod("prefill", "p-1"), pod("decode", "d-1")):
        kube.put(POD, made)
    return kube


async def facts(kube: MemoryKube, **expected: Any) -> EngineFacts:
    return await engine_facts(kube, GRAPH, Expected(**expected))  # type: ignore[arg-type]


@asynccontextmanager
async def serving(text: str, status: str = "200 OK") -> AsyncIterator[int]:
    """Answer every request with a text; yields the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
        writer.write((head + text).encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_a_decode_worker_says_what_it_holds_and_every_pod_its_image() -> None:
    kube = cluster()
    kube.put(WORKER_METADATA, metadata("d-1", total_kv_blocks=1024, max_num_seqs=256))
    kube.put(WORKER_METADATA, metadata("p-1", total_kv_blocks=1, max_num_seqs=1))
    assert await facts(kube) == EngineFacts(
        image_digest="sha256:abc",
        max_kv_tokens=65536,
        max_batch=256,
        context_length=32768,
        kv_source=CapacitySource.METADATA,
    )


async def test_limits_are_those_of_all_ranks_together() -> None:
    kube = cluster()
    kube.put(WORKER_METADATA, metadata("d-1", total_kv_blocks=1024, max_num_seqs=256))
    found = await facts(kube, ranks=8)
    assert (found.max_kv_tokens, found.max_batch) == (8 * 65536, 8 * 256)


async def test_blocks_of_unlike_layers_are_checked_by_what_the_memory_model_expects() -> None:
    kube = cluster()
    kube.put(WORKER_METADATA, metadata("d-1", total_kv_blocks=1024))
    found = await facts(kube, kv_tokens=30_000, unlike_layers=True)
    assert (found.max_kv_tokens, found.kv_source) == (30_000, CapacitySource.MEMORY_MODEL)


async def test_without_metadata_the_metrics_say_it() -> None:
    async with serving(METRICS) as port:
        found = await facts(cluster(pod("decode", "d-1", port)))
    assert (found.max_kv_tokens, found.kv_source) == (16_000, CapacitySource.METRICS)


async def test_without_metrics_the_log_says_it() -> None:
    kube = cluster()
    kube.logs["d-1"] = LOG
    async with serving("no", "404 Not Found") as port:
        kube.put(POD, pod("decode", "d-1", port))
        found = await facts(kube)
    assert (found.max_kv_tokens, found.kv_source) == (24_000, CapacitySource.LOG)


async def test_a_log_is_read_from_its_beginning() -> None:
    kube = cluster()
    kube.logs["d-1"] = LOG + "x" * LOG_BYTES + "INFO GPU KV cache size: 7 tokens\n"
    assert (await facts(kube)).max_kv_tokens == 24_000


async def test_sources_that_disagree_are_noted() -> None:
    kube = cluster()
    kube.put(WORKER_METADATA, metadata("d-1", total_kv_blocks=1024))
    kube.logs["d-1"] = LOG
    found = await facts(kube)
    assert found.max_kv_tokens == 65536
    assert "the engine log says 24000 tokens of KV cache" in found.notes[0]


async def test_an_engine_that_says_nothing_holds_what_the_memory_model_estimates() -> None:
    found = await facts(cluster(), kv_tokens=260_000)
    assert (found.max_kv_tokens, found.kv_source) == (260_000, CapacitySource.MEMORY_MODEL)
    assert "the memory model estimates 260000" in found.notes[0]


async def test_where_nobody_says_it_nobody_guesses() -> None:
    found = await facts(cluster())
    assert (found.max_kv_tokens, found.kv_source) == (None, None)
    assert "nothing says how many tokens the KV cache holds" in found.notes[0]


async def test_of_a_prefill_engine_alone_nobody_asks_what_it_holds() -> None:
    found = await facts(cluster(pod("worker", "p-1")), decodes=False)
    assert (found.max_kv_tokens, found.notes) == (None, ())


async def test_of_several_pods_of_an_engine_the_one_that_knows_counts() -> None:
    kube = cluster(pod("decode", "d-0"), pod("decode", "d-1"))
    kube.put(WORKER_METADATA, metadata("d-0", total_kv_blocks=1024))
    assert (await facts(kube)).max_kv_tokens == 65536
    kube.logs["d-1"] = LOG
    del kube.objects[WORKER_METADATA.plural, "d-0"]
    assert (await facts(kube)).max_kv_tokens == 24_000


async def test_a_deployment_without_a_worker_cannot_be_measured() -> None:
    with pytest.raises(CandidateFailed, match="is ready but has no pod of a worker"):
        await facts(cluster(pod("frontend", "f-1")))
