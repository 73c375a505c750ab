"""An event loop that never waits: when nothing is ready, its time jumps to the next timer.

run_virtually(story())           # hours in moments; loop.time() and asyncio.sleep agree
run_virtually(story(), seed=7)   # whoever may go on at one moment does so in an order by chance
"""

import asyncio
import random
import selectors
from collections import deque
from collections.abc import Coroutine
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class _Jumping(selectors.SelectSelector):
    jumped_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise AssertionError("everybody waits for somebody else")
        self.jumped_s += max(timeout, 0.0)
        return super().select(0)


class _AnyNext(deque[asyncio.Handle]):
    """What is ready; any of it may be next."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self._dice = dice

    def popleft(self) -> asyncio.Handle:
        self.rotate(-self._dice.randrange(len(self)))
        return super().popleft()


class VirtualLoop(asyncio.SelectorEventLoop):
    """With a ``seed``, what is ready at one moment runs in an order that the seed chooses."""

    def __init__(self, seed: int | None = None) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        if seed is not None:
            self._ready = _AnyNext(random.Random(seed))

    def time(self) -> float:
        return self._jumping.jumped_s

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """Compute at once: while another thread computes, time would fly."""
        done = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as exc:
            done.set_exception(exc)
        return done


def run_virtually(story: Coroutine[Any, Any, T], *, seed: int | None = None) -> T:
    with asyncio.Runner(loop_factory=partial(VirtualLoop, seed)) as runner:
        return runner.run(story)
