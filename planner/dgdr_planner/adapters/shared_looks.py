"""Answers that are shared by all who ask at about the same time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

UNUSED_S = 3600.0

K = TypeVar("K", bound=Hashable)
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class _Kept(Generic[A]):
    answer: A
    until_s: float


class SharedLooks(Generic[K, A]):
    """Looks at one thing once at a time, and keeps what was found for a while.

    ``look`` gets the key and the last answer, ``fresh_s`` says for how long an answer holds. A
    look that fails is everybody's who waits for it, and the next one is tried again.
    """

    def __init__(
        self,
        look: Callable[[K, A | None], Awaitable[A]],
        fresh_s: Callable[[A], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._fresh_s = fresh_s
        self._clock = clock
        self._kept: dict[K, _Kept[A]] = {}
        self._looking: dict[K, asyncio.Task[A]] = {}

    async def answer(self, key: K) -> A:
        """Return what is there, as of now or a while ago."""
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept.until_s:
            return kept.answer
        if key not in self._looking:
            task = asyncio.create_task(self._found(key, kept))
            task.add_done_callback(lambda _: self._looking.pop(key))
            self._looking[key] = task
        # Shielded: whoever gives up must not take the answer away from the others.
        return await asyncio.shield(self._looking[key])

    async def _found(self, key: K, kept: _Kept[A] | None) -> A:
        answer = await self._look(key, None if kept is None else kept.answer)
        now_s = self._clock()
        self._kept[key] = _Kept(answer, now_s + self._fresh_s(answer))
        self._drop_unused(now_s - UNUSED_S)
        return answer

    def _drop_unused(self, until_s: float) -> None:
        """Forget what nobody asked for: names come and go."""
        for key in [key for key, kept in self._kept.items() if kept.until_s < until_s]:
            del self._kept[key]
