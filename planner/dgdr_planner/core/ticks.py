"""When planners look: those of one Prometheus and interval together, at one snapshot."""

from zlib import crc32

# After a pass that something else than the time brought, the next one is at least so far.
LEAST_S = 1.0
# Of an interval: Prometheus servers and intervals do not all begin on the minute.
PHASE_SHARE = 0.25


def delay_s(now_s: float, interval_s: float, prometheus: str) -> float:
    """Return the seconds until the next tick.

    Ticks are the multiples of the interval since the epoch, moved by what is one number for all
    planners that ask ``prometheus``, a URL, at this interval.
    """
    phase_s = _share(f"{prometheus} {interval_s:g}") * PHASE_SHARE * interval_s
    passed_s = (now_s + LEAST_S - phase_s) % interval_s
    return LEAST_S + (interval_s - passed_s) % interval_s


def _share(text: str) -> float:
    """A number in [0, 1) that is the same in every process."""
    return crc32(text.encode()) / 2**32
