"""Replicas that ``dgdr_perf.sizing`` asks for over the fewest that suffice in the simulator.

    python -m bench.sizing_grid [--seed 1]      JSON to standard output, a table to standard error

Engines are those of the public profile (Llama-3.1-8B-FP8 on one H200), arrivals Poisson. A cell is
a distribution of lengths, a dispatch, a rate, a percentile and a target. Prefill and decode are
sized and simulated apart; sizing is told the lengths as the histograms of frontends tell them.

A number of replicas suffices when the share of the requests within the target is at least the
percentile's, of those that are within it alone, or when the mean is within it (of ITL: over
tokens); of decode also when no more than a twentieth, or what the percentile forgives, waits for
room in the KV cache. A twentieth of the requests is left out at the begin. Targets are multiples
of what a lone request takes: of TTFT at the 99th percentile of prompts, of ITL at the mean context.
``below``: fewer than suffice by more than one replica and by more than 5 %. ``above``: more by more
than one and by more than 15 %.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from typing import Any

import numpy as np

from bench.planner_replay import stored
from bench.reference import reference_engine
from bench.traffic import bursty, lognormal, pareto_cut, tokens
from dgdr_api.graph import Role
from dgdr_perf.curve_fit import Array
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.simulator.arrivals import Requests
from dgdr_perf.simulator.engine import Engine
from dgdr_perf.simulator.options import Options
from dgdr_perf.simulator.run import simulate
from dgdr_perf.sizing import Dispatch, Percentile, Targets, Workload, size_decode, size_prefill
from dgdr_perf.workload import Quantiles
from dgdr_rehearsal.replay.ours import LENGTH_BOUNDS, histogram

SEED = 1
REQUESTS = 30_000
LEFT_OUT = 0.05
RATES_PER_S = (4.0, 30.0)
PERCENTILES = (Percentile.MEAN, Percentile.P95, Percentile.P99)
TTFT_FACTORS = (1.2, 2.0, 5.0)
ITL_FACTORS = (1.3, 2.0, 4.0)
# Of the requests of decode, the most that may wait for room whatever the percentile.
WAITING = 0.05
# Shorter waits for a batch are rounding.
NO_WAIT_MS = 1e-6
# The search ends here: where so many do not suffice, none does.
MOST = 512
UNLIMITED_MS = 1e12

Lengths = tuple[Array, Array]


def _lognormal(sigma: float) -> Callable[[np.random.Generator], Lengths]:
    def draw(rng: np.random.Generator) -> Lengths:
        isl = lognormal(rng, 2000.0, sigma, REQUESTS)
        return tokens(isl), tokens(lognormal(rng, 250.0, sigma, REQUESTS), 4096.0)

    return draw


def _bimodal(rng: np.random.Generator) -> Lengths:
    """Nine short chats for each long document; a third of the answers reason at length."""
    document, reasons = rng.random(REQUESTS) < 0.1, rng.random(REQUESTS) < 1 / 3
    isl = np.where(document, 12_000.0, 600.0) * rng.uniform(0.8, 1.2, REQUESTS)
    osl = np.where(reasons, 1500.0, 150.0) * rng.uniform(0.8, 1.2, REQUESTS)
    return tokens(isl), tokens(osl)


def _pareto(rng: np.random.Generator) -> Lengths:
    isl = pareto_cut(rng, 400.0, 1.1, 32_000.0, REQUESTS)
    return tokens(isl), tokens(pareto_cut(rng, 60.0, 1.2, 4096.0, REQUESTS))


def _measured(requests: Requests) -> Callable[[np.random.Generator], Lengths]:
    def draw(rng: np.random.Generator) -> Lengths:
        chosen = rng.integers(0, len(requests), REQUESTS)
        return requests.isl[chosen], requests.osl[chosen]

    return draw


def distributions() -> dict[str, Callable[[np.random.Generator], Lengths]]:
    return {
        "equal": lambda rng: (np.full(REQUESTS, 2000.0), np.full(REQUESTS, 250.0)),
        "lognormal 0.5": _lognormal(0.5),
        "lognormal 1.2": _lognormal(1.2),
        "bimodal": _bimodal,
        "Pareto cut": _pareto,
        "client mix": _measured(bursty(SEED)),
        "Azure code": _measured(stored("azure-code-2023.csv.gz")),
        "Mooncake": _measured(stored("mooncake-synthetic.jsonl.gz")),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    role: Role
    distribution: str
    dispatch: Dispatch
    rate_per_s: float
    percentile: Percentile
    factor: float


@dataclass(slots=True)
class Lab:
    """Engine and profile, and what was drawn of each distribution."""

    profile: EngineProfile
    engine: Engine
    lengths: dict[str, Lengths]
    seed: int = SEED

    @classmethod
    def of(cls, seed: int = SEED) -> "Lab":
        profile = reference_engine()
        drawn = {name: draw(np.random.default_rng(seed)) for name, draw in distributions().items()}
        return cls(profile, Engine.of(profile), drawn, seed)

    def target_ms(self, cell: Cell) -> float:
        isl, osl = self.lengths[cell.distribution]
        if cell.role is Role.PREFILL:
            return (
                cell.factor * self.profile.prefill.ttft_ms(float(np.quantile(isl, 0.99))).value_ms
            )
        context = float(isl.mean() + osl.mean() / 2.0)
        return cell.factor * self.profile.decode.itl_ms(1.0, context).value_ms

    def load(self, cell: Cell) -> Workload:
        isl, osl = self.lengths[cell.distribution]
        return Workload(
            rate_per_s=cell.rate_per_s,
            isl=float(isl.mean()),
            osl=float(osl.mean()),
            isl_quantiles=told(isl),
            osl_quantiles=told(osl),
        )

    def sized(self, cell: Cell) -> tuple[int, bool]:
        """Return the replicas that sizing asks for, and whether it says that they suffice."""
        target_ms, load = self.target_ms(cell), self.load(cell)
        prefill = cell.role is Role.PREFILL
        targets = Targets(
            ttft_ms=target_ms if prefill else UNLIMITED_MS,
            itl_ms=UNLIMITED_MS if prefill else target_ms,
            percentile=cell.percentile,
        )
        if prefill:
            found = size_prefill(self.profile, load, targets, cell.dispatch)
        else:
            found = size_decode(self.profile, load, targets)
        return max(found.replicas, 1), found.reachable

    def suffices(self, cell: Cell, replicas: int) -> bool:
        rng = np.random.default_rng(self.seed)
        times = np.cumsum(rng.exponential(1.0 / cell.rate_per_s, REQUESTS))
        isl, osl = self.lengths[cell.distribution]
        options = Options(dispatch=cell.dispatch, decode_dispatch=cell.dispatch)
        requests = Requests.of(times, isl, osl)
        outcome = simulate(self.engine, requests, {cell.role: replicas}, rng=rng, options=options)
        seen = slice(int(LEFT_OUT * REQUESTS), None)
        prefill = cell.role is Role.PREFILL
        values = (outcome.ttft_ms if prefill else outcome.itl_ms)[seen]
        alone = (outcome.alone_ttft_ms if prefill else outcome.alone_itl_ms)[seen]
        target_ms, share = self.target_ms(cell), cell.percentile.share
        waiting = 0.0 if prefill else float((outcome.ttft_ms[seen] > NO_WAIT_MS).mean())
        if waiting > min(WAITING, 1.0 - (share or 0.0)):
            return False
        if share is not None:
            promised = np.nan_to_num(alone, nan=0.0) <= target_ms
            late = np.nan_to_num(values, nan=0.0) > target_ms
            return not promised.any() or float(late[promised].mean()) <= 1.0 - share
        weights = np.ones_like(values) if prefill else osl[seen] - 1.0
        kept = np.isfinite(values)
        return float(np.average(values[kept], weights=weights[kept])) <= target_ms

    def fewest(self, cell: Cell, guess: int) -> int | None:
        """Find the fewest replicas that suffice, from a guess on; None when ``MOST`` do not."""
        if not self.suffices(cell, guess):
            low, step = guess, 1
            while not self.suffices(cell, high := min(low + step, MOST)):
                if high >= MOST:
                    return None
                low, step = high, 2 * step
        else:
            high, step = guess, 1
            while (low := max(high - step, 0)) and self.suffices(cell, low):
                high, step = low, 2 * step
        while high - low > 1:
            middle = (low + high) // 2
            if self.suffices(cell, middle):
                high = middle
            else:
                low = middle
        return high


def told(lengths: Array) -> Quantiles | None:
    found = histogram(lengths, LENGTH_BOUNDS)
    return found.points(float(lengths.mean())) if found else None


def cells(names: Sequence[str]) -> Iterator[Cell]:
    prefill = product([Role.PREFILL], names, Dispatch, RATES_PER_S, PERCENTILES, TTFT_FACTORS)
    decode = product(
        [Role.DECODE],
        names,
        [Dispatch.ROUND_ROBIN, Dispatch.SHARED],
        RATES_PER_S,
        PERCENTILES,
        ITL_FACTORS,
    )
    for role, name, dispatch, rate_per_s, percentile, factor in (*prefill, *decode):
        yield Cell(
            role=role,
            distribution=name,
            dispatch=dispatch,
            rate_per_s=rate_per_s,
            percentile=percentile,
            factor=factor,
        )


def row_of(lab: Lab, cell: Cell) -> dict[str, Any]:
    sized, reachable = lab.sized(cell)
    fewest = lab.fewest(cell, sized)
    return {
        "role": cell.role.value,
        "distribution": cell.distribution,
        "dispatch": cell.dispatch.value,
        "rate_per_s": cell.rate_per_s,
        "percentile": cell.percentile.value,
        "target_ms": round(lab.target_ms(cell), 1),
        "target_of_lone": cell.factor,
        "sized": sized,
        "reachable": reachable,
        "simulated": fewest,
        "ratio": None if fewest is None else round(sized / fewest, 3),
        "verdict": _verdict(sized, fewest),
    }


def _verdict(sized: int, fewest: int | None) -> str:
    if fewest is None:
        return "no number suffices"
    if sized < min(fewest - 1, 0.95 * fewest):
        return "below"
    return "above" if sized > max(fewest + 1, 1.15 * fewest) else "within"


def summary(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the range of ratios for each role, distribution and dispatch."""

    def group(row: dict[str, Any]) -> tuple[str, str, str]:
        return row["role"], row["distribution"], row["dispatch"]

    lines = []
    for key, rows in groupby(found, group):
        of_key = list(rows)
        ratios = [row["ratio"] for row in of_key if row["ratio"] is not None]
        counts = {
            verdict: sum(row["verdict"] == verdict for row in of_key)
            for verdict in ("within", "below", "above", "no number suffices")
        }
        lines.append(
            {
                "role": key[0],
                "distribution": key[1],
                "dispatch": key[2],
                "least": min(ratios, default=None),
                "median": float(np.median(ratios)) if ratios else None,
                "most": max(ratios, default=None),
                **counts,
            }
        )
    return lines


def worst(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Name the cells that are furthest off: by ratio, among those beyond what is granted."""
    named = {}
    for role in (Role.PREFILL.value, Role.DECODE.value):
        mine = [row for row in found if row["role"] == role]
        below = [row for row in mine if row["verdict"] == "below"]
        above = [row for row in mine if row["verdict"] == "above"]
        named[role] = {
            "below": min(below, key=lambda row: row["ratio"], default=None),
            "above": max(above, key=lambda row: row["ratio"], default=None),
        }
    return named


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--only", nargs="+", help="distributions, by name")
    parser.add_argument("--seed", type=int, default=SEED, help="of lengths and arrivals")
    asked = parser.parse_args(given)
    lab = Lab.of(asked.seed)
    names = [name for name in lab.lengths if not asked.only or name in asked.only]
    found = [row_of(lab, cell) for cell in cells(names)]
    lines = summary(found)
    for line in lines:
        print("  ".join(str(value) for value in line.values()), file=sys.stderr)
    print(
        json.dumps(
            {"bench": "sizing_grid", "worst": worst(found), "summary": lines, "cells": found},
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
