"""What a process asks of the API server, and the one place where a fault gets in."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from dgdr_kube.errors import ClusterError
from dgdr_kube.event_writer import EventWriter
from dgdr_kube.index import Index
from dgdr_kube.kinds import Kind, kind_of
from dgdr_kube.ports import Change, Event, Kept, Listing, Manifest, Manifests, whole
from support.fake_cluster import FakeCluster
from support.fake_watches import FakeWatches

T = TypeVar("T")

READS = ("get", "list", "listing")


@dataclass(frozen=True, slots=True)
class Call:
    """One request of one process; ``number`` counts all of the run, ``nth`` its writes."""

    number: int
    nth: int
    process: str
    verb: str
    kind: Kind
    name: str

    @property
    def is_write(self) -> bool:
        return self.verb not in READS

    def __str__(self) -> str:
        return f"{self.verb} {self.kind.kind} {self.name or '*'}"


class Fault(Protocol):
    """What happens around a call: nothing, unless it is the one that is meant."""

    async def around(self, call: Call, client: "Client", send: Callable[[], Awaitable[T]]) -> T:
        """Answer a call; ``send`` has the server do it."""
        ...


class NoFault:
    async def around(self, call: Call, client: "Client", send: Callable[[], Awaitable[T]]) -> T:
        return await send()


@dataclass
class Line:
    """The line of all processes to one server: counts, delays, and disturbs what is sent.

    ``latency_s`` bounds how long a call takes, so that processes and passes interleave.
    """

    server: FakeCluster
    watches: FakeWatches
    fault: Fault
    dice: random.Random
    latency_s: tuple[float, float] = (0.002, 0.02)
    calls: list[Call] = field(default_factory=list)
    writes: int = 0
    on_call: Callable[[], None] = lambda: None

    def time_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def send(
        self, client: "Client", verb: str, kind: Kind, name: str, do: Callable[[], Awaitable[T]]
    ) -> T:
        call = Call(len(self.calls), self.writes, client.process, verb, kind, name)
        self.calls.append(call)
        self.writes += call.is_write
        await asyncio.sleep(self.dice.uniform(*self.latency_s))
        self.on_call()
        return await self.fault.around(call, client, do)


class Killable(Protocol):
    """The process that a client belongs to."""

    def kill(self) -> None: ...

    def cut_off(self) -> None: ...


class Client:
    """Implements ``dgdr_kube.ports.WatchedCluster`` and ``Watching`` for one process."""

    def __init__(self, line: Line, process: str) -> None:
        self.line = line
        self.process = process
        self.is_cut_off = False
        self.process_of: Killable | None = None
        self._events = EventWriter(self, process, lambda: line.server.now)

    async def cut_off(self) -> None:
        """Never come back: what a dead process, or one without a network, hears."""
        await asyncio.Event().wait()

    async def _send(self, verb: str, kind: Kind, name: str, do: Callable[[], Awaitable[T]]) -> T:
        if self.is_cut_off:
            await self.cut_off()
        return await self.line.send(self, verb, kind, name, do)

    # -- ports.Cluster

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        server = self.line.server
        return await self._send("get", kind, name, lambda: server.get(kind, namespace, name))

    async def list(
        self,
        kind: Kind,
        namespace: str | None,
        labels: Mapping[str, str] | None = None,
        *,
        kept: Kept = whole,
    ) -> Manifests:
        server = self.line.server
        return await self._send(
            "list", kind, "", lambda: server.list(kind, namespace, labels, kept=kept)
        )

    async def create(self, manifest: Manifest, manager: str) -> Manifest:
        server, name = self.line.server, manifest["metadata"]["name"]
        kind = kind_of(manifest)
        return await self._send("create", kind, name, lambda: server.create(manifest, manager))

    async def apply(
        self,
        manifest: Manifest,
        manager: str,
        force: bool = True,
        resource_version: str | None = None,
    ) -> Manifest:
        server, name = self.line.server, manifest["metadata"]["name"]
        return await self._send(
            "apply",
            kind_of(manifest),
            name,
            lambda: server.apply(manifest, manager, force, resource_version),
        )

    async def patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: Manifest,
        manager: str,
        resource_version: str | None = None,
    ) -> Manifest:
        server = self.line.server
        return await self._send(
            "patch",
            kind,
            name,
            lambda: server.patch(kind, namespace, name, patch, manager, resource_version),
        )

    async def patch_status(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        status: Manifest,
        manager: str,
        resource_version: str | None = None,
    ) -> Manifest:
        server = self.line.server
        return await self._send(
            "patch_status",
            kind,
            name,
            lambda: server.patch_status(kind, namespace, name, status, manager, resource_version),
        )

    async def scale(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        replicas: int,
        manager: str,
        resource_version: str | None = None,
    ) -> None:
        server = self.line.server
        await self._send(
            "scale",
            kind,
            name,
            lambda: server.scale(kind, namespace, name, replicas, manager, resource_version),
        )

    async def delete(
        self, kind: Kind, namespace: str | None, name: str, uid: str | None = None
    ) -> bool:
        server = self.line.server
        return await self._send(
            "delete", kind, name, lambda: server.delete(kind, namespace, name, uid)
        )

    async def emit(self, event: Event) -> None:
        await self._events.write(event)

    # -- ports.WatchedCluster, for who has no stores

    async def look(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        return await self.get(kind, namespace, name)

    async def find(
        self, kind: Kind, namespace: str | None, index: Index | None = None, value: str = ""
    ) -> Manifests:
        listed = await self.list(kind, namespace)
        return [found for found in listed if index is None or value in index.values(found)]

    @property
    def fresh(self) -> "Client":
        return self

    # -- ports.Watching

    async def listing(
        self,
        kind: Kind,
        namespace: str | None,
        labels: str = "",
        *,
        kept: Callable[[Manifest], T],
    ) -> Listing[T]:
        watches = self.line.watches
        return await self._send(
            "listing", kind, "", lambda: watches.listing(kind, namespace, labels, kept=kept)
        )

    @asynccontextmanager
    async def watch(
        self, kind: Kind, namespace: str | None, version: str, labels: str = ""
    ) -> AsyncIterator[AsyncIterator[Change]]:
        if self.is_cut_off:
            await self.cut_off()
        watching = self.line.watches.watch(kind, namespace, version, labels)
        async with watching as changes:
            yield _late(changes, self)


async def _late(changes: AsyncIterator[Change], client: Client) -> AsyncIterator[Change]:
    """Tell of changes a moment after they happened."""
    dice, bounds = client.line.dice, client.line.latency_s
    async for change in changes:
        await asyncio.sleep(dice.uniform(*bounds))
        yield change


def raising(error: ClusterError) -> Callable[[], Awaitable[T]]:
    """Return something to send that only fails."""

    async def fail() -> T:
        raise error

    return fail
