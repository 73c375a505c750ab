"""What an API server does on bad days: each kind, for how long, and what becomes of watches."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from support import api_faults
from support.api_faults import Fault, Watches, in_turn, watches_only

# Some load balancers cut what is open, others do not: both, run by run.
BOTH = (Watches.CUT, Watches.KEPT)
SLOW_S = 5.0


@dataclass(frozen=True, slots=True)
class BadDay:
    """One fault of the server before one process."""

    name: str
    answer: Fault
    watches: Watches
    lasts_s: float


@dataclass(frozen=True, slots=True)
class _Kind:
    answers: tuple[Fault, ...]
    watches: tuple[Watches, ...] = (Watches.CUT,)

    def day(self, name: str, number: int, lasts_s: float) -> BadDay:
        answer = self.answers[number % len(self.answers)]
        return BadDay(name, answer, self.watches[number % len(self.watches)], lasts_s)


KINDS = {
    "503": _Kind((api_faults.status(503),), BOTH),
    "410": _Kind((watches_only(in_turn(api_faults.status(410), api_faults.told_gone)),)),
    "403": _Kind((api_faults.status(403),), BOTH),
    "garbage": _Kind((in_turn(api_faults.garbage, api_faults.lost_way),), BOTH),
    "429": _Kind((api_faults.status(429, **{"Retry-After": "1"}),), BOTH),
    "resets": _Kind((api_faults.reset,)),
    "hung": _Kind((api_faults.silent, watches_only(api_faults.silent)), (Watches.HUNG,)),
    "slow": _Kind((api_faults.slow(SLOW_S),), BOTH),
}


def days(names: Iterable[str], lasting_s: Iterable[float], times: int) -> deque[BadDay]:
    """Return so many of each kind and duration, the longest first."""
    return deque(
        KINDS[name].day(name, number, lasts_s)
        for lasts_s in sorted(lasting_s, reverse=True)
        for number in range(times)
        for name in names
    )
