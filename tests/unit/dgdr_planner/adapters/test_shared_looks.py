"""Looks that many share: how often, for how long, and what a failure does."""

import asyncio

import pytest

from dgdr_planner.adapters.shared_looks import UNUSED_S, SharedLooks
from dgdr_planner.adapters.switch import ConfigMapSwitch
from support.counting_cluster import CountingCluster

FRESH_S = 5.0


class Window:
    """What is looked at, by whom, and the time; each look takes a moment."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.told: list[tuple[str, int | None]] = []
        self.broken = False
        self.looks = SharedLooks(self._look, lambda _: FRESH_S, lambda: self.now_s)

    async def _look(self, key: str, last: int | None) -> int:
        self.told.append((key, last))
        await asyncio.sleep(0)
        if self.broken:
            raise ConnectionError("no route to host")
        return len(self.told)


async def test_who_asks_meanwhile_and_soon_after_gets_the_same_answer() -> None:
    window = Window()
    assert await asyncio.gather(*(window.looks.answer("a") for _ in range(20))) == [1] * 20
    window.now_s = FRESH_S - 0.1
    assert await window.looks.answer("a") == 1


async def test_an_old_answer_is_looked_at_again_and_told_of() -> None:
    window = Window()
    await window.looks.answer("a")
    window.now_s = FRESH_S
    assert await window.looks.answer("a") == 2
    assert window.told == [("a", None), ("a", 1)]


async def test_a_failure_is_everybodys_and_keeps_nobody_from_trying_again() -> None:
    window = Window()
    window.broken = True
    asked = (window.looks.answer("a") for _ in range(3))
    failed = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one) for one in failed] == [ConnectionError] * 3
    window.broken = False
    assert await window.looks.answer("a") == 2


async def test_who_gives_up_leaves_the_look_to_the_others() -> None:
    window = Window()
    first, second = (asyncio.create_task(window.looks.answer("a")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_what_nobody_asks_for_is_forgotten() -> None:
    window = Window()
    await window.looks.answer("gone")
    window.now_s = FRESH_S + UNUSED_S + 1
    await window.looks.answer("a")
    assert await window.looks.answer("gone") == 3
    assert window.told[-1] == ("gone", None)


async def test_a_thousand_planners_of_a_tick_look_at_the_switch_once() -> None:
    cluster = CountingCluster()
    switch = ConfigMapSwitch(cluster, "dgdr-system")
    assert await asyncio.gather(*(switch.thrown() for _ in range(1000))) == [None] * 1000
    assert cluster.reads == 1


async def test_without_a_namespace_there_is_no_switch() -> None:
    cluster = CountingCluster()
    assert await ConfigMapSwitch(cluster, "").thrown() is None
    assert cluster.reads == 0
