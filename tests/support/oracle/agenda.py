"""What will happen, in order of time."""

import heapq
from collections.abc import Callable
from typing import Any

Act = Callable[[float, Any], None]


class Agenda:
    """Events to come; those at the same time in the order in which they were added.

    Nothing is ever taken back: whoever changes his mind lets the old event find that its time is
    not the one that is waited for.
    """

    __slots__ = ("_added", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Act, Any]] = []
        self._added = 0

    def add(self, at_s: float, act: Act, subject: Any) -> None:
        """Call ``act(at_s, subject)`` when its time has come."""
        self._added += 1
        heapq.heappush(self._heap, (at_s, self._added, act, subject))

    def run_until(self, until_s: float) -> None:
        """Do everything that happens before or at this time."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= until_s:
            at_s, _, act, subject = pop(heap)
            act(at_s, subject)
