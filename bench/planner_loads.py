"""Our planner alone on many loads and start-ups: whether a change is better over all of them.

    python -m bench.planner_loads [--only NAME] [--start-ups 30 100 300] [--jobs 2]

Three traces and four generated loads, each begun warm (with what nobody could add in time) and from
one replica of each role; with the lengths of prompts as a histogram tells them, and with their mean
alone. JSON to standard output, a table to standard error. ``least`` is the hindsight oracle's.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bench.planner_replay import GPUS, WORKLOADS, Workload, known, policy_of, stored, world_of
from bench.traffic import chat_day, flash_crowd, reasoning, steps
from dgdr_rehearsal.replay.baselines import begun
from dgdr_rehearsal.replay.ours import Ours
from dgdr_rehearsal.replay.rehearsal import Rehearsed, World, rehearse

START_UPS_S = (30.0, 100.0, 300.0)
MOONCAKE = partial(stored, "mooncake-synthetic.jsonl.gz")
LOADS = (
    *WORKLOADS,
    Workload(name="Mooncake x6, 2 s", read=MOONCAKE, ttft_ms=2000, itl_ms=20, factor=6),
    Workload(name="chat, a day", read=chat_day, ttft_ms=500, itl_ms=20),
    Workload(name="reasoning", read=reasoning, ttft_ms=2000, itl_ms=20),
    Workload(name="flash crowd", read=flash_crowd, ttft_ms=500, itl_ms=20),
    Workload(name="steps", read=steps, ttft_ms=500, itl_ms=20),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    workload: Workload
    start_up_s: float
    warm: bool
    shapes: bool
    least: bool


def run(asked: Asked) -> dict[str, Any]:
    world = world_of(asked.workload).starting_in(asked.start_up_s)
    world = begun(world) if asked.warm else replace(world, initial=dict.fromkeys(GPUS, 1))
    found = decided(world, asked.shapes)
    row = {
        "load": asked.workload.name,
        "start_up_s": asked.start_up_s,
        "warm": asked.warm,
        "shapes": asked.shapes,
        "attained": round(found.attained, 4),
        "ttft": round(found.ttft_attained, 4),
        "itl": round(found.itl_attained, 4),
        "gpu_hours": round(found.gpu_hours, 3),
        "most": "+".join(f"{number}{role[0].upper()}" for role, number in found.most.items()),
    }
    if asked.least:
        best = known(world)
        row |= {
            "least_attained": round(best.attained, 4),
            "least_gpu_hours": round(best.gpu_hours, 3),
        }
    print(json.dumps(row), file=sys.stderr, flush=True)
    return row


def decided(world: World, shapes: bool) -> Rehearsed:
    ours = Ours(profile=world.profile, policy=policy_of(world), gpus=GPUS, shapes=shapes)
    return rehearse(world, "ours", ours, ours.interval_s)


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--only", default="", help="loads whose name has this")
    parser.add_argument("--start-ups", type=float, nargs="+", default=list(START_UPS_S))
    parser.add_argument("--least", action="store_true", help="and the hindsight oracle's")
    parser.add_argument("--jobs", type=int, default=1)
    told = parser.parse_args(given)
    asked = [
        Asked(workload=one, start_up_s=start_up_s, warm=warm, shapes=shapes, least=told.least)
        for one in LOADS
        if told.only.lower() in one.name.lower()
        for start_up_s in told.start_ups
        for warm, shapes in ((True, True), (False, True), (True, False))
    ]
    with ProcessPoolExecutor(told.jobs) as pool:
        rows = list(pool.map(run, asked))
    print(json.dumps({"bench": "planner_loads", "runs": rows}, indent=1))


if __name__ == "__main__":
    main()
