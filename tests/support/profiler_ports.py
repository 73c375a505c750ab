"""Fakes of the profiler's outside: a namespace in memory, and engines with known times."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dgdr_api.graph import Graph
from dgdr_api.points import Point, PointKind
from dgdr_load.results import LoadResult, Percentiles
from dgdr_load.steady import Steady
from dgdr_profiler.adapters.kube import AlreadyExists, ClusterError, Manifest, NotFound, Resource
from dgdr_profiler.core.candidate import EngineFacts, Fetched
from dgdr_profiler.core.cells import Call
from dgdr_profiler.core.errors import CandidateFailed, MeasurementFailed
from dgdr_profiler.core.journal import Entry, Reused, from_text, to_text
from dgdr_profiler.core.measured import Measured
from dgdr_profiler.core.progress import Progress
from dgdr_profiler.ports import Result, Tell
from support.profiling import FACTS, itl_ms, ttft_ms


class MemoryKube:
    """Objects of one namespace, with the few rules of the API server that the profiler meets."""

    def __init__(self) -> None:
        self.namespace = "ns"
        self.objects: dict[tuple[str, str], Manifest] = {}
        self.writes: list[tuple[str, str, str]] = []
        self.logs: dict[str, str] = {}
        self.forbidden: set[Resource] = set()
        self.refused: ClusterError | None = None
        self.calls: set[tuple[str, str, str]] = set()

    def put(self, resource: Resource, manifest: Manifest) -> None:
        self.objects[resource.plural, manifest["metadata"]["name"]] = copy.deepcopy(manifest)

    def names(self, resource: Resource) -> list[str]:
        return sorted(name for plural, name in self.objects if plural == resource.plural)

    async def get(self, resource: Resource, name: str) -> Manifest | None:
        self.calls.add(("get", resource.plural, name))
        return copy.deepcopy(self.objects.get((resource.plural, name)))

    async def list(
        self,
        resource: Resource,
        selector: Mapping[str, str],
        fields: Mapping[str, str] | None = None,
    ) -> list[Manifest]:
        self.calls.add(("list", resource.plural, ""))
        if resource in self.forbidden:
            raise ClusterError(f"{resource.plural} is forbidden", 403)
        found = [o for (plural, _), o in self.objects.items() if plural == resource.plural]
        return [
            copy.deepcopy(o)
            for o in found
            if selector.items() <= (o["metadata"].get("labels") or {}).items()
            and all(_field(o, path) == value for path, value in (fields or {}).items())
        ]

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        name = manifest["metadata"]["name"]
        self.calls.add(("create", resource.plural, ""))
        if self.refused is not None:
            raise self.refused
        if (resource.plural, name) in self.objects:
            raise AlreadyExists(f"{name} exists", 409)
        self.writes.append(("create", resource.plural, name))
        self.put(resource, manifest)
        return manifest

    async def merge(self, resource: Resource, name: str, patch: Manifest) -> Manifest:
        self.calls.add(("patch", resource.plural, name))
        if (resource.plural, name) not in self.objects:
            raise NotFound(f"{name} not found", 404)
        self.writes.append(("merge", resource.plural, name))
        merged: Manifest = _merge(self.objects[resource.plural, name], patch)
        self.objects[resource.plural, name] = merged
        return merged

    async def delete(self, resource: Resource, name: str) -> None:
        self.calls.add(("delete", resource.plural, name))
        self.writes.append(("delete", resource.plural, name))
        self.objects.pop((resource.plural, name), None)

    async def log_tail(self, pod: str, container: str, previous: bool, lines: int) -> str:
        self.calls.add(("get", "pods/log", pod))
        return "".join(self.logs.get(pod, "").splitlines(keepends=True)[-lines:])

    async def log(self, pod: str, container: str, limit_bytes: int) -> str:
        self.calls.add(("get", "pods/log", pod))
        return self.logs.get(pod, "")[:limit_bytes]


def _field(found: Any, path: str) -> Any:
    for key in path.split("."):
        found = found[key]
    return found


def _merge(old: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(old) if isinstance(old, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


@dataclass
class FakeDeployments:
    """Deployments that stand at once, or fail with a reason.

    ``hang`` are graphs that do not answer after a failure, ``clinging`` graphs whose pods stay for
    that many calls.
    """

    broken: dict[str, str | CandidateFailed] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    up: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)
    hang: set[str] = field(default_factory=set)
    clinging: dict[str, int] = field(default_factory=dict)
    facts: EngineFacts = FACTS
    sent: dict[str, Fetched] = field(default_factory=dict)

    async def standing(self, graph: Graph) -> bool:
        return graph.name in self.left

    async def deploy(self, graph: Graph, model: str, tell: Tell) -> EngineFacts:
        self.log.append(f"deploy {graph.name}")
        self.up.add(graph.name)
        if graph.name in self.broken:
            why = self.broken[graph.name]
            await tell(80, str(why))
            raise why if isinstance(why, CandidateFailed) else CandidateFailed(why)
        return self.facts

    async def retire(self, graph: Graph, patience_s: float) -> str | None:
        left = self.clinging.get(graph.name, 0)
        if left:
            self.clinging[graph.name] = left - 1
            return "pods d-1 have not ended"
        self.log.append(f"retire {graph.name}")
        self.up.discard(graph.name)
        return None

    async def fetched(self, graph: Graph, parts: int) -> Fetched | None:
        return self.sent.get(graph.name)

    async def serves(self, graph: Graph, model: str) -> bool:
        return graph.name not in self.hang


@dataclass
class FakeLoad:
    """A load tool that measures the engine whose times are known.

    ``slowness`` is by how much those are longer whose name has a part.
    """

    failures: int = 0
    slowness: Mapping[str, float] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    async def measure(self, graph: Graph, model: str, call: Call) -> Measured:
        self.calls.append(call)
        if self.failures:
            self.failures -= 1
            raise MeasurementFailed("AIPerf did not end within 300 s")
        tp = int(graph.name.rpartition("tp")[2])
        slow = math.prod(by for part, by in self.slowness.items() if part in graph.name)
        results = [
            _result(cell.phase, cell.kind, cell.isl, cell.osl, cell.concurrency, tp, slow)
            for cell in call.cells
        ]
        return Measured(results=results, started_at=datetime(2026, 1, 1, tzinfo=UTC), wall_s=20)


def _result(
    phase: str, kind: PointKind, isl: int, osl: int, batch: int, tp: int, slow: float
) -> LoadResult:
    itl = itl_ms(tp, batch, batch * (isl + osl / 2)) * slow
    first = ttft_ms(tp, isl) * slow
    decode = kind is PointKind.DECODE
    return LoadResult(
        phase=phase,
        ttft_ms=Percentiles(avg=first, p50=first, p90=first, p99=first, min=first),
        itl_ms=Percentiles(avg=itl, p50=itl, p90=itl, p99=itl, min=itl),
        effective_concurrency=batch,
        effective_decode_concurrency=batch,
        output_tokens_per_s=1000 * batch / itl,
        isl_mean=isl,
        osl_mean=osl or 4,
        sent=10,
        completed=10,
        errors=0,
        cancelled=0,
        duration_s=3,
        steady=Steady(batch=batch, itl_ms=itl, output_tokens_per_s=1000 * batch / itl, window_s=2)
        if decode
        else None,
    )


@dataclass
class MemoryRecords:
    """Records that outlive a run of the test, as ConfigMaps outlive a pod."""

    stored: list[Point] = field(default_factory=list)
    elsewhere: list[Reused] = field(default_factory=list)
    journal: dict[str, str] = field(default_factory=dict)
    shown: list[Progress] = field(default_factory=list)
    result: Result | None = None
    error: str | None = None
    spent_by_earlier_pods_s: float = 0.0

    def spent_s(self, now: datetime) -> float:
        return self.spent_by_earlier_pods_s

    async def points(self) -> tuple[Point, ...]:
        return tuple(self.stored)

    async def add(self, points: tuple[Point, ...]) -> None:
        self.stored += points

    async def measured_elsewhere(self, engine: str) -> tuple[Reused, ...]:
        return tuple(r for r in self.elsewhere if r.point.engine == engine)

    async def entries(self) -> tuple[Entry, ...]:
        return tuple(from_text(text) for text in self.journal.values())

    async def enter(self, entry: Entry) -> None:
        self.journal[entry.key] = to_text(entry)

    async def show(self, progress: Progress) -> None:
        self.shown.append(progress)

    async def succeed(self, result: Result) -> None:
        self.result = result

    async def fail(self, message: str) -> None:
        self.error = message
