"""What finished answers say of those that arrive, while some of them have not ended.

Frontends count an answer's length when it ends. While load rises, or decode slows down, those that
ended in a window are more often the short ones of those that arrived; while it falls, the long
ones. An answer of twice the tokens ends twice as late, so that more of the long ones have not
ended, in proportion to their length: each answer counts ``1 + share x tokens``, and the share is
what makes the ended ones as many as those that arrived.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from dgdr_perf.assumed_lengths import ASSUMED_ANSWERS
from dgdr_planner.observe.looks import Look, lately
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.value import Value, number

#: Fewer requests say more about chance.
FEWEST_REQUESTS = 30.0
#: More than this over, or less than this under, those that ended, is no first-order matter.
MOST, LEAST = 0.5, -0.3
#: Of a look, by how much it may be off the begin of a window.
NEAR = 0.5


def with_unfinished(load: LoadSeen, looks: Sequence[Look], now_s: float) -> LoadSeen:
    """Return the load with answers as they arrive; the same where nobody knows what has not ended.

    ``looks`` say what waited for a first token a window ago, which says nothing of answers.
    """
    growth, osl = _growth(load, lately(looks, now_s), now_s), load.osl
    if growth is None or not isinstance(osl, Value) or osl.number <= 0:
        return load
    share = min(max(growth, LEAST), MOST) / osl.number
    told = _Weighed.of(load.osl_quantiles or ASSUMED_ANSWERS, osl.number, share)
    quantiles = told.points if load.osl_quantiles is not None else None
    return replace(load, osl=Value(told.mean), osl_quantiles=quantiles)


def _growth(load: LoadSeen, looks: Sequence[Look], now_s: float) -> float | None:
    """Return by which share more answers began than ended; None where nobody knows."""
    began, ended = number(load.rate_per_s), number(load.completed_per_s)
    queued = _queue_growth(load, looks, now_s)
    if began is None or not ended or queued is None or load.requests < FEWEST_REQUESTS:
        return None
    return (began - queued / load.window_s) / ended - 1.0


def _queue_growth(load: LoadSeen, looks: Sequence[Look], now_s: float) -> float | None:
    """Return by how many requests those without a first token have become more in the window."""
    queued = number(load.queued)
    if queued is None:
        return None
    for look in looks:
        off_s = abs(now_s - load.window_s - look.at_s)
        if look.queued is not None and off_s <= NEAR * look.span_s:
            return queued - look.queued
    return None


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A distribution of which each length counts ``1 + share x tokens``: mean and points."""

    mean: float
    points: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, points: Sequence[tuple[float, float]], mean: float, share: float) -> "_Weighed":
        """Weigh (share, length) points, which are scaled to a mean, evenly spread between them."""
        pieces = [
            (upper - lower, (first + last) / 2.0, (last - first) ** 2 / 12.0)
            for (lower, first), (upper, last) in pairwise(_whole(points))
        ]
        scale = mean / sum(width * middle for width, middle, _ in pieces)
        share *= scale
        weights = [width * max(1.0 + share * middle, 0.0) for width, middle, _ in pieces]
        total = sum(weights)
        tokens = sum(
            weight * middle + width * share * spread
            for weight, (width, middle, spread) in zip(weights, pieces, strict=True)
        )
        reached, shares = 0.0, [0.0]
        for weight in weights:
            reached += weight
            shares.append(min(reached / total, 1.0))
        lengths = [scale * length for _, length in _whole(points)]
        return cls(scale * tokens / total, tuple(zip(shares, lengths, strict=True)))


def _whole(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points from a share of 0 to one of 1."""
    return [(0.0, points[0][1]), *points, (1.0, points[-1][1])]
