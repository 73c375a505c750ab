"""Fair timing of two things against each other."""

import time
from collections.abc import Callable


def best_s(work: Callable[[], object], rounds: int = 7, at_least_s: float = 0.05) -> float:
    """Seconds of one call: the best of several rounds, each long enough to be measured."""
    calls = 1
    while True:
        start = time.perf_counter()
        for _ in range(calls):
            work()
        if time.perf_counter() - start >= at_least_s:
            break
        calls *= 2
    best = float("inf")
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            work()
        best = min(best, (time.perf_counter() - start) / calls)
    return best
