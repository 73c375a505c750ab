"""A process behind an API server of its own, and what is wanted of it meanwhile."""

import asyncio
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from bench.outage_faults import BadDay
from bench.outage_seen import Seen, Verdict, Wanted, all_there, seconds_after
from dgdr_kube.client import KubeCluster
from dgdr_kube.kinds import DEPLOYMENT, DGD, DGDSA
from dgdr_kube.ports import Key, Manifest
from dgdr_kube.process import patiently
from support.api_faults import FaultyApi
from support.dgds import decode_worker, dgd, frontend
from support.kubelet import Kubelet
from support.live_metrics import Frontend
from support.planning import DGD_NAME

MANAGER = "outages"
SETTLED_S = 150.0
ZOMBIE_S = 60.0
GIVEN_UP_S = 240.0
GONE_S = 30.0
# Prefill and decode need more than one replica for it.
BUSY_PER_S = 9.4


class NotSettled(Exception):
    """Nothing was broken, and what was wanted did not come."""


class Work(Protocol):
    """What is wanted of a process; ``wanted`` is what has to come of it."""

    wanted: dict[str, Wanted]

    async def prepare(self) -> None:
        """Come to rest, with something to change."""

    async def begin(self) -> None:
        """Want something in the moment in which a day begins."""

    async def change(self) -> None:
        """Want something while it lasts."""

    async def after(self) -> None:
        """Want something when it is over."""

    async def left_over(self) -> int:
        """Count what should have gone meanwhile."""

    async def control(self) -> float | None:
        """Return how long something takes with nothing broken; None: it was not tried."""

    async def clear(self) -> None:
        """Take away what the day has left."""


@dataclass
class Deployments:
    """An operator's work: deployments are made, scaled and deleted, and a child goes by hand."""

    namespace: str
    kube: KubeCluster
    seen: Seen
    adapters: Seen
    wanted: dict[str, Wanted] = field(default_factory=dict)
    days: int = 0
    _made: list[str] = field(default_factory=list)

    async def prepare(self) -> None:
        self.days += 1
        self.wanted = {}
        await self._make("gone")
        await self._make("old", _worker())
        worker = self._key("old", "decode")
        self.wanted["its worker"] = Wanted(self.seen, worker)
        self.wanted["its adapter"] = Wanted(self.adapters, worker)
        await settled(self.wanted.values())
        self.wanted = {}

    async def begin(self) -> None:
        await self._make("begun")

    async def change(self) -> None:
        await self._make("made")
        worker, front = self._key("old", "decode"), self._key("old", "frontend")
        await patiently(lambda: self.kube.scale(DGDSA, *worker, 3, MANAGER), _at_once)
        self.wanted["scaled"] = Wanted(
            self.seen, worker, lambda one: bool(one["spec"]["replicas"] == 3)
        )
        found = await patiently(lambda: self.kube.get(DEPLOYMENT, *front), _at_once)
        assert found is not None
        uid = found["metadata"]["uid"]
        await patiently(lambda: self.kube.delete(DEPLOYMENT, *front), _at_once)
        self.wanted["made again"] = Wanted(
            self.seen, front, lambda one: bool(one["metadata"]["uid"] != uid)
        )
        await patiently(lambda: self.kube.delete(DGD, *self._key("gone")), _at_once)

    async def after(self) -> None:
        await self._make("after")

    async def left_over(self) -> int:
        for _ in range(int(GONE_S)):
            if self.seen.now(self._key("gone", "frontend")) is None:
                return 0
            await asyncio.sleep(1.0)
        return 1

    async def control(self) -> float | None:
        began_s = time.monotonic()
        await self._make("control")
        await settled([self.wanted.pop("control")])
        return round(time.monotonic() - began_s, 2)

    async def clear(self) -> None:
        while self._made:
            name = self._made.pop()
            await patiently(partial(self.kube.delete, DGD, self.namespace, name), _at_once)

    async def _make(self, what: str, *workers: Manifest) -> None:
        graph, key = dgd(frontend(), *workers), self._key(what)
        graph["metadata"] |= {"namespace": key.namespace, "name": key.name}
        await patiently(lambda: self.kube.apply(graph, MANAGER), _at_once)
        self._made.append(key.name)
        self.wanted[what] = Wanted(self.seen, self._key(what, "frontend"))

    def _key(self, what: str, part: str = "") -> Key:
        tail = f"-{part}" if part else ""
        return Key(self.namespace, f"{what}-{self.days}{tail}")


@dataclass
class Load:
    """A planner's work: its deployment gets busy."""

    namespace: str
    frontend: Frontend
    seen: Seen
    wanted: dict[str, Wanted] = field(default_factory=dict)

    async def prepare(self) -> None:
        self.frontend.rate_per_s = 0.0
        self.wanted = {}
        end_s = time.monotonic() + SETTLED_S
        while any(replicas_of(self.seen, self._key(part)) != 1 for part in ("prefill", "decode")):
            if time.monotonic() > end_s:
                raise NotSettled(f"{self.namespace} does not shrink")
            await asyncio.sleep(1.0)

    async def begin(self) -> None:
        """Nothing: load is no object."""

    async def change(self) -> None:
        now_s = time.monotonic()
        self.frontend.rate_per_s = BUSY_PER_S
        for part in ("prefill", "decode"):
            self.wanted[part] = Wanted(self.seen, self._key(part), _has_more, now_s)

    async def after(self) -> None:
        """Nothing more."""

    async def left_over(self) -> int:
        return 0

    async def control(self) -> float | None:
        return None

    async def clear(self) -> None:
        self.frontend.rate_per_s = 0.0

    def _key(self, part: str) -> Key:
        return Key(self.namespace, f"{DGD_NAME}-{part}")


@dataclass
class Lane:
    """One process, its API server's line, its work."""

    name: str
    api: FaultyApi
    kubelet: Kubelet
    work: Work

    async def day(self, day: BadDay) -> Verdict:
        """See it through one bad day of its own."""
        ended_before = len(self.kubelet.ended)
        try:
            await self.work.prepare()
        except NotSettled:
            return self._verdict(day.name, day.watches, day.lasts_s, math.inf, ended_before)
        await self.work.begin()
        self.api.begin(day.answer, watches=day.watches)
        await asyncio.sleep(day.lasts_s / 2)
        await self.work.change()
        await asyncio.sleep(day.lasts_s / 2)
        self.api.end()
        ended_s = time.monotonic()
        await self.work.after()
        return await self.judged(day.name, day.watches, day.lasts_s, ended_s, ended_before)

    async def judged(
        self, fault: str, watches: str, lasts_s: float, ended_s: float, ended_before: int
    ) -> Verdict:
        """Wait for all that was wanted."""
        starts = self.kubelet.process.starts
        done = await all_there(self.work.wanted.values(), ended_s + ZOMBIE_S)
        is_same = self.kubelet.is_well and self.kubelet.process.starts == starts
        zombie = not done and is_same
        await all_there(self.work.wanted.values(), ended_s + GIVEN_UP_S)
        left_over = await self.work.left_over()
        verdict = self._verdict(fault, watches, lasts_s, ended_s, ended_before)
        control_s = await self.work.control() if done else None
        await self.work.clear()
        return replace(verdict, zombie=zombie, left_over=left_over, control_s=control_s)

    def _verdict(
        self, fault: str, watches: str, lasts_s: float, ended_s: float, ended_before: int
    ) -> Verdict:
        return Verdict(
            fault=fault,
            watches=watches,
            lasts_s=lasts_s,
            lane=self.name,
            ended=tuple(self.kubelet.ended[ended_before:]),
            seconds=seconds_after(self.work.wanted, ended_s),
            zombie=self.kubelet.is_well,
        )


def _worker() -> Manifest:
    return decode_worker(replicas=1, scalingAdapter={}, main={"command": ["serve"]})


def replicas_of(seen: Seen, key: Key) -> int | None:
    """Return the replicas that an object asks for; None: it is not there."""
    found = seen.now(key)
    return None if found is None else int(found["spec"]["replicas"])


async def settled(wanted: Iterable[Wanted]) -> None:
    """Wait for something at the beginning, when nothing is broken."""
    ours = [*wanted]
    if not await all_there(ours, time.monotonic() + SETTLED_S):
        raise NotSettled(f"not there: {[one.key for one in ours if one.when_s() is None]}")


def _has_more(adapter: Manifest) -> bool:
    return int(adapter["spec"]["replicas"]) > 1


async def _at_once(_: float) -> None:
    """Try again before long: what is wanted is timed."""
    await asyncio.sleep(0.2)
