"""Passes measure and decide beside the event loop, in one thread.

The interpreter computes in one thread at a time: several would take turns, and pay for each.
The loop's own threads are for what waits, such as files and names of hosts.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_THREAD = ThreadPoolExecutor(1, "computing")


async def computed(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a function returns that waits for nothing."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_THREAD, lambda: function(*args, **kwargs))
