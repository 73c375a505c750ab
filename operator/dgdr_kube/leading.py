"""Leader and work are one: when either ends, the other does, and the Lease is given up.

kubernetes.aio's own election renews for a leader whose work has died, and leaves a Lease to run
out: docs/decisions/0017-two-of-everything.md
"""

import asyncio
import logging
import math
import os
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from dgdr_kube.calls import CallTold, unheard
from dgdr_kube.candidate import Candidate
from dgdr_kube.client import KubeCluster
from dgdr_kube.process import EXIT_LOOP_ENDED, end
from dgdr_kube.serving import Health
from dgdr_kube.settings import LeaderElection

log = logging.getLogger(__name__)

Work = Callable[[], Coroutine[Any, Any, int]]


def _nobody() -> None:
    """Nobody waits for it."""


@dataclass
class Alone:
    """Leads without an election, where nobody else is: in development."""

    back: Callable[[], None] = _nobody

    def left_s(self) -> float:
        """Return that a write may take any time."""
        return math.inf

    async def acquire(self) -> None:
        """Lead at once."""

    async def keep(self) -> None:
        """Lead until cancelled."""
        await asyncio.Event().wait()

    async def release(self) -> None:
        """Nobody waits for it."""

    def transitions(self) -> int:
        """Nothing has changed hands."""
        return 0


Leader = Candidate | Alone


@asynccontextmanager
async def standing(
    settings: LeaderElection | None, lease: str, told: CallTold = unheard
) -> AsyncIterator[Leader]:
    """Stand for election as the settings say; without any, there is nobody to stand against.

    With connections of its own: no crowd of passes may keep a leader from renewing. ``told`` hears
    of each call.
    """
    if settings is None:
        log.warning("No leaderElection is configured: a second process would work against this one")
        yield Alone()
        return
    # Unlike the pod's name, it is no other's: a container that starts again is another process.
    me = f"{os.environ.get('POD_NAME') or os.uname().nodename}_{uuid.uuid4()}"
    cluster = await KubeCluster.connect(user_agent=lease, connections=2, told=told)
    try:
        yield Candidate(cluster, settings.namespace, lease, me)
    finally:
        await cluster.close()


async def lead(leader: Leader, health: Health, work: Work) -> int:
    """Wait for the Lease, work while it is ours, give it up; returns the exit code.

    A process that waits is ready when it knows who leads.
    """
    health.leads = lambda: leader.left_s() > 0
    if isinstance(leader, Candidate):
        health.follow("leases", leader.namespace, leader)
    try:
        await leader.acquire()
        return await _while_leading(leader, work)
    finally:
        await leader.release()


async def _while_leading(leader: Leader, work: Work) -> int:
    keeping = asyncio.create_task(leader.keep(), name="lease")
    working = asyncio.create_task(work(), name="work")
    try:
        await asyncio.wait({keeping, working}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        log.error("Not leading any more", exc_info=keeping.exception())
        return EXIT_LOOP_ENDED
    finally:
        await end({working})
        await end({keeping})
