"""W: watches hang, end, forget, repeat themselves, tell too much."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from campaign.calls import Call, Client
from campaign.points import Point
from campaign.scenarios import Scenario
from campaign.world import World
from dgdr_kube.errors import Expired, Unreachable
from dgdr_kube.kinds import CONFIG_MAP, LEASE, POD
from dgdr_kube.watch_stream import QUIET_S
from support.dgdr_world import NS

T = TypeVar("T")
LASTS_S = 60.0
STORM = 200


async def hung(world: World) -> None:
    """They say nothing; after a while our client takes them for dead."""
    world.watches.manners.hung = True
    await asyncio.sleep(QUIET_S)
    await _break(world, Unreachable("nothing was heard for too long"), 0.1)


async def ended(world: World) -> None:
    """Their connections break, and none can be opened for a minute."""
    await _break(world, Unreachable("connection reset by peer"), LASTS_S)


async def half_a_line(world: World) -> None:
    """They end within a line, and go on where they were."""
    await _break(world, Unreachable("not what a watch tells: Unterminated string"), 0.1)


async def forgot(world: World) -> None:
    """The server has forgotten where they were: 410 in the stream, and what happened is lost."""
    world.watches.compact()
    await _break(world, Expired("too old resource version"), 0.1)


async def gap(world: World) -> None:
    """Nothing is told for a minute, and what happened meanwhile is forgotten."""
    world.watches.manners.hung = True
    await asyncio.sleep(LASTS_S)
    world.watches.compact()
    await _break(world, Expired("too old resource version"), 0.1)


async def twice(world: World) -> None:
    """They tell everything twice for a minute."""
    world.watches.manners.twice = True
    await asyncio.sleep(LASTS_S)
    world.watches.manners.twice = False


async def storm(world: World) -> None:
    """Objects of others, and ours, change hundreds of times within seconds."""
    meta = {"name": "busy", "namespace": NS, "labels": {"dgdr.nvidia.com/name": "other"}}
    for number in range(STORM):
        busy = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": meta,
            "data": {"n": f"{number}"},
        }
        await world.server.apply(busy, "somebody")
        for pod in world.server.of(POD)[:2]:
            patch = {"metadata": {"annotations": {"somebody.test/n": f"{number}"}}}
            where = pod["metadata"]["namespace"], pod["metadata"]["name"]
            await world.server.patch(POD, *where, patch, "somebody")
        await asyncio.sleep(0.02)
    world.server.drop(CONFIG_MAP, NS, "busy")


async def _break(world: World, error: Exception, lasts_s: float) -> None:
    manners = world.watches.manners
    manners.hung, manners.broken = False, error  # type: ignore[assignment]
    world.watches.wake()
    await asyncio.sleep(lasts_s)
    manners.broken = None
    world.watches.wake()


DEEDS = (hung, ended, half_a_line, forgot, gap, twice, storm)


@dataclass
class FromCall:
    """Implements ``calls.Fault``: from the call of that number on, something happens beside it."""

    number: int
    deed: Callable[[World], Awaitable[None]]
    world: World | None = None
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    async def around(self, call: Call, client: Client, send: Callable[[], Awaitable[T]]) -> T:
        if call.number == self.number:
            assert self.world is not None
            self._tasks.append(asyncio.create_task(self._do(self.world), name="a deed"))
        return await send()

    async def _do(self, world: World) -> None:
        await self.deed(world)


def points(scenario: Scenario, calls: Sequence[Call]) -> list[Point]:
    """Return each misbehaviour from each write on."""
    return [
        Point(
            class_="W",
            scenario=scenario,
            what=f"watches {deed.__name__.replace('_', ' ')} from call {call.number}, {call}",
            fault=partial(FromCall, call.number, deed),
        )
        for call in calls
        if call.is_write and call.kind != LEASE
        for deed in DEEDS
    ]
