"""K: a process ends, or loses the answer, the network or the Lease, around each of its writes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TypeVar

from campaign.calls import Call, Client
from campaign.oracle import Allowance
from campaign.points import Point
from campaign.scenarios import GOING, Scenario
from dgdr_kube.errors import ClusterError, Unreachable
from dgdr_kube.kinds import DEPLOYMENT, EVENT, LEASE

T = TypeVar("T")
LATE_S = 40.0
"""How long a write is under way when another process leads by then: a Lease lasts 15 s."""


class Way(StrEnum):
    """What happens around a write."""

    BEFORE = "killed before"
    AFTER = "killed after"
    LOST = "answer lost of"
    LATE = "cut off, and it arrives late:"


@dataclass
class AtWrite:
    """Implements ``calls.Fault``: strikes at the write of that number, once; keeps which it was."""

    nth: int
    way: Way
    struck: Call | None = None

    async def around(self, call: Call, client: Client, send: Callable[[], Awaitable[T]]) -> T:
        if self.struck or not call.is_write or call.nth != self.nth:
            return await send()
        self.struck = call
        assert client.process_of is not None
        match self.way:
            case Way.BEFORE:
                client.process_of.kill()
                await client.cut_off()
            case Way.AFTER:
                await self._sent(send)
                client.process_of.kill()
                await client.cut_off()
            case Way.LOST:
                await send()
                raise Unreachable(f"{call}: the connection was reset after it was sent")
            case Way.LATE:
                self._late = asyncio.create_task(self._arrive(send), name="a late write")
                client.process_of.kill()
                await client.cut_off()
        raise AssertionError("a dead process hears nothing")

    async def _arrive(self, send: Callable[[], Awaitable[T]]) -> None:
        await asyncio.sleep(LATE_S)
        await self._sent(send)

    @staticmethod
    async def _sent(send: Callable[[], Awaitable[T]]) -> None:
        try:
            await send()
        except ClusterError:
            return  # refused, and nobody hears of it


def points(scenario: Scenario, calls: Sequence[Call]) -> list[Point]:
    """Return each way around each write."""
    writes = [call for call in calls if call.is_write and call.kind != LEASE]
    return [
        Point(
            class_="K",
            scenario=scenario,
            what=f"{way} write {call.nth}, {call} of {call.process}",
            fault=partial(AtWrite, call.nth, way),
            allowed=_allowed(way, call),
        )
        for call in writes
        for way in Way
        if not (way is Way.LATE and _may_come_again(scenario, call))
    ]


def _may_come_again(scenario: Scenario, call: Call) -> bool:
    """A child that arrives late at a deployment that a finalizer holds goes with it, not before.

    The API server has no apply that is refused where nothing stands any more (0017).
    """
    return scenario is GOING and call.kind == DEPLOYMENT


def _allowed(way: Way, call: Call) -> Allowance:
    """A write that arrives late may make what is gone by then: its owner is, so it goes again.

    Until it does, its pods hold GPUs beside those of the next candidate.
    """
    if way is not Way.LATE:
        return Allowance()
    makes = call.verb in ("create", "apply")
    births = {(call.kind.kind, call.name): 1} if makes else {}
    return Allowance(
        births=births, events=call.kind == EVENT, crowd=makes and call.kind == DEPLOYMENT
    )
