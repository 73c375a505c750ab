"""What goes on while a leader ends: a run profiles, adapters are scaled, a load grows."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from bench.outage_lanes import MANAGER
from bench.outage_seen import Seen, Wanted
from bench.outage_world import deploy_planned
from dgdr_api.names import Label
from dgdr_kube.client import KubeCluster
from dgdr_kube.kinds import DEPLOYMENT, DGD, DGDR, DGDSA, JOB
from dgdr_kube.ports import Key, Manifest
from support.dgdr_world import dgdr, generated_dgd
from support.dgds import decode_worker, dgd, frontend
from support.live_metrics import Frontend
from support.planning import DGD_NAME

SETTLED_S = 150.0
POINTS_EACH_S = 1.0
SCALES_EACH_S = 0.5
# Two candidates are there at a time, each for less than the minute that one may be idle.
CANDIDATES_EACH_S, CANDIDATES_AT_ONCE = 10.0, 2
# The Job is not started: this bench plays the profiler.
KEEP_JOB = {"profilingJob": {"suspend": True, "template": {"spec": {"containers": []}}}}
BUSY_PER_S = 9.4
ASKED = "asked"


class Scene(Protocol):
    """Work of a namespace."""

    async def prepare(self) -> None:
        """Make what there is before the first leader ends."""

    async def settle(self) -> None:
        """Come to rest before the next one does."""

    async def run(self) -> None:
        """Go on until cancelled."""

    async def ask(self) -> Wanted:
        """Want something of whoever leads next."""

    async def broken(self) -> list[str]:
        """Name what was done twice, or not at all."""


@dataclass
class Profiling:
    """A request whose profiler stores points, makes candidates and tells how far it is."""

    namespace: str
    kube: KubeCluster
    deployments: Seen
    _owner: list[Manifest] = field(default_factory=list)
    _run: str = ""
    _job: str = ""
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _candidates: list[str] = field(default_factory=list)
    _asked: str = ""

    async def prepare(self) -> None:
        request = dgdr(overrides=KEEP_JOB)
        request["metadata"] = {"name": "q", "namespace": self.namespace}
        made = await self.kube.apply(request, MANAGER)
        kind = {key: made[key] for key in ("apiVersion", "kind")}
        self._run = made["metadata"]["uid"]
        self._owner = [{**kind, "name": "q", "uid": self._run}]
        await until("a request that profiles", self._profiles)
        job = await self.kube.get(JOB, self.namespace, "profile-q")
        assert job is not None
        self._job = job["metadata"]["uid"]

    async def settle(self) -> None:
        """Nothing: it never rests."""

    async def run(self) -> None:
        for number in itertools.count():
            await self._point(number)
            if number % int(CANDIDATES_EACH_S / POINTS_EACH_S) == 0:
                await self._candidate()
            await asyncio.sleep(POINTS_EACH_S)

    async def ask(self) -> Wanted:
        if self._asked:
            await self.kube.delete(DGD, self.namespace, self._asked)
        self._asked = await self._make()
        return Wanted(self.deployments, Key(self.namespace, f"{self._asked}-decode"))

    async def broken(self) -> list[str]:
        jobs = await self.kube.list(JOB, self.namespace)
        if [job["metadata"]["uid"] for job in jobs] == [self._job]:
            return []
        return [f"Jobs: {[job['metadata']['name'] for job in jobs]}"]

    async def _profiles(self) -> bool:
        found = await self.kube.get(DGDR, self.namespace, "q") or {}
        return bool((found.get("status") or {}).get("phase") == "Profiling")

    async def _point(self, number: int) -> None:
        labels = {Label.DGDR_NAME.value: "q", Label.DGDR_NAMESPACE.value: self.namespace}
        records = {**labels, Label.RECORDS.value: "points"}
        text = f"candidate {number % 3 + 1} of 3, {number} points"
        told = {"phase": "SweepingDecode", "message": text}
        for name, own, data in (
            (f"points-{number}", records, {"points": "{}"}),
            ("dgdr-output-q", labels, told),
        ):
            meta = {"name": name, "namespace": self.namespace, "labels": own}
            config = {"apiVersion": "v1", "kind": "ConfigMap", "data": data}
            owned = {**meta, "ownerReferences": self._owner}
            await self.kube.apply({**config, "metadata": owned}, MANAGER)

    async def _candidate(self) -> None:
        self._candidates.append(await self._make())
        if len(self._candidates) > CANDIDATES_AT_ONCE:
            await self.kube.delete(DGD, self.namespace, self._candidates.pop(0))

    async def _make(self) -> str:
        name = f"q-c{next(self._numbers)}"
        candidate = generated_dgd(name=name)
        labels = {Label.RUN.value: self._run, Label.CANDIDATE.value: name}
        candidate["metadata"] |= {
            "namespace": self.namespace,
            "labels": labels,
            "ownerReferences": self._owner,
        }
        await self.kube.apply(candidate, MANAGER)
        return name


@dataclass
class Scaling:
    """Adapters that are scaled, several a second."""

    namespace: str
    kube: KubeCluster
    deployments: Seen
    _names: tuple[str, ...] = ("a", "b")
    _asked: int = 1

    async def prepare(self) -> None:
        for name in (*self._names, ASKED):
            worker = decode_worker(replicas=1, scalingAdapter={}, main={"command": ["serve"]})
            graph = dgd(frontend(), worker)
            graph["metadata"] |= {"name": name, "namespace": self.namespace}
            await self.kube.apply(graph, MANAGER)
        await until("adapters", self._adapted)

    async def settle(self) -> None:
        """Nothing: it never rests."""

    async def run(self) -> None:
        for number in itertools.count():
            await self._scale(self._names[number % 2], 1 + number % 3)
            await asyncio.sleep(SCALES_EACH_S)

    async def ask(self) -> Wanted:
        wanted = self._asked = 2 if self._asked == 1 else 1
        now_s = time.monotonic()
        await self._scale(ASKED, wanted)
        return Wanted(
            self.deployments,
            Key(self.namespace, f"{ASKED}-decode"),
            lambda one: bool(one["spec"]["replicas"] == wanted),
            now_s,
        )

    async def broken(self) -> list[str]:
        """Stop for a moment, and compare what each says."""
        for name in self._names:
            await self._scale(name, 8)
        try:
            await until("8 replicas", self._agreed)
        except AssertionError:
            return ["replicas do not follow their adapters"]
        return []

    async def _scale(self, name: str, replicas: int) -> None:
        await self.kube.scale(DGDSA, self.namespace, f"{name}-decode", replicas, MANAGER)

    async def _adapted(self) -> bool:
        found = await self.kube.list(DGDSA, self.namespace)
        return len(found) == len(self._names) + 1

    async def _agreed(self) -> bool:
        found = await self.kube.list(DEPLOYMENT, self.namespace)
        replicas = {one["metadata"]["name"]: one["spec"]["replicas"] for one in found}
        return all(replicas[f"{name}-decode"] == 8 for name in self._names)


@dataclass
class Planning:
    """A load that grows in the moment in which the planner's leader ends."""

    namespace: str
    kube: KubeCluster
    adapters: Seen
    front: Frontend

    async def prepare(self) -> None:
        await deploy_planned(self.kube, self.namespace)

    async def settle(self) -> None:
        self.front.rate_per_s = 0.0
        await until("one replica each", self._is_small)

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def ask(self) -> Wanted:
        self.front.rate_per_s = BUSY_PER_S
        return Wanted(
            self.adapters,
            Key(self.namespace, f"{DGD_NAME}-prefill"),
            lambda one: bool(one["spec"]["replicas"] > 1),
            time.monotonic(),
        )

    async def broken(self) -> list[str]:
        return []

    async def _is_small(self) -> bool:
        keys = [Key(self.namespace, f"{DGD_NAME}-{part}") for part in ("prefill", "decode")]
        found = [self.adapters.now(key) for key in keys]
        return [one and one["spec"]["replicas"] for one in found] == [1, 1]


async def until(what: str, check: Callable[[], Awaitable[bool]]) -> None:
    """Wait for something."""
    for _ in range(int(SETTLED_S / 0.5)):
        if await check():
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"not within {SETTLED_S:.0f} s: {what}")
