"""What the planner keeps beyond the need: GPU-hours of each load, by what they were kept for.

    python -m bench.planner_spare [--only NAME] [--start-ups 100] [--seeds 101 102]

Spare is what was ready above what sizing asks for under an interval's own load (``replay --why``).
What of it was above the whole need that the planner saw is kept by limits: ``patience`` (the
stabilisation window) or ``band`` (a role that is late, the first ten windows, noise around a whole
number). The rest is in the need: a ``correction`` or a ``backlog``; else the plan, which is that of
what was ``seen``, or a ``forecast`` with its width. Generated loads only: traces are for the end.
JSON to standard output, a table to standard error.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench.planner_replay import GPUS, Workload, policy_of, world_of
from bench.traffic import chat_day, flash, flash_crowd, reasoning, steps
from dgdr_api.graph import Role
from dgdr_perf.simulator.arrivals import Requests
from dgdr_perf.simulator.outcome import Timeline
from dgdr_planner.limit.guards import Limit
from dgdr_planner.plan import Plan, RolePlan
from dgdr_rehearsal.replay.baselines import begun
from dgdr_rehearsal.replay.needs import needs
from dgdr_rehearsal.replay.ours import Ours
from dgdr_rehearsal.replay.rehearsal import World, rehearse

KINDS: dict[str, tuple[Callable[[int], Requests], float, float]] = {
    "chat, a day": (chat_day, 500, 20),
    "reasoning": (reasoning, 2000, 20),
    "flash crowd": (flash_crowd, 500, 20),
    "flash crowds": (flash, 500, 20),
    "steps": (steps, 500, 20),
}
CAUSES = ("seen", "forecast", "patience", "band", "correction", "backlog", "begin")


def workloads(seeds: Sequence[int]) -> Iterator[Workload]:
    for name, (draw, ttft_ms, itl_ms) in KINDS.items():
        for seed in seeds:
            yield Workload(
                name=f"{name}, {seed}", read=partial(draw, seed), ttft_ms=ttft_ms, itl_ms=itl_ms
            )


def row(workload: Workload, start_up_s: float) -> dict[str, Any]:
    world = begun(world_of(workload).starting_in(start_up_s))
    ours = Ours(profile=world.profile, policy=policy_of(world), gpus=GPUS)
    run = rehearse(world, "ours", ours, ours.interval_s)
    spare = spare_hours(world, ours, run.timelines)
    return {
        "load": workload.name,
        "start_up_s": start_up_s,
        "attained": round(run.attained, 4),
        "gpu_hours": round(run.gpu_hours, 3),
        **{cause: round(spare[cause], 3) for cause in CAUSES},
    }


def spare_hours(world: World, ours: Ours, timelines: Mapping[Role, Timeline]) -> dict[str, float]:
    """Return replica-hours beyond each interval's need, by cause."""
    interval_s, found = world.options.interval_s, dict.fromkeys(CAUSES, 0.0)
    for number, need in enumerate(needs(world)):
        begin_s = number * interval_s
        decision = ours.decisions.get(begin_s)
        plan = decision.outcome if decision is not None else None
        told = {one.seen.role: one for one in plan.roles} if isinstance(plan, Plan) else {}
        by = plan.forecast.planned_by if isinstance(plan, Plan) else None
        for role, true in need.items():
            spare = _ready(timelines[role], begin_s, begin_s + interval_s) - true
            if spare <= 0:
                continue
            for cause, replicas in _causes(told.get(role), by, true, spare):
                found[cause] += replicas * interval_s / 3600.0
    return found


def _ready(line: Timeline, begin_s: float, end_s: float) -> int:
    """Return the fewest replicas that were ready in this time."""
    first = max(int(np.searchsorted(line.at_s, begin_s, side="right")) - 1, 0)
    last = max(int(np.searchsorted(line.at_s, end_s, side="left")), first + 1)
    return int(line.ready[first:last].min())


def _causes(
    told: RolePlan | None, by: str | None, true: int, spare: int
) -> Iterator[tuple[str, int]]:
    """Yield what so many spare replicas were kept for."""
    if told is None or told.need is None:
        yield "begin", spare
        return
    wanted = max(math.ceil(told.need - 1e-9), true)
    above = min(max(told.replicas - wanted, 0), spare)
    yield ("patience" if told.limit is Limit.STABILIZING else "band"), above
    rest = spare - above
    if told.factor > 1.0:
        yield "correction", rest
    elif told.backlog is not None:
        yield "backlog", rest
    else:
        yield ("seen" if by is None else "forecast"), rest


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--only", default="", help="loads whose name has this")
    parser.add_argument("--start-ups", type=float, nargs="+", default=[100.0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103])
    told = parser.parse_args(given)
    rows = []
    for one in workloads(told.seeds):
        if told.only.lower() in one.name.lower():
            for start_up_s in told.start_ups:
                rows.append(row(one, start_up_s))
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"bench": "planner_spare", "runs": rows}, indent=1))


if __name__ == "__main__":
    main()
