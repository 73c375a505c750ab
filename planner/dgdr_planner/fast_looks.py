"""Looks at the load between two ticks: a rise is answered within seconds, not at the next window.

A look changes nothing. Where it shows more than is planned for, the planner's pass runs at once;
where it shows the first load of which anything can be read, the tick does.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from dgdr_kube.errors import ClusterError
from dgdr_kube.ports import Key
from dgdr_planner.ahead import begins, rises
from dgdr_planner.memory import Memory
from dgdr_planner.observe.endpoint import LEAST_S
from dgdr_planner.observe.looks import Look, kept
from dgdr_planner.observer import Observer

log = logging.getLogger(__name__)

#: Seconds before a tick in which no pass is brought forward: it would be the tick.
NEAR_S = 5.0

Sleep = Callable[[float], Awaitable[None]]


class FastLooks:
    """The last looks at each planner's load, and whose load rises."""

    def __init__(self, memory: Memory, observer: Observer, clock: Callable[[], datetime]) -> None:
        self._memory = memory
        self._observer = observer
        self._clock = clock
        self._looks: dict[Key, tuple[Look, ...]] = {}
        self._rising: dict[Key, datetime] = {}
        self._looking: set[Key] = set()

    async def run(self, mark: Callable[[Key], None], sleep: Sleep = asyncio.sleep) -> None:
        """Look until cancelled; ``mark`` those whose load rises."""
        async with asyncio.TaskGroup() as group:
            while True:
                await sleep(self._observer.look_s)
                self.look_at_all(mark, group)

    def look_at_all(self, mark: Callable[[Key], None], group: asyncio.TaskGroup) -> None:
        """Begin a look at each planner: they share what they ask, and wait for no other one."""
        for key in self._memory.known():
            if key not in self._looking:
                self._looking.add(key)
                group.create_task(self._marked(key, mark))

    async def _marked(self, key: Key, mark: Callable[[Key], None]) -> None:
        try:
            if await self.look(key):
                mark(key)
        except ClusterError as exc:  # an outage, which the passes tell of
            log.info("%s/%s: no fast look: %s", *key, exc)
        except Exception:  # the next tick sees what this look did not
            log.exception("%s/%s: a fast look failed", *key)
        finally:
            self._looking.discard(key)

    async def look(self, key: Key) -> bool:
        """Look once; return whether more comes than is planned for, or the first that is read."""
        left, now = self._memory.left(key), self._clock()
        if left is None:
            self._looks.pop(key, None)
            return False
        window_s = self._observer.look_window_s(left.turn.policy)
        if window_s is None:
            return False
        fresh = await self._observer.glance(left.turn, window_s, now)
        left, now = self._memory.left(key), self._clock()
        if left is None:  # it went meanwhile
            return False
        looks = self._looks[key] = kept(self._looks.get(key, ()), fresh)
        if left.tick_in_s(now) < NEAR_S:
            return False
        if begins(left.turn.seen.load, left.state, looks, left.turn.policy):
            return True
        if not rises(left.state, looks, left.turn.policy, now):
            return False
        self._rising[key] = now
        return True

    def of(self, key: Key) -> tuple[Look, ...]:
        """Return the last looks, oldest first."""
        return self._looks.get(key, ())

    def took_rise(self, key: Key) -> bool:
        """Whether a look has brought this pass: each does so once, at once, and before the tick."""
        at, left, now = self._rising.pop(key, None), self._memory.left(key), self._clock()
        if at is None or left is None or left.tick_in_s(now) < LEAST_S:
            return False
        return (now - at).total_seconds() < NEAR_S

    def forget(self, key: Key) -> None:
        """Drop what was seen of a planner that is gone."""
        self._looks.pop(key, None)
        self._rising.pop(key, None)
