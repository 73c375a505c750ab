"""How often the targets were met, over the last hour.

A window counts with its requests: all of them when its latency, at the percentile of the targets,
was within the target. Windows whose latency nobody knows count for nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dgdr_perf.sizing import Percentile, Targets
from dgdr_planner.core.observation import LoadSeen, Metric, number

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Window:
    """One window: its requests, and whether each target was met; None where nobody knows."""

    at: datetime
    window_s: float
    requests: float
    ttft_met: bool | None
    itl_met: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attained:
    """Shares of the requests of the last hour; None where none was counted."""

    ttft: float | None
    itl: float | None
    requests: float
    since: datetime


def with_window(
    windows: tuple[Window, ...], load: LoadSeen, targets: Targets, now: datetime
) -> tuple[Window, ...]:
    """Return the windows of the last hour with this one; a repeated look counts once.

    Looks may come more often than windows end; each counts for the time since the last one.
    """
    kept = tuple(one for one in windows if now - HOUR < one.at < now)
    since_s = (now - kept[-1].at).total_seconds() if kept else load.window_s
    rate_per_s = number(load.rate_per_s) or 0.0
    fresh = Window(
        at=now,
        window_s=load.window_s,
        requests=rate_per_s * min(load.window_s, since_s),
        ttft_met=_met(observed_ms(load, "ttft", targets.percentile), targets.ttft_ms),
        itl_met=_met(observed_ms(load, "itl", targets.percentile), targets.itl_ms),
    )
    return (*kept, fresh) if fresh.requests > 0 else kept


def attained(windows: tuple[Window, ...]) -> Attained | None:
    """Return the shares; None when there was no request."""
    if not windows:
        return None
    return Attained(
        ttft=_share([(one.requests, one.ttft_met) for one in windows]),
        itl=_share([(one.requests, one.itl_met) for one in windows]),
        requests=sum(one.requests for one in windows),
        since=windows[0].at - timedelta(seconds=windows[0].window_s),
    )


def observed_ms(load: LoadSeen, which: str, percentile: Percentile) -> float | None:
    """Return the latency that the target speaks about, as observed; None when nobody knows."""
    if percentile is Percentile.MEAN:
        return number(load.ttft_ms if which == "ttft" else load.itl_ms)
    found: Metric | None = load.quantiles.get(f"{which}_{percentile.value}")
    return None if found is None else number(found)


def _met(observed: float | None, target_ms: float) -> bool | None:
    return None if observed is None else observed <= target_ms


def _share(counted: list[tuple[float, bool | None]]) -> float | None:
    known = [(requests, met) for requests, met in counted if met is not None]
    total = sum(requests for requests, _ in known)
    return sum(requests for requests, met in known if met) / total if total else None
