"""How often the targets were met, over the last hour.

A window counts with its requests: with the share of them that was within the target, where a
histogram tells; else all or none, by whether the latency that the target speaks about was within
it. Windows whose latency nobody knows count for nothing.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta

from dgdr_perf.sizing import Percentile, Targets
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.value import number

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class WindowAttainment:
    """One window: its requests, and the share that met each target; None where nobody knows."""

    at: datetime
    window_s: float
    requests: float
    ttft_met: float | None
    itl_met: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attained:
    """Shares of the requests of the last hour; None where none was counted."""

    ttft: float | None
    itl: float | None
    requests: float
    since: datetime


def with_window(
    windows: tuple[WindowAttainment, ...], load: LoadSeen, targets: Targets, now: datetime
) -> tuple[WindowAttainment, ...]:
    """Return the windows of the last hour with this one; a repeated look counts once.

    Looks may come more often than windows end; each counts for the time since the last one.
    """
    # They ascend, and an hour may hold hundreds of them.
    first = bisect_right(windows, now - HOUR, key=_at)
    kept = windows[first : bisect_left(windows, now, key=_at)]
    since_s = (now - kept[-1].at).total_seconds() if kept else load.window_s
    rate_per_s = number(load.rate_per_s) or 0.0
    fresh = WindowAttainment(
        at=now,
        window_s=load.window_s,
        requests=rate_per_s * min(load.window_s, since_s),
        ttft_met=_met(load, "ttft", targets.ttft_ms, targets.percentile),
        itl_met=_met(load, "itl", targets.itl_ms, targets.percentile),
    )
    return (*kept, fresh) if fresh.requests > 0 else kept


def attained(windows: tuple[WindowAttainment, ...]) -> Attained | None:
    """Return the shares; None when there was no request."""
    if not windows:
        return None
    return Attained(
        ttft=_share([(one.requests, one.ttft_met) for one in windows]),
        itl=_share([(one.requests, one.itl_met) for one in windows]),
        requests=sum(one.requests for one in windows),
        since=windows[0].at - timedelta(seconds=windows[0].window_s),
    )


def _at(window: WindowAttainment) -> datetime:
    return window.at


def _met(load: LoadSeen, which: str, target_ms: float, percentile: Percentile) -> float | None:
    """Share of the window's requests that met a target."""
    if percentile is Percentile.MEAN:
        mean_ms = number(load.ttft_ms if which == "ttft" else load.itl_ms)
        return None if mean_ms is None else float(mean_ms <= target_ms)
    histogram = load.ttft_histogram_ms if which == "ttft" else load.itl_histogram_ms
    if histogram is not None:
        return histogram.share_within(target_ms)
    found = load.quantiles.get(f"{which}_{percentile.value}")
    found_ms = None if found is None else number(found)
    return None if found_ms is None else float(found_ms <= target_ms)


def _share(counted: list[tuple[float, float | None]]) -> float | None:
    known = [(requests, met) for requests, met in counted if met is not None]
    total = sum(requests for requests, _ in known)
    return sum(requests * met for requests, met in known) / total if total else None
