"""Passes measure and decide on the event loop, one at a time.

Each computes for milliseconds and waits for nothing. In another thread the two would hand the
interpreter to and fro, which takes a third as long again; one after the other without a pause, a
thousand passes would keep the loop from everything else for seconds. What computes for seconds
itself, as libraries that fit a forecast do, has a thread of its own.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Computing:
    """Lets one pass compute at a time, and the loop turn in between."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._aside = ThreadPoolExecutor(1, "computing")

    async def computed(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a function returns that waits for nothing."""
        async with self._turn:
            await asyncio.sleep(0)
            return function(*args, **kwargs)

    async def aside(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a function returns that takes long, while the loop goes on."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._aside, partial(function, *args, **kwargs))
