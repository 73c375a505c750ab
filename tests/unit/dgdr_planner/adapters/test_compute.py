"""Passes that compute one after the other, and what happens in between."""

import asyncio
import threading
from itertools import pairwise

import pytest

from dgdr_planner.adapters.compute import Computing


async def test_the_loop_turns_between_two_that_are_ready_at_once() -> None:
    happened: list[str] = []
    turned = asyncio.Event()

    async def heard() -> None:
        while not turned.is_set():
            happened.append("turned")
            await asyncio.sleep(0)

    computing = Computing()
    listening = asyncio.create_task(heard())
    await asyncio.gather(*(computing.computed(happened.append, "computed") for _ in range(5)))
    turned.set()
    await listening
    places = [place for place, what in enumerate(happened) if what == "computed"]
    assert len(places) == 5
    assert all("turned" in happened[one:other] for one, other in pairwise(places))


async def test_what_fails_fails_its_own_pass_only() -> None:
    computing = Computing()
    failed, found = await asyncio.gather(
        computing.computed(int, "none"), computing.computed(int, "7"), return_exceptions=True
    )
    assert isinstance(failed, ValueError)
    assert found == 7


async def test_who_gives_up_waiting_lets_the_others_have_their_turn() -> None:
    computing = Computing()
    first, second = (asyncio.create_task(computing.computed(int, "7")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 7
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_what_takes_long_does_not_keep_the_loop() -> None:
    computing, enough = Computing(), threading.Event()
    slow = asyncio.create_task(computing.aside(enough.wait, 60))
    assert await computing.computed(int, "7") == 7
    enough.set()
    assert await slow
