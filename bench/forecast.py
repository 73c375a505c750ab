"""How far forecasts miss, and how often the planned quantile holds, against the last value.

Rolling: at each window the forecaster sees only the windows before. The error is the weighted
absolute percentage error, sum |seen - forecast| / sum seen, after 5 windows of warm-up. A horizon
of h windows is a start-up of that length: the forecast is for the window that begins then.

    python -m bench.forecast              JSON to standard output, a table to standard error
    python -m bench.forecast --upstream   upstream's predictors run too, in an environment of theirs
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.forecast_orders import orders
from bench.forecast_series import NEW_SHAPES, TUNED, Floats, Series, synthetic, traces
from bench.upstream_forecasts import predictions
from dgdr_planner.forecast import Demand, Forecast, Forecaster
from dgdr_planner.observe.history import Sample

HORIZONS = (0, 1, 3)
WARM_UP = 5
QUANTILE = 0.9
#: What upstream's release 1.6.1 reached on these series, measured once with its own classes.
PUBLISHED = {
    "sine 5-45/s": {"constant": 0.292, "arima": 0.284, "kalman": 0.594, "prophet": 0.618},
    "Azure 2023 code": {"constant": 0.943, "arima": 0.846, "kalman": 0.952, "prophet": 0.952},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolled:
    """What was said of each window, shape (windows,); NaN where nothing was said."""

    expected: Floats
    planned: Floats
    held: Floats
    last: Floats
    step_ms: Floats


def roll(series: Series, horizon: int) -> Rolled:
    """Forecast every window from those before it; ``horizon`` in windows."""
    size, lead, window_s = series.rate_per_s.size, horizon + 1, series.window_s
    said = np.full((size, 4), np.nan)
    step_ms = []
    demand = Demand()
    for index, rate in enumerate(series.rate_per_s[:-lead]):
        seen = None if math.isnan(rate) else float(rate)
        demand = demand.with_sample(
            Sample(
                at_s=(index + 1) * window_s,
                window_s=window_s,
                rate_per_s=seen,
                isl=1000.0,
                osl=100.0,
            )
        )
        began = time.process_time()
        told = Forecaster().forecast(demand, horizon * window_s, QUANTILE)
        step_ms.append(1000 * (time.process_time() - began))
        if isinstance(told, Forecast) and index >= WARM_UP - 1:
            said[index + lead] = told.rate_per_s, told.planned, told.held, rate
    return Rolled(
        expected=said[:, 0],
        planned=said[:, 1],
        held=said[:, 2],
        last=said[:, 3],
        step_ms=np.array(step_ms),
    )


def wape(seen: Floats, said: Floats) -> float:
    """Return the weighted absolute percentage error over windows known on both sides."""
    known = np.isfinite(seen) & np.isfinite(said)
    return float(np.abs(seen - said)[known].sum() / max(seen[known].sum(), 1e-12))


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (E. B. Wilson, 1927)."""
    z, share = 1.96, hits / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + (z / count / 2) ** 2)
    return middle - half, middle + half


def judged(series: Series, horizon: int, rolled: Rolled) -> dict[str, object]:
    """Return the figures of one series at one horizon."""
    seen = series.rate_per_s
    known = np.isfinite(seen) & np.isfinite(rolled.planned)
    last, ours = wape(seen, rolled.last), wape(seen, rolled.expected)
    hits = int((seen[known] <= rolled.planned[known] + 1e-9).sum())
    return {
        "series": series.name,
        "horizon_windows": horizon,
        "windows": int(known.sum()),
        "wape_last_value": round(last, 4),
        "wape": round(ours, 4),
        "ratio": round(ours / last, 4) if last > 0 else 1.0,
        "covered": hits,
        "planned_over_seen": round(float(rolled.planned[known].sum() / seen[known].sum()), 3),
        "step_ms": round(float(np.median(rolled.step_ms)), 2),
    }


def pooled(rows: Sequence[dict[str, object]]) -> dict[str, object]:
    """Return the coverage of all rows together and the worst ratio to the last value."""
    hits = sum(int(str(row["covered"])) for row in rows)
    count = sum(int(str(row["windows"])) for row in rows)
    ratios = [float(str(row["ratio"])) for row in rows]
    return {
        "coverage": round(hits / count, 4),
        "interval": [round(end, 4) for end in wilson(hits, count)],
        "windows": count,
        "worst_ratio": max(ratios),
        "mean_ratio": round(float(np.exp(np.mean(np.log(np.maximum(ratios, 1e-6))))), 4),
    }


def upstream(series: Sequence[Series]) -> dict[str, dict[str, float]]:
    """Return the one-step errors of upstream's predictors, run now; series without gaps."""
    whole = [each for each in series if np.isfinite(each.rate_per_s).all()]
    told = predictions([(each.rate_per_s * each.window_s).tolist() for each in whole])
    found: dict[str, dict[str, float]] = {}
    for index, each in enumerate(whole):
        counts = each.rate_per_s * each.window_s
        found[each.name] = {
            name: round(wape(counts[WARM_UP:], np.array(said[index])[WARM_UP:]), 4)
            for name, said in told.items()
        }
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Roll over all series; print JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--upstream", action="store_true", help="run upstream's predictors")
    run_upstream = options.parse_args([] if argv is None else argv).upstream
    groups = {
        "traces": traces(),
        "tuned": synthetic(TUNED, range(1, 2)),
        "held_out_seeds": synthetic(TUNED, range(301, 302)),
        "held_out_shapes": synthetic(NEW_SHAPES, range(301, 303)),
    }
    report: dict[str, object] = {"bench": "forecast", "quantile": QUANTILE}
    every = []
    for group, members in groups.items():
        rows = []
        for series in members:
            rows += [judged(series, horizon, roll(series, horizon)) for horizon in HORIZONS]
            _table(rows[-len(HORIZONS) :])
        report[group] = {"pooled": pooled(rows), "rows": rows}
        every += rows
    report["pooled"] = pooled(every)
    report["pooled_by_horizon"] = {
        str(horizon): pooled([row for row in every if row["horizon_windows"] == horizon])
        for horizon in HORIZONS
    }
    report["upstream_1.6.1_one_step"] = (
        {"measured": upstream(groups["traces"])} if run_upstream else {"published": PUBLISHED}
    )
    report["orders"] = orders([*groups["traces"], *groups["tuned"]])
    print(json.dumps(report))


def _table(rows: Sequence[dict[str, object]]) -> None:
    for row in rows:
        share = int(str(row["covered"])) / max(int(str(row["windows"])), 1)
        print(
            f"{row['series']:22} +{row['horizon_windows']} last {row['wape_last_value']:<7}"
            f" ours {row['wape']:<7} ratio {row['ratio']:<7} P90 holds {share:.2f}"
            f" planned/seen {row['planned_over_seen']}",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
