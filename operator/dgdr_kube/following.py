"""Keep a store true: list once, then watch; list again whenever the watch may have missed a word.

While the API server does not answer, the store is not trusted: whoever looks asks the server, and
hears its refusal. So a broken watch costs what reading has cost without one, and hides nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from dgdr_kube.errors import ClusterError, Expired
from dgdr_kube.kinds import Kind
from dgdr_kube.ports import Watching
from dgdr_kube.store import Store
from dgdr_kube.workqueue import Backoff

log = logging.getLogger(__name__)

# A watch that ends sooner is not opened again at once.
SHORTEST_S = 1.0
# A kind that is not installed, or may not be read, is asked for now and then.
BACKOFF = Backoff(first_s=1.0, longest_s=30.0, jitter=0.0)


async def follow(
    source: Watching,
    kind: Kind,
    scope: str | None,
    store: Store,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Follow a collection, of a namespace or of all (None), until cancelled."""
    failures, loop = 0, asyncio.get_running_loop()
    while True:
        began_s = loop.time()
        try:
            listing = await source.listing(kind, scope)
            store.replace(scope, listing)
            await _watch(source, kind, scope, store, listing.version, sleep)
        except ClusterError as exc:
            store.lose(scope)
            # A list that works is no success where the watch after it does not.
            lasted = loop.time() - began_s > BACKOFF.longest_s
            failures = 1 if lasted else failures + 1
            if isinstance(exc, Expired) and failures == 1:
                log.info("%s: listed again: %s", kind.plural, exc)
                continue
            delay_s = BACKOFF.delay_s(failures, 0.5)
            log.warning("%s: not followed: %s; again in %.0f s", kind.plural, exc, delay_s)
            await sleep(delay_s)


async def _watch(
    source: Watching,
    kind: Kind,
    scope: str | None,
    store: Store,
    version: str,
    sleep: Callable[[float], Awaitable[None]],
) -> None:
    """Watch from a version on, again after each end that is none of a failure."""
    loop = asyncio.get_running_loop()
    while True:
        began_s = loop.time()
        async with source.watch(kind, scope, version) as changes:
            async for change in changes:
                store.apply(change)
                version = change.version
        if loop.time() - began_s < SHORTEST_S:
            await sleep(SHORTEST_S)
