"""Which demand to order for: that at the horizon, the highest until then, or each where it counts.

Capacity is a fluid in requests per second. What is ordered serves after the start-up, what is
given back is gone at once. ``at``: follow the quantile of the window at the horizon. ``highest``:
follow that of the window until then in which most is expected. ``both``: grow to the former, do
not shrink below the latter: what is ordered now cannot help before the horizon, what is kept can.
"""

import math
from collections.abc import Sequence

import numpy as np

from bench.forecast_series import Floats, Series
from dgdr_planner.forecast import Demand, Forecast, Forecaster
from dgdr_planner.observe.history import Sample

RULES = ("at", "highest", "both")
START_UPS = (1, 3)
QUANTILE = 0.9
WARM_UP = 20


def capacities(said: Floats, start_up: int, rule: str) -> Floats:
    """Return the capacity of each window, shape (n,); ``said[t]`` = (planned, held) before t."""
    arriving = [0.0] * start_up
    serving, found = 0.0, []
    for planned, held in said:
        serving += arriving.pop(0)
        grow, keep = {
            "at": (planned, planned),
            "highest": (held, held),
            "both": (planned, held),
        }[rule]
        arriving.append(max(grow - serving - sum(arriving), 0.0))
        serving = min(serving, max(keep, grow))
        found.append(serving)
    return np.array(found)


def _said(series: Series, start_up: int) -> Floats:
    demand, rows = Demand(), [(0.0, 0.0)]
    for index, rate in enumerate(series.rate_per_s[:-1]):
        sample = Sample(
            at_s=(index + 1) * series.window_s,
            window_s=series.window_s,
            rate_per_s=None if math.isnan(rate) else float(rate),
            isl=1000.0,
            osl=100.0,
        )
        demand = demand.with_sample(sample)
        told = Forecaster().forecast(demand, start_up * series.window_s, QUANTILE)
        rows.append((told.planned, told.held) if isinstance(told, Forecast) else rows[-1])
    return np.array(rows)


def orders(series: Sequence[Series]) -> list[dict[str, object]]:
    """Return shortage and cost of each rule at each start-up, summed over series of equal weight.

    ``short``: share of the requests beyond the capacity of their window. ``cost``: capacity over
    demand.
    """
    rows: list[dict[str, object]] = []
    for start_up in START_UPS:
        said = [_said(each, start_up) for each in series]
        for rule in RULES:
            short, cost = [], []
            for each, told in zip(series, said, strict=True):
                seen = np.nan_to_num(each.rate_per_s)[WARM_UP:]
                capacity = capacities(told, start_up, rule)[WARM_UP:]
                if seen.size:
                    short.append(np.maximum(seen - capacity, 0).sum() / seen.sum())
                    cost.append(capacity.sum() / seen.sum())
            rows.append(
                {
                    "start_up_windows": start_up,
                    "rule": rule,
                    "short": round(float(np.mean(short)), 4),
                    "cost": round(float(np.mean(cost)), 3),
                }
            )
    return rows
