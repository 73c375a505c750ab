"""Replay of traces: what the planner attains and costs, against others, at several start-ups.

    python -m bench.planner_replay               JSON to standard output, a table to standard error
        --plot FILE.png                          and a picture of one start-up
        --trade-off                              ours at several quantiles and head-rooms
        --workload NAME=FACTOR:TTFT_MS:ITL_MS:PATH   another trace; may be repeated
        --goals                                  against hindsight instead (bench.replay_goals),
                                                 warm and from 1+1, at p95 and p99, generated
                                                 traffic (bench.traffic) too

Engines are those of the public profile (Llama-3.1-8B-FP8 on one H200), decisions come every 60 s,
a trace times x is ``dgdr_rehearsal.replay.traces.multiplied``. Every controller begins with the
replicas that nobody could add in time (``baselines.begun``). Prompts go to replicas in turn.

TTFT and ITL targets: the sine's are those of upstream's published run. Azure's are 500 and 30 ms,
a coding assistant's. Mooncake's prompts are long (median 12 k tokens, a tenth above 38 k, which
take 1.5 s alone): 4,000 and 25 ms. Requests that miss a target even alone are counted apart.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.reference import reference_data, reference_engine
from bench.replay_goals import BEGINS, HEADINGS, PERCENTILES, goal_cells, goal_rows
from bench.traffic import bursty, flash, weekly
from bench.upstream_forecasts import predictions
from dgdr_api.graph import Role
from dgdr_api.models.sla_planner import SLAPlannerSpec
from dgdr_perf.classic import ClassicProfile
from dgdr_perf.simulator.arrivals import Requests, sine
from dgdr_perf.simulator.engine import Engine
from dgdr_perf.simulator.options import Options
from dgdr_perf.sizing import Percentile, Targets
from dgdr_planner.policy import Policy
from dgdr_rehearsal.replay.allowed import Allowed
from dgdr_rehearsal.replay.baselines import Statics, begun
from dgdr_rehearsal.replay.classic import Classic, Expected, Foretold
from dgdr_rehearsal.replay.controllers import HpaLike
from dgdr_rehearsal.replay.hindsight import hindsight
from dgdr_rehearsal.replay.needs import largest, loads, needs
from dgdr_rehearsal.replay.ours import Ours
from dgdr_rehearsal.replay.plot import Panel, plot_png
from dgdr_rehearsal.replay.rehearsal import Rehearsed, World, rehearse
from dgdr_rehearsal.replay.report import rows, table
from dgdr_rehearsal.replay.traces import multiplied, read_trace

DATA = Path(__file__).parent / "data"
START_UPS_S = (0.0, 30.0, 60.0, 100.0, 120.0, 180.0, 300.0)
INTERVAL_S = 60.0
HPA_INTERVAL_S = 15.0
GPUS = {Role.PREFILL: 1, Role.DECODE: 1}
MOST = 64
SEED = 1
# What hindsight is asked to attain.
GOAL = 0.95
QUANTILES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
HEAD_ROOMS = (0.8, 0.9, 1.0, 1.15, 1.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A trace and its targets; ``factor`` multiplies its requests."""

    name: str
    read: Callable[[], Requests]
    ttft_ms: float
    itl_ms: float
    factor: float = 1.0
    duration_s: float | None = None


def stored(name: str | Path) -> Requests:
    path = DATA / name if (DATA / name).exists() else Path(name)
    content = path.read_bytes()
    text = gzip.decompress(content) if path.suffix == ".gz" else content
    return read_trace(path.name.removesuffix(".gz"), text.decode().splitlines())


def claimed_sine() -> Requests:
    rng = np.random.default_rng(SEED)
    return sine(rng, 5, 45, period_s=600, duration_s=1800, isl=3000, osl=300)


WORKLOADS = (
    Workload(name="sine 5-45", read=claimed_sine, ttft_ms=200, itl_ms=10, duration_s=1800),
    Workload(
        name="Azure code x20",
        read=partial(stored, "azure-code-2023.csv.gz"),
        ttft_ms=500,
        itl_ms=30,
        factor=20,
    ),
    Workload(
        name="Mooncake x4",
        read=partial(stored, "mooncake-synthetic.jsonl.gz"),
        ttft_ms=4000,
        itl_ms=25,
        factor=4,
    ),
)
GENERATED = (
    Workload(
        name="bursty clients", read=partial(bursty, SEED), ttft_ms=2000, itl_ms=20, duration_s=3600
    ),
    Workload(
        name="flash crowds", read=partial(flash, SEED), ttft_ms=500, itl_ms=20, duration_s=3600
    ),
    Workload(
        name="weekly",
        read=partial(weekly, SEED, rate_per_s=5.0),
        ttft_ms=500,
        itl_ms=20,
        duration_s=7 * 86_400,
    ),
)


def world_of(workload: Workload, percentile: Percentile = Percentile.P95) -> World:
    requests = workload.read()
    if workload.factor != 1.0:
        requests = multiplied(requests, workload.factor, np.random.default_rng(SEED))
    profile = reference_engine()
    return World(
        requests=requests,
        engine=Engine.of(profile),
        profile=profile,
        targets=Targets(ttft_ms=workload.ttft_ms, itl_ms=workload.itl_ms, percentile=percentile),
        gpus=GPUS,
        initial=GPUS,
        options=Options(interval_s=INTERVAL_S, duration_s=workload.duration_s),
        seed=SEED,
    )


def policy_of(world: World) -> Policy:
    """The defaults of an SLAPlanner that says its targets and up to 64 replicas."""
    bounds = {"min": 1, "max": MOST}
    targets = world.targets
    percentile = targets.percentile.value
    sla = {"ttftMs": targets.ttft_ms, "itlMs": targets.itl_ms, "percentile": percentile}
    spec = SLAPlannerSpec.model_validate(
        {
            "targetRef": {"name": "target"},
            "sla": sla,
            "profile": {"configMapRef": {"name": "curves"}},
            "roles": {"prefill": bounds, "decode": bounds},
            "interval": f"{INTERVAL_S:.0f}s",
        }
    )
    return Policy.of(spec)


def ours(world: World, name: str = "ours", head_room: float = 1.0, **changes: Any) -> Rehearsed:
    policy = replace(policy_of(world), **changes)
    controller = Ours(profile=world.profile, policy=policy, gpus=GPUS, head_room=head_room)
    return rehearse(world, name, controller, controller.interval_s)


def trade_off(world: World) -> Iterator[Rehearsed]:
    for quantile in QUANTILES:
        yield ours(world, f"ours q={quantile:g}", quantile=quantile)
    for head_room in HEAD_ROOMS:
        yield ours(world, f"ours x{head_room:g}", head_room=head_room)


def foretold(world: World) -> Foretold:
    """What upstream's own ARIMA says of each window: requests and lengths, as it applies it."""
    seen = loads(world)
    last, columns = (0.0, 1.0, 1.0), []
    for load in seen:
        if load is not None:
            last = (load.rate_per_s * INTERVAL_S, load.isl, load.osl)
        columns.append((0.0 if load is None else last[0], *last[1:]))
    told = predictions([list(each) for each in zip(*columns, strict=True)], ["arima"])["arima"]
    return Foretold([Expected(n=n, isl=i, osl=o) for n, i, o in zip(*told, strict=True)])


def hpa(world: World) -> HpaLike:
    """One prompt in each prefill replica; 80 % of the batch at the ITL target in each decode.

    At most twice the replicas of the highest interval, as somebody would allow who knows it.
    """
    requests = world.requests
    context = float(requests.isl.mean() + requests.osl.mean() / 2)
    batches = np.arange(1.0, 1025.0)
    within = world.profile.decode.itl_of_batches(batches, context) <= world.targets.itl_ms
    batch = max(float(within.sum()), 1.0)
    most = {role: 2 * number for role, number in largest(needs(world)).items()}
    return HpaLike(per_replica={Role.PREFILL: 1.0, Role.DECODE: 0.8 * batch}, most=most)


def known(world: World) -> Rehearsed:
    """What hindsight could do at p95, within what ours may do."""
    return hindsight(world, Allowed.by(policy_of(world), GPUS), GOAL)


def compared(world: World, arima: Foretold | None) -> Iterator[Rehearsed]:
    """Run every controller in one world; ours first, the oracle last."""
    yield ours(world)
    classic = ClassicProfile.of(*reference_data())
    settings = {"profile": classic, "targets": world.targets, "gpus": GPUS, "most": MOST}
    yield rehearse(world, "classic last value", Classic(**settings))
    if arima is not None:
        yield rehearse(world, "classic ARIMA", Classic(**settings, predictor=arima))
    yield rehearse(world, "HPA queue", hpa(world), HPA_INTERVAL_S)
    yield known(world)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    workload: Workload
    start_ups_s: tuple[float, ...]
    arima: bool
    trade_off: bool
    plot_s: float


def replayed(asked: Asked) -> tuple[list[dict[str, Any]], Panel | None]:
    """Run one workload at all start-ups."""
    world = world_of(asked.workload)
    arima = foretold(world) if asked.arima else None
    beyond = {role: number + 2 for role, number in largest(needs(world)).items()}
    statics = Statics(world, beyond)
    found: list[dict[str, Any]] = []
    panel = None
    for start_up_s in asked.start_ups_s:
        here = begun(world.starting_in(start_up_s))
        runs = list(compared(here, arima))
        if asked.trade_off:
            runs[1:1] = trade_off(here)
        best = runs[-1]
        static = statics.cheapest(min(runs[0].attained, 1.0))
        hours = {run.controller: _hours(statics, run) for run in runs}
        if static is not None:
            runs.append(replace(static, start_up_s=start_up_s))
        peak = statics.at(largest(needs(world)))
        if static is None or peak.controller != static.controller:
            runs.append(replace(peak, start_up_s=start_up_s))
        fresh = rows(asked.workload.name, runs, best, hours)
        print(table(fresh), file=sys.stderr, flush=True)
        found += fresh
        if start_up_s == asked.plot_s:
            title = f"{asked.workload.name}, start-up {start_up_s:.0f} s"
            panel = Panel(title=title, arrival_s=world.requests.arrival_s, goal=GOAL, runs=runs)
    return found, panel


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedGoals:
    workload: Workload
    percentile: Percentile
    start_ups_s: tuple[float, ...]
    begins: tuple[str, ...]


def against_hindsight(asked: AskedGoals) -> list[dict[str, Any]]:
    """Run one workload against hindsight; each row is shown as soon as it is there."""
    world = world_of(asked.workload, asked.percentile)
    found = []
    for row in goal_rows(asked.workload.name, world, asked.start_ups_s, asked.begins, MOST, ours):
        print("  ".join(goal_cells(row)), file=sys.stderr, flush=True)
        found.append(row)
    return found


def goals(told: argparse.Namespace) -> None:
    chosen = told.workload or chosen_of((*WORKLOADS, *GENERATED), told.only)
    asked = [
        AskedGoals(
            workload=workload,
            percentile=percentile,
            start_ups_s=tuple(told.start_ups),
            begins=tuple(told.begin),
        )
        for workload in chosen
        for percentile in told.percentile
    ]
    print("  ".join(HEADINGS), file=sys.stderr)
    with ProcessPoolExecutor(told.jobs) as pool:
        found = [row for rows_of_one in pool.map(against_hindsight, asked) for row in rows_of_one]
    print(json.dumps({"bench": "planner_replay", "goals": found}, indent=1))


def chosen_of(workloads: Sequence[Workload], only: str | None) -> list[Workload]:
    return [one for one in workloads if one.name.lower().startswith((only or "").lower())]


def _hours(statics: Statics, run: Rehearsed) -> float | None:
    found = statics.cheapest(run.attained)
    return None if found is None else round(found.gpu_hours, 3)


def parsed(text: str) -> Workload:
    try:
        name, rest = text.split("=", 1)
        factor, ttft_ms, itl_ms, path = rest.split(":", 3)
        return Workload(
            name=name,
            read=partial(stored, path),
            ttft_ms=float(ttft_ms),
            itl_ms=float(itl_ms),
            factor=float(factor),
        )
    except ValueError as exc:
        raise argparse.ArgumentTypeError(
            f"{text!r}: write NAME=FACTOR:TTFT_MS:ITL_MS:PATH, as azure=20:500:30:trace.csv"
        ) from exc


def arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--workload", type=parsed, action="append", help="instead of the three")
    parser.add_argument("--only", help="one of them, by the begin of its name")
    parser.add_argument("--goals", action="store_true", help="against hindsight")
    parser.add_argument("--begin", choices=BEGINS, nargs="+", default=list(BEGINS))
    parser.add_argument("--percentile", type=Percentile, nargs="+", default=list(PERCENTILES))
    parser.add_argument("--start-ups", type=float, nargs="+", default=list(START_UPS_S))
    parser.add_argument("--no-arima", action="store_true", help="without upstream's environment")
    parser.add_argument("--trade-off", action="store_true")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--plot-start-up", type=float, default=60.0)
    parser.add_argument("--jobs", type=int, default=1)
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    told = arguments(given)
    if told.goals:
        goals(told)
        return
    chosen = told.workload or chosen_of(WORKLOADS, told.only)
    asked = [
        Asked(
            workload=workload,
            start_ups_s=tuple(told.start_ups),
            arima=not told.no_arima,
            trade_off=told.trade_off,
            plot_s=told.plot_start_up,
        )
        for workload in chosen
    ]
    with ProcessPoolExecutor(told.jobs) as pool:
        found = list(pool.map(replayed, asked))
    every = [row for workload_rows, _ in found for row in workload_rows]
    print(table(every), file=sys.stderr)
    print(json.dumps({"bench": "planner_replay", "runs": every}, indent=1))
    if told.plot:
        told.plot.write_bytes(plot_png([panel for _, panel in found if panel is not None]))


if __name__ == "__main__":
    main()
