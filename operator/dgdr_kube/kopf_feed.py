"""One watch for everybody: it tells kopf, and answers the passes.

kopf's own stream gives up for good on a 403 or a 503 that lasts, on a 410 that comes as a status,
on a line that is no JSON; then its stop may hang, and the process lives on without ears. So the one
function that its watchers read from is replaced by one that follows as the planner does. What it
tells besides: objects that went while nobody could watch. docs/decisions/0013-kopf-is-fed.md

Nor does it look at the start for what kinds there are: a 404 in that moment, as of a CRD that is
just being installed, would leave a kind without a watch for good.

What was told is kept: passes read from these stores. docs/decisions/0016-passes-read-a-cache.md
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from kopf import RawEvent
from kopf._cogs.clients import scanning, watching
from kopf._cogs.structs.references import Resource

from dgdr_kube.following import Watch, follow
from dgdr_kube.index import Index
from dgdr_kube.kinds import CRD, NAMESPACE, Kind
from dgdr_kube.metrics import Followed, KubeMetrics
from dgdr_kube.ports import ChangeType, Kept, Manifest, Watching, whole
from dgdr_kube.serving import Health
from dgdr_kube.store import PARTIAL, Store

Seen = Manifest | None
Heard = Callable[[Kind, Seen, Seen], None]
"""Hears an object of a kind as it was and as it is; None: not there."""


def _nobody(_: Kind, _old: Seen, _new: Seen) -> None:
    """Nobody listens."""


# Kinds that kopf waits for before it begins, and with its settings here never reads.
_KOPFS_OWN = (NAMESPACE, CRD)
# kopf's orchestrator hears of kinds only where it waits for them already: some turns of the loop
# after its start, less than ten.
_TURNS = 100
_WATCHED = frozenset({"list", "watch"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What is followed of one kind: what the server tells of it, and what is kept of that.

    ``label`` narrows it to the objects that carry it, ``unless`` takes those out that carry this.
    ``needed``: without it the process is not ready. ``tells_first``: kopf hears of what is there at
    the start, and not only of what changes. ``packed``: kept in little space, see ``Store``.
    """

    kind: Kind
    label: str = ""
    unless: str = ""
    kept: Kept = whole
    indices: tuple[Index, ...] = ()
    needed: bool = True
    tells_first: bool = False
    packed: bool = True

    @property
    def selector(self) -> str:
        """The label selector."""
        return ",".join(part for part in (self.label, self.unless and f"!{self.unless}") if part)


@dataclass(frozen=True, slots=True)
class _Followed:
    """One collection in one namespace, or in all (None)."""

    collection: Collection
    scope: str | None
    store: Store
    watch: Watch

    @property
    def name(self) -> str:
        wanted = self.collection
        return wanted.kind.plural + (f" by {wanted.label}" if wanted.label else "")

    @property
    def needed(self) -> bool:
        return self.collection.needed


@dataclass
class Feed:
    """Follows collections, in some namespaces or in all (None), and tells kopf of them.

    ``back`` is called whenever one is followed again after a failure. ``heard`` is told of what is
    there at the start too, before kopf and at once.
    """

    source: Watching
    collections: Sequence[Collection]
    scopes: Sequence[str | None]
    back: Callable[[], None]
    heard: Heard = _nobody
    stores: Mapping[Kind, Sequence[Store]] = field(init=False)
    _followed: list[_Followed] = field(default_factory=list)
    _news: dict[tuple[Kind, str | None], "asyncio.Queue[RawEvent | None]"] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        stores: dict[Kind, list[Store]] = {}
        for wanted in self.collections:
            store = Store(
                partial(self._tell, wanted),
                wanted.kept,
                label=wanted.label,
                indices=wanted.indices,
                packed=wanted.packed,
            )
            stores.setdefault(wanted.kind, []).append(store)
            for scope in self._scopes_of(wanted.kind):
                self._followed.append(_Followed(wanted, scope, store, Watch(self.back)))
        self.stores = stores

    def install(self, health: Health) -> None:
        """Have kopf read from here; a kind that it does not ask for reads as silent."""
        watching.infinite_watch = self.stream
        scanning.scan_resources = self.resources
        for followed in self._followed:
            if followed.needed:
                health.follow(followed.name, followed.scope, followed.watch)

    def show(self, metrics: KubeMetrics) -> None:
        """Show what is followed, and how much of it is kept."""
        metrics.show_watches(
            Followed(one.collection.kind, one.collection.label, one.scope, one.watch, one.needed)
            for one in self._followed
        )
        metrics.show_stores((kind, store) for kind, those in self.stores.items() for store in those)

    async def resources(self, **_: Any) -> Set[Resource]:
        """Return the kinds that are followed; in place of kopf's ``scan_resources``."""
        for _turn in range(_TURNS):
            await asyncio.sleep(0)
        kinds = {wanted.kind for wanted in self.collections} | {*_KOPFS_OWN}
        return {_resource(kind) for kind in kinds}

    async def listed(self) -> None:
        """Wait until everything was listed, but for what may not be."""
        for followed in self._followed:
            await followed.watch.answered.wait()

    async def stream(
        self, *, resource: Any, namespace: str | None, **_: Any
    ) -> AsyncIterator[RawEvent | watching.Bookmark]:
        """Tell what is there and what changes; in place of kopf's ``infinite_watch``."""
        asked = resource.group, resource.version, resource.plural
        ours = [f for f in self._followed if _named(f.collection.kind) == asked]
        ours = [f for f in ours if f.scope in (None, namespace)]
        news: asyncio.Queue[RawEvent | None] = asyncio.Queue()
        self._news[ours[0].collection.kind, ours[0].scope] = news
        following = [asyncio.create_task(self._follow(f), name=f"follow {f.name}") for f in ours]
        for task in following:
            task.add_done_callback(lambda _: news.put_nowait(None))
        try:
            while (told := await news.get()) is not None:
                yield told
            # Nothing but a fault of ours ends one: kopf hears of that, and ends.
            await asyncio.wait(following, return_when=asyncio.FIRST_COMPLETED)
            for task in following:
                if task.done():
                    task.result()
        finally:
            for task in following:
                task.cancel()

    async def _follow(self, followed: _Followed) -> None:
        wanted = followed.collection
        await follow(
            self.source,
            wanted.kind,
            followed.scope,
            followed.store,
            labels=wanted.selector,
            watch=followed.watch,
        )

    def _scopes_of(self, kind: Kind) -> Iterable[str | None]:
        return self.scopes if kind.namespaced else (None,)

    def _tell(self, collection: Collection, old: Seen, new: Seen) -> None:
        kind, there = collection.kind, (new or old or {})["metadata"].get("namespace")
        self.heard(kind, old, new)
        for scope in (None, there):
            if news := self._news.get((kind, scope)):
                first = not self._was_listed(kind, scope)
                if _is_news(old, new) and (collection.tells_first or not first):
                    news.put_nowait(event(old, new, first=first))
                return

    def _was_listed(self, kind: Kind, scope: str | None) -> bool:
        """Whether what is told now has changed since somebody listed it."""
        found = [f for f in self._followed if f.collection.kind == kind and f.scope == scope]
        return all(followed.watch.answered.is_set() for followed in found)


def event(old: Seen, new: Seen, *, first: bool = False) -> RawEvent:
    """Return a change as kopf reads it; an object that is gone is told as it was.

    What was there before we were has no type.
    """
    if new is None:
        type_ = ChangeType.DELETED.value
    elif first:
        type_ = None
    else:
        type_ = (ChangeType.ADDED if old is None else ChangeType.MODIFIED).value
    return cast(RawEvent, {"type": type_, "object": new or old})


def _resource(kind: Kind) -> Resource:
    return Resource(
        kind.group,
        kind.version,
        kind.plural,
        kind=kind.kind,
        singular=kind.kind.lower(),
        namespaced=kind.namespaced,
        verbs=_WATCHED,
    )


def _named(kind: Kind) -> tuple[str, str, str]:
    return kind.group, kind.version, kind.plural


def _is_news(old: Seen, new: Seen) -> bool:
    """Whether something differs of what is kept, beside the version."""
    if old is None or new is None or new.get(PARTIAL):
        return True
    return {**old, "metadata": _versionless(old)} != {**new, "metadata": _versionless(new)}


def _versionless(manifest: Manifest) -> Manifest:
    return {key: value for key, value in manifest["metadata"].items() if key != "resourceVersion"}
