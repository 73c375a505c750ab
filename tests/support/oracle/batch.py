"""The running batch of one engine, advanced from one change of the batch to the next.

Every request of a batch gets one token per step, so the engine has one count of steps, and a
request that joins at ``steps`` leaves at ``steps + its tokens``. Between two changes the cached
tokens grow by the batch with every step. The step time is taken as linear in between, through its
values at both ends, which is exact for ``a + b * batch + c * kv_tokens``. Then time is a quadratic
function of steps and is solved in closed form: no event per token.

Steps are counted as a continuous number: a request joins at once instead of at the end of the
step that runs.
"""

import heapq
import math

from dgdr_perf.simulator.engine import NODES, Engine


class Batch:
    """Requests that are decoded together. ``due_s``: when the next of them leaves."""

    __slots__ = (
        "_engine",
        "_growth_s",
        "_leaving",
        "_since_s",
        "_step_s",
        "_steps",
        "due_s",
        "kv_tokens",
        "reserved",
    )

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # (steps at which it leaves, request, context that it has then)
        self._leaving: list[tuple[float, int, float]] = []
        self._steps = 0.0
        self._since_s = 0.0
        self._step_s = 0.0
        self._growth_s = 0.0
        self.kv_tokens = 0.0
        self.reserved = 0.0
        self.due_s = math.inf

    def _step(self, count: int, kv_tokens: float) -> float:
        """Seconds of one step, read from a table that is linear between its nodes."""
        row = self._engine.steps_s(count)[count]
        place = kv_tokens / self._engine.max_kv_tokens * NODES
        node = min(int(place), NODES - 1)
        low, high = float(row[node]), float(row[node + 1])
        return low + (high - low) * (place - node)

    def __len__(self) -> int:
        return len(self._leaving)

    def fits(self, tokens: float) -> bool:
        """Whether a request that grows to this many tokens has room until its end."""
        engine = self._engine
        return (
            len(self._leaving) < engine.max_batch and self.reserved + tokens <= engine.max_kv_tokens
        )

    def join(self, request: int, isl: float, osl: float) -> None:
        """Add a request that has its first token; ``advance`` before, ``plan`` after."""
        heapq.heappush(self._leaving, (self._steps + osl - 1.0, request, isl + osl))
        self.kv_tokens += isl + 1.0
        self.reserved += isl + osl

    def leave(self) -> int:
        """Remove the request that is due; ``plan`` after."""
        steps, request, context = heapq.heappop(self._leaving)
        self.kv_tokens += (len(self._leaving) + 1) * (steps - self._steps) - context
        self.reserved -= context
        self._steps = steps
        self._since_s = self.due_s
        return request

    def clear(self) -> list[int]:
        """Remove all; return them."""
        lost = [request for _, request, _ in self._leaving]
        self._leaving.clear()
        self.kv_tokens = self.reserved = 0.0
        self.due_s = math.inf
        return lost

    def advance(self, at_s: float) -> None:
        """Do the steps until this time."""
        passed_s = at_s - self._since_s
        self._since_s = at_s
        if self._leaving and passed_s > 0:
            step_s = self._step_s
            root = math.sqrt(max(step_s * step_s + 2.0 * self._growth_s * passed_s, 0.0))
            steps = 2.0 * passed_s / (step_s + root)
            self._steps += steps
            self.kv_tokens += len(self._leaving) * steps

    def skip(self, at_s: float) -> None:
        """Do no steps until this time: the engine was busy with something else."""
        self._since_s = at_s

    def plan(self, at_s: float) -> float:
        """Go on from this time; return when the next request leaves, infinity without one."""
        self._since_s = at_s
        count = len(self._leaving)
        if not count:
            self.kv_tokens = self.reserved = 0.0
            self.due_s = math.inf
            return math.inf
        steps = max(self._leaving[0][0] - self._steps, 0.0)
        first_s = self._step_s = self._step(count, self.kv_tokens)
        last_s = self._step(count, self.kv_tokens + count * steps)
        self._growth_s = (last_s - first_s) / steps if steps else 0.0
        self.due_s = at_s + steps * (first_s + last_s) / 2.0
        return self.due_s
