"""Fast looks: the load of the last seconds, between two ticks.

A look asks for less than a tick does, the counts of requests alone, and is good for one thing: to
see a rise before the window of a tick has ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass

#: Seconds from one look to the next. With a tick a minute, of three queries, that makes four looks
#: of one query each.
LOOK_S = 15.0
#: Scrapes that a look sees at least. It counts between the scrapes of its own seconds only, so that
#: no two looks count the same request.
LOOK_SCRAPES = 3
#: Looks that are remembered: two minutes, four times what says how a rise goes on.
KEPT = 8
#: A look that is older, in looks, says nothing of now.
FRESH = 1.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a frontend showed in the seconds before ``at_s``, by our clock.

    ``queued`` waited for their first token at its end, ``in_flight`` had not ended; None where
    nobody counts them.
    """

    at_s: float
    window_s: float
    rate_per_s: float
    queued: float | None = None
    in_flight: float | None = None


def kept(looks: Sequence[Look], fresh: Look | None) -> tuple[Look, ...]:
    """Return the looks to remember; one that failed ends what was seen before it."""
    return () if fresh is None else (*looks, fresh)[-KEPT:]


def lately(looks: Sequence[Look], now_s: float) -> tuple[Look, ...]:
    """Return the looks that lead up to now without a gap, oldest first."""
    found: list[Look] = []
    for look in reversed(looks):
        if not 0.0 <= now_s - look.at_s <= FRESH * LOOK_S:
            break
        found.insert(0, look)
        now_s = look.at_s
    return tuple(found)


def looks_help(interval_s: float, window_s: float) -> bool:
    """Whether looks of this window see anything that ticks at this interval do not."""
    return max(window_s, LOOK_S) <= interval_s / 2.0
