"""An API server's watch, played from a script: listings, then the changes of each watch."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dgdr_kube.errors import ClusterError
from dgdr_kube.kinds import Kind
from dgdr_kube.ports import Change, ChangeType, Key, Listing, Manifest

Told = Change | ClusterError
T = TypeVar("T")


def thing(name: str, version: int, namespace: str = "a", **spec: Any) -> Manifest:
    meta = {"namespace": namespace, "name": name, "resourceVersion": str(version), "generation": 1}
    return {"metadata": meta, "spec": spec}


def key(name: str, namespace: str = "a") -> Key:
    return Key(namespace, name)


def added(name: str, version: int, **spec: Any) -> Change:
    return Change(ChangeType.ADDED, thing(name, version, **spec))


def modified(name: str, version: int, **spec: Any) -> Change:
    return Change(ChangeType.MODIFIED, thing(name, version, **spec))


def deleted(name: str, version: int) -> Change:
    return Change(ChangeType.DELETED, thing(name, version))


def bookmark(version: int) -> Change:
    return Change(ChangeType.BOOKMARK, {"metadata": {"resourceVersion": str(version)}})


@dataclass
class ScriptedWatching:
    """Implements ``dgdr_kube.ports.Watching``; where the script ends, it is silent for good.

    ``asked`` is what was asked for: ``list``, or the version that a watch goes on from.
    """

    listings: Iterable[Listing[Manifest] | ClusterError]
    watches: Iterable[Iterable[Told]]
    asked: list[str] = field(default_factory=list)
    silent: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._listings, self._watches = iter(self.listings), iter(self.watches)

    async def listing(
        self,
        kind: Kind,
        namespace: str | None,
        labels: str = "",
        *,
        kept: Callable[[Manifest], T],
    ) -> Listing[T]:
        self.asked.append("list")
        answer = next(self._listings, None)
        if answer is None:
            await self._nothing()
        if isinstance(answer, ClusterError):
            raise answer
        assert answer is not None
        return Listing([kept(item) for item in answer.items], answer.version)

    @asynccontextmanager
    async def watch(
        self, kind: Kind, namespace: str | None, version: str, labels: str = ""
    ) -> AsyncIterator[AsyncIterator[Change]]:
        self.asked.append(version)
        yield self._changes(next(self._watches, None))

    async def _changes(self, script: Iterable[Told] | None) -> AsyncIterator[Change]:
        if script is None:
            await self._nothing()
        for told in script or ():
            if isinstance(told, ClusterError):
                raise told
            yield told

    async def _nothing(self) -> None:
        self.silent.set()
        await asyncio.Event().wait()
