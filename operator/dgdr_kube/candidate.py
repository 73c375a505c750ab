"""A candidate for leadership: looks at the Lease, claims it, renews it, gives it up.

One that cannot renew writes nothing from then on, yet stays a candidate: if nobody else led
meanwhile, it goes on. So an API server's outage, which is everybody's, costs no restart.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dgdr_kube import lease
from dgdr_kube.errors import ClusterError, Conflict
from dgdr_kube.kinds import LEASE
from dgdr_kube.lease import TIMING, Claim, Seen, Timing, Wait
from dgdr_kube.ports import Cluster, Manifest

log = logging.getLogger(__name__)

_TROUBLE = (ClusterError, TimeoutError)


class LeaseLost(Exception):
    """Another process leads, or may have led."""


def _nobody() -> None:
    """Nobody waits for it."""


@dataclass
class Candidate:
    """Stands for election under the name ``me``, which no other process has.

    ``annotations`` are written with each claim and each renewal. ``back`` is called when the Lease
    is renewed after it had lapsed.
    """

    cluster: Cluster
    namespace: str
    name: str
    me: str
    timing: Timing = TIMING
    annotations: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    back: Callable[[], None] = _nobody
    leads: bool = False
    _seen: Seen | None = None
    _is_sure: bool = False
    _is_well: bool = True
    _may_hold: bool = False
    _renewed_s: float = -math.inf
    _tried_s: float = 0.0

    def __post_init__(self) -> None:
        self._tried_s = self.clock()

    def left_s(self) -> float:
        """Seconds until a write that begins now has to be over; 0: it must not begin."""
        since_s = self.clock() - self._renewed_s
        if not self.leads or since_s >= self.timing.renew_s:
            return 0.0
        return self.timing.lease_s - since_s

    def transitions(self) -> int:
        """How often the Lease has changed hands, as far as this process has seen."""
        return self._seen.transitions if self._seen else 0

    # -- health

    @property
    def followed(self) -> bool:
        """Whether it is known who leads."""
        return self._seen is not None and (self.clock() - self._seen.looked_s < self.timing.lease_s)

    def silent_s(self) -> float:
        """Seconds since the last try to look or to renew."""
        return self.clock() - self._tried_s

    # -- life

    async def acquire(self) -> None:
        """Wait until this process leads."""
        while not self.leads:
            delay_s = await self._turn()
            if not self.leads:
                await asyncio.sleep(delay_s)

    async def keep(self) -> None:
        """Renew until cancelled; raises LeaseLost when another process leads."""
        delay_s = self.timing.retry_s
        while True:
            await asyncio.sleep(delay_s)
            delay_s = await self._turn()

    async def release(self) -> None:
        """Give the Lease up, if it is ours, so that the next one leads at once."""
        self.leads = False
        if not self._may_hold:
            return
        try:
            if not await self._gave_up():
                # A renewal that was cut short was still on its way to the server.
                await self._look()
                await self._gave_up()
        except _TROUBLE as exc:
            log.warning(
                "Lease %s is not given up, and runs out: %s",
                self.name,
                str(exc) or "no answer in time",
            )

    async def _gave_up(self) -> bool:
        """Write that nobody holds it, where it is ours; False where it changed meanwhile."""
        if not self._is_sure:
            await self._look()
        if self._seen is None or self._seen.holder != self.me:
            return True
        try:
            await self._write(self._seen.version, lease.released())
        except Conflict:
            return False
        log.info("Lease %s is given up", self.name)
        return True

    # -- one turn

    async def _turn(self) -> float:
        """Look, and claim or wait; returns the seconds until the next turn."""
        try:
            delay_s = await self._move()
            self._is_well = True
            return delay_s
        except _TROUBLE as exc:
            level = logging.WARNING if self._is_well else logging.DEBUG
            log.log(level, "Lease %s: %s", self.name, str(exc) or "no answer in time")
            self._is_sure = self._is_well = False
            return self.timing.look_s
        finally:
            self._tried_s = self.clock()

    async def _move(self) -> float:
        if not (self.leads and self._is_sure):
            await self._look()
        assert self._seen is not None
        if self.leads and self._seen.holder != self.me:
            self.leads = False
            raise LeaseLost(f"{self._seen.holder or 'nobody'} holds Lease {self.name}")
        match lease.next_move(self._seen, self.clock(), self.me, self.timing):
            case Wait(seconds):
                return seconds
            case Claim() as claim:
                await self._claim(claim)
                return self.timing.retry_s

    async def _look(self) -> None:
        before = self._seen
        async with asyncio.timeout(self.timing.try_s):
            found = await self.cluster.get(LEASE, self.namespace, self.name)
        self._note(found)
        holder = self._seen.holder if self._seen else ""
        if holder not in ("", self.me) and (before is None or before.holder != holder):
            log.info("Standing by: %s holds Lease %s", holder, self.name)

    async def _claim(self, claim: Claim) -> None:
        began_s = self.clock()
        self._may_hold = True
        self._is_sure = False  # until the answer is here
        spec = lease.claimed(claim, self.me, self.now(), self.timing)
        self._note(await self._write(claim.version, spec))
        led, lapsed = self.leads, not self.left_s()
        # Nobody can have seen this claim before it was sent.
        self.leads, self._renewed_s = True, began_s
        if not led:
            log.info("Leading: %s holds Lease %s", self.me, self.name)
        elif lapsed:
            log.info("Leading again: nobody else has led meanwhile")
            self.back()

    async def _write(self, version: str, spec: Manifest) -> Manifest:
        async with asyncio.timeout(self.timing.try_s):
            if not version:
                manifest = lease.lease(self.namespace, self.name, spec, self.annotations)
                return await self.cluster.create(manifest, self.name)
            patch = lease.change(spec, self.annotations)
            return await self.cluster.patch(
                LEASE, self.namespace, self.name, patch, self.name, resource_version=version
            )

    def _note(self, found: Manifest | None) -> None:
        self._seen = lease.seen_after(self._seen, found, self.clock(), self.timing)
        self._is_sure = True
