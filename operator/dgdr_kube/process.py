"""The process around a controller: its loops, its health, its exit code.

A controller that lost one of its loops looks alive and does nothing, so the end of any of them
ends the process; the kubelet starts it again, and level-triggered passes pick up where it was.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from dgdr_kube.errors import ClusterError
from dgdr_kube.serving import Health
from dgdr_kube.workqueue import Backoff

T = TypeVar("T")

log = logging.getLogger(__name__)

EXIT_STOPPED = 0
EXIT_LOOP_ENDED = 1
HEARTBEAT_S = 10.0
START_BACKOFF = Backoff(first_s=1.0, longest_s=8.0, jitter=0.0)


async def patiently(
    call: Callable[[], Awaitable[T]],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Return what a call at the start returns, however long the API server does not answer it.

    A process that ended instead would be started again after up to five minutes, when the outage
    is over for long.
    """
    failures = 0
    while True:
        try:
            return await call()
        except ClusterError as exc:
            failures += 1
            delay_s = START_BACKOFF.delay_s(failures, 0.5)
            log.warning("Cannot start yet: %s; again in %.0f s", exc, delay_s)
            await sleep(delay_s)


async def heartbeat(health: Health, loop: str) -> None:
    """Beat as long as the event loop turns."""
    while True:
        health.beat(loop)
        await asyncio.sleep(HEARTBEAT_S)


async def run_together(
    watcher: Coroutine[Any, Any, None], loops: Mapping[str, Coroutine[Any, Any, None]]
) -> int:
    """Run until the first of them ends; returns the process's exit code.

    The watcher ends by itself on SIGTERM, which is no failure. None of the others may end.
    """
    others = [asyncio.create_task(coro, name=name) for name, coro in loops.items()]
    watching = asyncio.create_task(watcher, name="watcher")
    tasks = {watching, *others}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        await end(tasks)
        raise
    code = EXIT_STOPPED
    for task in done:
        error = task.exception()
        if error is not None or task is not watching:
            log.error("Loop %s ended", task.get_name(), exc_info=error)
            code = EXIT_LOOP_ENDED
    await end(tasks - done)
    return code


async def until_told(work: Coroutine[Any, Any, int]) -> int:
    """Run to the end, or until SIGTERM or SIGINT; returns the exit code.

    The first process of a container ends by no signal that it does not handle. kopf takes both
    over while it runs.
    """
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return EXIT_STOPPED


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, Exception):
            await task
