"""Fast looks: the load of the last seconds, between two ticks.

A look asks for less than a tick does, the counts of requests alone, and is good for one thing: to
see a rise before the window of a tick has ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass

#: Seconds from one look to the next at least. With a tick a minute, of three queries, that makes
#: four looks of one query each.
LOOK_S = 15.0
#: Scrapes that a look sees at least. It counts between the scrapes of its own seconds only, and the
#: next one begins where it ended, so that no two looks count the same request.
LOOK_SCRAPES = 3
#: Looks that are remembered: two minutes of those of 15 s, four times what says how a rise goes on.
KEPT = 8
#: A look that is older, in looks, says nothing of now.
FRESH = 1.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a frontend showed in the ``span_s`` before ``at_s``, by our clock.

    Its scrapes reach over ``window_s`` of them. The next look comes as long after it, or later.
    ``queued`` waited for their first token at its end, ``in_flight`` had not ended; None where
    nobody counts them.
    """

    at_s: float
    window_s: float
    rate_per_s: float
    queued: float | None = None
    in_flight: float | None = None
    span_s: float = LOOK_S


def kept(looks: Sequence[Look], fresh: Look | None) -> tuple[Look, ...]:
    """Return the looks to remember; one that failed ends what was seen before it."""
    return () if fresh is None else (*looks, fresh)[-KEPT:]


def lately(looks: Sequence[Look], now_s: float) -> tuple[Look, ...]:
    """Return the looks that lead up to now without a gap, oldest first."""
    found: list[Look] = []
    for look in reversed(looks):
        if not 0.0 <= now_s - look.at_s <= FRESH * look.span_s:
            break
        found.insert(0, look)
        now_s = look.at_s
    return tuple(found)


def look_s(scrape_interval_s: float) -> float:
    """Return the seconds that a look sees, and from one to the next."""
    return max(LOOK_S, LOOK_SCRAPES * scrape_interval_s)


def looks_help(interval_s: float, window_s: float) -> bool:
    """Whether looks of this window see anything that ticks at this interval do not."""
    return max(window_s, LOOK_S) <= interval_s / 2.0
