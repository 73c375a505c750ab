"""How many calls a client makes: a burst at once, then so many a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass
class Pace:
    """A token bucket; whoever comes when it is empty waits for his turn, in the order of coming.

    It is a bound for what nobody foresees. An API server protects itself by its own fairness; a
    client without a bound would take the share of all others of its class first.
    """

    per_s: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _due_s: float = float("-inf")

    async def turn(self) -> None:
        """Return when the next call may be made."""
        now_s = self.clock()
        # As if calls had come evenly: at most a whole burst of them has been left out.
        self._due_s = max(self._due_s, now_s - self.burst / self.per_s) + 1 / self.per_s
        if self._due_s > now_s:
            await self.sleep(self._due_s - now_s)
