"""Lists and watches of a cluster in memory: what changed after a version, for as long as asked.

Every change is told, in the order of versions, to each watch whose selector fits. What a watch may
do on a bad day is in its ``Manners``, which a test changes at any moment.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from dgdr_kube.errors import ClusterError, Expired
from dgdr_kube.kinds import Kind
from dgdr_kube.ports import Change, ChangeType, Listing, Manifest

from .fake_cluster import FakeCluster

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Told:
    version: int
    type: ChangeType
    kind: Kind
    json: str
    before: str | None
    """As it was before: a watch with a selector tells of what no longer fits as deleted."""


@dataclass
class Manners:
    """How watches behave; all is well by default.

    ``hung`` watches say nothing and do not end; ``broken`` is raised by those that are open and
    by those that are opened; ``twice`` tells everything again.
    """

    hung: bool = False
    broken: ClusterError | None = None
    twice: bool = False


@dataclass
class FakeWatches:
    """Implements ``dgdr_kube.ports.Watching`` over a FakeCluster."""

    server: FakeCluster
    manners: Manners = field(default_factory=Manners)
    compacted: int = 0
    """Versions up to this one are forgotten."""

    def __post_init__(self) -> None:
        self._log: list[_Told] = []
        self._now: dict[tuple[Kind, str | None, str], str] = {}
        self._news: dict[asyncio.Event, None] = {}  # in the order in which they were opened
        for manifest in self.server.told():
            self._note(manifest)
        self.server.listeners.append(self._hear)

    def wake(self) -> None:
        """Have every watch look again: the manners have changed, or there is news."""
        for news in self._news:
            news.set()

    def compact(self) -> None:
        """Forget what happened so far: a watch that goes on from before has to list again."""
        self.compacted = self._version()

    async def listing(
        self,
        kind: Kind,
        namespace: str | None,
        labels: str = "",
        *,
        kept: Callable[[Manifest], T],
    ) -> Listing[T]:
        found = await self.server.list(kind, namespace)
        items = [kept(one) for one in found if selects(labels, one)]
        return Listing(items, str(self._version()))

    @asynccontextmanager
    async def watch(
        self, kind: Kind, namespace: str | None, version: str, labels: str = ""
    ) -> AsyncIterator[AsyncIterator[Change]]:
        if self.manners.broken is not None:
            raise self.manners.broken
        if int(version) < self.compacted:
            raise Expired(f"too old resource version: {version} ({self.compacted})")
        news = asyncio.Event()
        self._news[news] = None
        try:
            yield self._changes(kind, namespace, int(version), labels, news)
        finally:
            del self._news[news]

    async def _changes(
        self, kind: Kind, namespace: str | None, since: int, labels: str, news: asyncio.Event
    ) -> AsyncIterator[Change]:
        place = next((i for i, told in enumerate(self._log) if told.version > since), None)
        place = len(self._log) if place is None else place
        while True:
            if self.manners.broken is not None:
                raise self.manners.broken
            while place < len(self._log) and not self.manners.hung and not self.manners.broken:
                told = self._log[place]
                place += 1
                change = _change(told, kind, namespace, labels)
                if change is not None:
                    yield change
                    if self.manners.twice:
                        yield change
            news.clear()
            if place >= len(self._log) or self.manners.hung:
                await news.wait()

    def _version(self) -> int:
        return self.server.version

    def _hear(self, type_: ChangeType, kind: Kind, manifest: Manifest, who: str) -> None:
        before = self._note(manifest, gone=type_ is ChangeType.DELETED)
        version = int(manifest["metadata"]["resourceVersion"])
        self._log.append(_Told(version, type_, kind, self.server.text(manifest), before))
        self.wake()

    def _note(self, manifest: Manifest, *, gone: bool = False) -> str | None:
        """Remember an object as it is; returns how it was."""
        meta = manifest["metadata"]
        where = self.server.address(manifest)
        before = self._now.pop(where, None)
        if not gone:
            self._now[where] = json.dumps({"metadata": {"labels": meta.get("labels") or {}}})
        return before


def _change(told: _Told, kind: Kind, namespace: str | None, labels: str) -> Change | None:
    if told.kind != kind:
        return None
    manifest: Manifest = json.loads(told.json)
    if namespace not in (None, manifest["metadata"].get("namespace")):
        return None
    fits = selects(labels, manifest)
    did_fit = told.before is not None and selects(labels, json.loads(told.before))
    if told.type is ChangeType.DELETED or (did_fit and not fits):
        return Change(ChangeType.DELETED, manifest) if did_fit else None
    if not fits:
        return None
    return Change(ChangeType.MODIFIED if did_fit else ChangeType.ADDED, manifest)


def selects(labels: str, manifest: Manifest) -> bool:
    """Whether a label selector of the forms ``key``, ``!key`` and ``key=value`` fits an object."""
    carried = manifest["metadata"].get("labels") or {}
    for term in filter(None, labels.split(",")):
        key, equals, value = term.partition("=")
        if equals and carried.get(key) != value:
            return False
        if not equals and (key.lstrip("!") in carried) == key.startswith("!"):
            return False
    return True
