"""Keep a store true: list once, then watch; list again whenever the watch may have missed a word.

While the API server does not answer, the store is not trusted: whoever looks asks the server, and
hears its refusal. So a broken watch costs what reading has cost without one, and hides nothing.
Nothing that a server may answer ends it, nor a fault of ours: it tries again, after a wait that is
never long.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from dgdr_kube.errors import ClusterError, Expired, Rejected, Unreachable
from dgdr_kube.kinds import Kind
from dgdr_kube.ports import ChangeType, Manifest, Watching
from dgdr_kube.store import Entry, Store
from dgdr_kube.workqueue import Backoff, asked_for_s

log = logging.getLogger(__name__)

# A watch that ends sooner is not opened again at once.
SHORTEST_S = 1.0
# The longest is how late an outage's end may be noticed.
BACKOFF = Backoff(first_s=1.0, longest_s=8.0, jitter=0.0)


def _nobody() -> None:
    """Nobody waits for it."""


@dataclass
class Watch:
    """Whether a collection is followed, and for how long nothing was heard of that.

    Heard is a page of a list, a change or a failure: whoever waits for the next try is not silent.
    ``back`` is called when a list works again after a failure. ``answered`` is set once the
    collection was listed, or may not be: before that, to decide on its store would be to ask for
    each object.
    ``lists``, ``failures`` and ``changes`` are counted since the start.
    """

    back: Callable[[], None] = _nobody
    clock: Callable[[], float] = time.monotonic
    followed: bool = False
    heard_s: float | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    lists: int = 0
    failures: int = 0
    changes: int = 0

    def __post_init__(self) -> None:
        self.heard()

    def heard(self) -> None:
        """Note a sign of life."""
        self.heard_s = self.clock()

    def silent_s(self) -> float:
        """Seconds since the last one."""
        return self.clock() - (self.heard_s or 0.0)

    def found(self) -> None:
        """Note that the collection was listed."""
        self.heard()
        self.lists += 1
        self.answered.set()
        if not self.followed:
            self.followed = True
            self.back()

    def lost(self, error: Exception) -> None:
        """Note that it is not followed any more."""
        self.heard()
        self.failures += 1
        self.followed = False
        if isinstance(error, Rejected):
            self.answered.set()


async def follow(
    source: Watching,
    kind: Kind,
    scope: str | None,
    store: Store,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    *,
    labels: str = "",
    watch: Watch | None = None,
) -> None:
    """Follow a collection, of a namespace or of all (None), until cancelled."""
    follower = _Follower(source, kind, scope, store, sleep, labels, watch or Watch())
    failures, loop = 0, asyncio.get_running_loop()
    while True:
        began_s = loop.time()
        try:
            await follower.list_and_watch()
        except Exception as exc:  # whatever it was: nobody else follows this collection
            store.lose(scope)
            follower.watch.lost(exc)
            # A list that works is no success where the watch after it does not.
            lasted = loop.time() - began_s > BACKOFF.longest_s
            failures = 1 if lasted else failures + 1
            if isinstance(exc, Expired) and failures == 1:
                log.info("%s: listed again: %s", kind.plural, exc)
                continue
            asked_s = min(asked_for_s(exc), BACKOFF.longest_s)
            delay_s = max(BACKOFF.delay_s(failures, 0.5), asked_s)
            is_foreseen = isinstance(exc, ClusterError)
            said = str(exc) if is_foreseen else repr(exc)
            text = "%s: not followed: %s; again in %.0f s"
            log.warning(text, kind.plural, said, delay_s, exc_info=not is_foreseen)
            await sleep(delay_s)
        finally:
            # However it ends, nobody is to trust what nobody follows.
            store.lose(scope)


@dataclass(frozen=True, slots=True)
class _Follower:
    source: Watching
    kind: Kind
    scope: str | None
    store: Store
    sleep: Callable[[float], Awaitable[None]]
    labels: str
    watch: Watch

    async def list_and_watch(self) -> None:
        """List, and then watch, again after each end that is none of a failure."""
        loop, asked_s = asyncio.get_running_loop(), self.watch.clock()
        listing = await self.source.listing(self.kind, self.scope, self.labels, kept=self._kept)
        self.store.take_over(self.scope, listing, asked_s)
        self.watch.found()
        version, was_quiet = listing.version, False
        while True:
            began_s = loop.time()
            version, is_quiet = await self._hear(version)
            is_short = loop.time() - began_s < SHORTEST_S
            if is_quiet and (is_short or was_quiet):
                raise Unreachable("the watch ended without a word")
            was_quiet = is_quiet
            if is_short:
                await self.sleep(SHORTEST_S)

    def _kept(self, manifest: Manifest) -> Entry:
        """Keep an object of a list: its page is a sign of life, though many more may follow."""
        self.watch.heard()
        return self.store.entry(manifest)

    async def _hear(self, version: str) -> tuple[str, bool]:
        """Hear one watch to its end; returns the version to go on from, and whether it was quiet.

        A server says each minute that it has nothing to tell. It may end one before that, as when
        it shuts down, but not one after the other.
        """
        is_quiet = True
        async with self.source.watch(self.kind, self.scope, version, self.labels) as changes:
            async for change in changes:
                is_quiet = False
                self.store.apply(change, self.scope)
                self.watch.heard()
                self.watch.changes += change.type is not ChangeType.BOOKMARK
                version = change.version
        return version, is_quiet
