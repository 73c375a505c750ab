"""What kopf's watchers read: our own watch, which no answer of an API server ends.

kopf's own stream gives up for good on a 403 or a 503 that lasts, on a 410 that comes as a status,
on a line that is no JSON; then its stop may hang, and the process lives on without ears. So the one
function that its watchers read from is replaced by one that follows as the planner does. What it
tells besides: objects that went while nobody could watch. docs/decisions/0013-kopf-is-fed.md
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, cast

from kopf import RawEvent
from kopf._cogs.clients import watching

from dgdr_kube.following import Watch, follow
from dgdr_kube.kinds import Kind
from dgdr_kube.ports import ChangeType, Manifest, Watching
from dgdr_kube.serving import Health
from dgdr_kube.store import Store

Seen = Manifest | None
# Whoever is told of these looks at their labels and owners, and reads the rest when it is needed.
_METADATA_ONLY = frozenset({"", "apps", "batch"})
_UNREAD = frozenset({"managedFields", "annotations"})


class Feed:
    """Tells kopf of some kinds, in some namespaces or in all (None).

    ``labels`` narrows a kind, by its plural, to the objects that carry these. ``back`` is called
    whenever a kind is followed again after a failure.
    """

    def __init__(
        self,
        source: Watching,
        kinds: Iterable[Kind],
        scopes: Iterable[str | None],
        *,
        labels: Mapping[str, str],
        back: Callable[[], None],
    ) -> None:
        self._source = source
        self._labels = labels
        self._kinds = {(kind.group, kind.version, kind.plural): kind for kind in kinds}
        self._watches = {
            (kind, scope): Watch(back) for kind in self._kinds.values() for scope in scopes
        }

    def install(self, health: Health) -> None:
        """Have kopf read from here; a kind that it does not ask for reads as silent."""
        watching.infinite_watch = self.stream
        for (kind, scope), watch in self._watches.items():
            health.follow(kind.plural, scope, watch)

    async def stream(
        self, *, resource: Any, namespace: str | None, **_: Any
    ) -> AsyncIterator[RawEvent | watching.Bookmark]:
        """Tell what is there and what changes; in place of kopf's ``infinite_watch``."""
        kind = self._kinds[resource.group, resource.version, resource.plural]
        news: asyncio.Queue[RawEvent | None] = asyncio.Queue()
        store = Store(lambda old, new: news.put_nowait(event(old, new)), slim)
        following = asyncio.create_task(
            follow(
                self._source,
                kind,
                namespace,
                store,
                labels=self._labels.get(kind.plural, ""),
                watch=self._watches[kind, namespace],
            ),
            name=f"follow {kind.plural}",
        )
        following.add_done_callback(lambda _: news.put_nowait(None))
        try:
            while (told := await news.get()) is not None:
                yield told
            await following  # nothing but a fault of ours ends it: kopf hears of that, and ends
        finally:
            following.cancel()


def event(old: Seen, new: Seen) -> RawEvent:
    """Return a change as kopf reads it; an object that is gone is told as it was."""
    if new is None:
        type_ = ChangeType.DELETED
    else:
        type_ = ChangeType.ADDED if old is None else ChangeType.MODIFIED
    return cast(RawEvent, {"type": type_.value, "object": new or old})


def slim(manifest: Manifest) -> Manifest:
    """Return what is kept of an object while it is followed."""
    meta = {k: v for k, v in manifest["metadata"].items() if k not in _UNREAD}
    group, _, _ = str(manifest["apiVersion"]).rpartition("/")
    if group in _METADATA_ONLY:
        return {k: manifest[k] for k in ("apiVersion", "kind")} | {"metadata": meta}
    return {**manifest, "metadata": meta}
