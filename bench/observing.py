"""What it costs to observe the operator: a pass at rest as it is, and as it is counted and logged.

``python -m bench.observing`` prints one JSON object. Passes are those over a ready deployment and
its adapter, in memory, with watches that have told of everything; a status that the watch tells of
is what is counted beside them. ``scrape_ms`` is a page of metrics with 1,000 requests, 1,000
deployments and a Job each.
"""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import generate_latest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from bench.timing import best_s
from dgdr_kube.kinds import DEPLOYMENT, DGD, DGDR, DGDSA, JOB
from dgdr_kube.pass_record import Reconcile, recorded
from dgdr_kube.ports import Key
from dgdr_kube.workqueue import WorkQueue
from dgdr_operator.__main__ import Metrics, at_the_time
from dgdr_operator.followed import COLLECTIONS
from dgdr_operator.passes.adapter_pass import AdapterPass
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.settings import parse
from support.dgds import decode_worker, dgd, frontend
from support.fake_cluster import FakeCluster
from support.late_watches import LateWatches

NOW = datetime(2025, 1, 1, tzinfo=UTC)
GRAPH, ADAPTER = Key("ns", "g"), Key("ns", "g-decode")
PASSES = 25
ROUNDS = 40
MANY = 1000

Pass = Callable[[Key, datetime], Awaitable[float | None]]


async def at_rest() -> tuple[LateWatches, FakeCluster]:
    """Return a graph whose pods are ready, and whose passes write nothing any more."""
    server = FakeCluster(NOW)
    server.seed(dgd(frontend(), decode_worker(scalingAdapter={})))
    watches = LateWatches(server, COLLECTIONS)
    settings = parse("images: {profiler: p}")
    for _ in range(4):
        watches.tell()
        await GraphPass(watches.cluster, settings)(GRAPH, NOW)
        watches.tell()
        await AdapterPass(watches.cluster, settings)(ADAPTER, NOW)
        for name in ("g-frontend", "g-decode"):
            _get_ready(server, name)
    watches.tell()
    return watches, server


def _get_ready(server: FakeCluster, name: str) -> None:
    found = server.peek(DEPLOYMENT, "ns", name)
    assert found is not None
    count = found["spec"].get("replicas", 1)
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    status = dict.fromkeys(counts, count) | {"observedGeneration": found["metadata"]["generation"]}
    server.set_status(DEPLOYMENT, "ns", name, status)


async def _per_pass_us(queue: WorkQueue[Key], reconcile: Reconcile, key: Key) -> float:
    began_s = time.process_time()
    for _ in range(PASSES):
        queue.notice(key)
        await queue.drain(reconcile)
    return (time.process_time() - began_s) / PASSES * 1e6


async def compared(run: Pass, key: Key) -> dict[str, float]:
    """Return the CPU microseconds of a pass with and without being observed."""
    metrics, bare, shown = Metrics.new(), WorkQueue[Key](), WorkQueue[Key]()
    metrics.kube.show_queue(shown)
    observed = recorded(shown.name, at_the_time(run), metrics.passed)
    plain = seen = float("inf")
    for _ in range(ROUNDS):  # in turn: a machine is not as fast at all times
        plain = min(plain, await _per_pass_us(bare, at_the_time(run), key))
        seen = min(seen, await _per_pass_us(shown, observed, key))
    return {
        "pass_us": round(plain),
        "observed_us": round(seen),
        "more_percent": round(100 * (seen / plain - 1), 1),
    }


async def nothing(_: Key, _now: datetime) -> float | None:
    """Do nothing: what is left is what observing costs."""
    return None


def counted(server: FakeCluster) -> dict[str, float]:
    """Return what it costs to count an object, and to show a page."""
    telemetry = (metrics := Metrics.new()).operator
    telemetry.show()
    graph = server.peek(DGD, *GRAPH)
    assert graph is not None
    heard_s = best_s(lambda: telemetry.heard(DGD, graph, graph))
    for number in range(MANY):
        meta = {"namespace": "ns", "name": f"o{number}", "uid": str(number)}
        request = {"metadata": meta, "status": {"phase": "Profiling"}}
        telemetry.heard(DGDR, None, request)
        telemetry.heard(DGD, None, {**graph, "metadata": meta})
        owner = {"kind": "DynamoGraphDeploymentRequest", "name": meta["name"]}
        job = {"spec": {"activeDeadlineSeconds": 1}, "status": {"startTime": NOW.isoformat()}}
        telemetry.heard(JOB, None, {"metadata": {**meta, "ownerReferences": [owner]}, **job})
    scrape_s = best_s(lambda: generate_latest(metrics.registry))
    return {"counted_us": round(heard_s * 1e6, 1), "scrape_ms": round(scrape_s * 1e3, 1)}


async def measure() -> dict[str, Any]:
    """Measure all of it."""
    watches, server = await at_rest()
    settings = parse("images: {profiler: p}")
    before = len(server.writes)
    found = {
        "graph": await compared(GraphPass(watches.cluster, settings), GRAPH),
        "adapter": await compared(AdapterPass(watches.cluster, settings), ADAPTER),
        "nothing": await compared(nothing, GRAPH),
        **counted(server),
    }
    assert len(server.writes) == before, "not at rest"
    assert server.peek(DGDSA, *ADAPTER) is not None
    return found


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    print(json.dumps(asyncio.run(measure()), indent=1))
