"""Between two ticks a rise, and only a rise, brings a pass at once, and the pass says why."""

import asyncio
import re
from typing import Any

import pytest

from dgdr_kube.ports import Key
from dgdr_planner.observe.endpoint import delay_s
from dgdr_planner.observe.snapshot import NoSnapshot
from support.planner_world import KEY, World
from support.planning import sla_planner


class Minutely(World):
    """A planner that decides every minute, and looks every 15 s."""

    def __init__(self, **spec: Any) -> None:
        super().__init__(sla_planner(interval="60s", **spec))
        self.seconds = delay_s(self.clock().timestamp(), 60.0, "")

    async def ticked(self, rate_per_s: float | None) -> None:
        self.metrics.rate_per_s = rate_per_s
        await self.run(KEY)

    async def looked(self, rate_per_s: float | None) -> bool:
        """Look 15 s later."""
        self.seconds += 15
        self.metrics.rate_per_s = rate_per_s
        return await self.run.looks.look(KEY)

    async def looked_before_the_tick(self, by_s: float) -> bool:
        """See a rise so many seconds before the next tick is due."""
        self.seconds += self.left.tick_in_s(self.clock()) - by_s - 15
        return await self.looked(9.4)

    def takes(self, monkeypatch: pytest.MonkeyPatch, what: object, name: str, s: float) -> None:
        """Let a call take so many seconds."""
        call = getattr(what, name)

        async def slowly(*args: Any, **kwargs: Any) -> Any:
            self.seconds += s
            return await call(*args, **kwargs)

        monkeypatch.setattr(what, name, slowly)


async def test_a_rise_is_answered_before_the_next_tick() -> None:
    world = Minutely()
    await world.ticked(2.0)
    before = world.replicas()
    assert await world.looked(9.4)
    await world.run(KEY)
    one_look = world.replicas()
    assert await world.looked(9.4)
    await world.run(KEY)
    assert before <= one_look < world.replicas()
    assert re.search(
        r"; raised from \d\.\d requests/s at \d\d:\d\d:\d\d by a fast look: 9\.4 in its 10 s",
        world.status()["decisions"][0]["message"],
    )


async def test_a_pass_between_two_ticks_counts_no_window() -> None:
    world = Minutely()
    await world.ticked(2.0)
    windows = len(world.demand())
    await world.looked(9.4)
    await world.run(KEY)
    assert world.left.turn.seen.is_fast
    assert len(world.demand()) == windows


@pytest.mark.parametrize("rate_per_s", [2.0, 0.5, 0.0])
async def test_what_does_not_rise_waits_for_the_tick(rate_per_s: float) -> None:
    world = Minutely()
    await world.ticked(2.0)
    assert not await world.looked(rate_per_s)
    assert not await world.looked(rate_per_s)


@pytest.mark.parametrize("before_per_s", [None, 0.0], ids=["not read", "idle"])
async def test_the_first_load_is_answered_by_a_tick_at_once(before_per_s: float | None) -> None:
    world = Minutely()
    await world.ticked(before_per_s)
    before = world.replicas()
    assert await world.looked(9.4)
    await world.run(KEY)
    assert not world.left.turn.seen.is_fast
    assert world.replicas() > before
    assert not await world.looked(9.4)


@pytest.mark.parametrize("before_per_s", [None, 0.0], ids=["not read", "idle"])
@pytest.mark.parametrize("rate_per_s", [None, 0.0])
async def test_what_is_not_read_or_not_there_yet_waits_for_the_tick(
    before_per_s: float | None, rate_per_s: float | None
) -> None:
    world = Minutely()
    await world.ticked(before_per_s)
    assert not await world.looked(rate_per_s)


async def test_a_planner_that_is_suspended_waits_for_no_load() -> None:
    world = Minutely(suspend=True)
    await world.ticked(None)
    assert not await world.looked(9.4)


async def test_a_look_brings_one_fast_pass_only() -> None:
    world = Minutely()
    await world.ticked(2.0)
    await world.looked(9.4)
    await world.run(KEY)
    await world.run(KEY)
    assert not world.left.turn.seen.is_fast


async def test_a_prometheus_that_does_not_answer_shows_no_rise() -> None:
    world = Minutely()
    await world.ticked(2.0)
    await world.looked(9.4)
    world.metrics.trouble = NoSnapshot("PrometheusUnreachable", "away")
    assert not await world.looked(None)
    assert world.run.looks.of(KEY) == ()


async def test_nobody_looks_where_ticks_see_as_much() -> None:
    world = World(sla_planner(interval="20s"))
    await world.passes()
    asked = len(world.metrics.asked)
    world.metrics.rate_per_s = 50.0
    assert not await world.run.looks.look(KEY)
    assert len(world.metrics.asked) == asked


async def test_a_planner_that_is_gone_is_looked_at_no_more() -> None:
    world = Minutely()
    await world.ticked(2.0)
    await world.looked(9.4)
    world.run.forget(KEY)
    assert world.run.looks.of(KEY) == ()
    assert not await world.looked(9.4)


async def test_those_whose_load_rises_are_marked() -> None:
    world = Minutely()
    await world.ticked(2.0)
    marked: list[Key] = []
    world.seconds += 15
    async with asyncio.TaskGroup() as group:
        world.run.looks.look_at_all(marked.append, group)
    assert marked == []
    world.seconds += 15
    world.metrics.rate_per_s = 9.4
    async with asyncio.TaskGroup() as group:
        world.run.looks.look_at_all(marked.append, group)
    assert marked == [KEY]


async def test_a_rise_that_no_pass_came_for_is_left_to_the_tick() -> None:
    world = Minutely()
    await world.ticked(2.0)
    await world.looked(9.4)
    world.seconds += 20
    await world.run(KEY)
    assert not world.left.turn.seen.is_fast


async def test_a_look_that_hangs_keeps_nobody_else_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    looks, stuck = Minutely().run.looks, Key("demo", "stuck")
    asked: list[Key] = []
    marked: list[Key] = []
    answer = asyncio.Event()

    async def look(key: Key) -> bool:
        asked.append(key)
        if key == stuck:
            await answer.wait()
        return True

    monkeypatch.setattr(looks, "look", look)
    monkeypatch.setattr(looks._memory, "known", lambda: (stuck, KEY))
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            looks.look_at_all(marked.append, group)
            await asyncio.sleep(0)
        assert asked == [stuck, KEY, KEY, KEY]
        assert marked == [KEY, KEY, KEY]
        answer.set()
    assert marked == [KEY, KEY, KEY, stuck]


@pytest.mark.parametrize(("took_s", "rises"), [(0.0, True), (4.0, False), (11.0, False)])
async def test_a_look_that_ends_near_a_tick_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, took_s: float, rises: bool
) -> None:
    world = Minutely()
    await world.ticked(2.0)
    world.takes(monkeypatch, world.metrics, "snapshot", took_s)
    assert await world.looked_before_the_tick(8.0) is rises


async def test_a_fast_pass_that_outlasts_the_tick_is_followed_by_it_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = Minutely()
    await world.ticked(2.0)
    assert await world.looked_before_the_tick(8.0)
    world.takes(monkeypatch, world.run._observer, "again", 20.0)
    assert await world.run(KEY) == 0.0
    assert world.left.turn.seen.is_fast
    windows = len(world.demand())
    await world.run(KEY)
    assert not world.left.turn.seen.is_fast
    assert len(world.demand()) == windows + 1


async def test_a_fast_pass_leaves_the_tick_where_it_was() -> None:
    world = Minutely()
    await world.ticked(2.0)
    assert await world.looked_before_the_tick(8.0)
    assert await world.run(KEY) == pytest.approx(8.0)


async def test_a_pass_that_comes_with_the_tick_is_the_tick() -> None:
    world = Minutely()
    await world.ticked(2.0)
    assert await world.looked_before_the_tick(5.2)
    world.seconds += 4.7
    await world.run(KEY)
    assert not world.left.turn.seen.is_fast


async def test_a_tick_that_failed_is_not_made_a_fast_pass() -> None:
    world = Minutely()
    await world.ticked(2.0)
    assert not await world.looked_before_the_tick(-3.0)
    world.seconds += 2
    await world.run(KEY)
    assert not world.left.turn.seen.is_fast


async def test_looks_at_slow_scrapes_come_less_often() -> None:
    world, slept = Minutely(), list[float]()
    world.run._observer.look_s = 30.0

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await world.run.looks.run(lambda _: None, sleep)
    assert slept == [30.0]


async def test_the_status_tells_of_whole_windows_only() -> None:
    world = Minutely()
    await world.ticked(2.0)
    told = world.status()["observed"]
    await world.looked(9.4)
    await world.looked(9.4)
    writes = world.status_writes()
    await world.run(KEY)
    assert world.status_writes() > writes
    assert world.status()["observed"] == told
    world.restart()
    await world.run(KEY)
    assert world.demand().recent[0, 2] == pytest.approx(2.0, abs=0.1)
