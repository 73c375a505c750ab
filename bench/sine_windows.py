"""Upstream's published sine, window by window: is there ever more load than the engines can serve?

5 to 45 requests per second, ISL 3000, OSL 300, TTFT 200 ms and ITL 10 ms, 30 windows of 60 s; the
first of three periods is for learning. A window is overloaded when its load exceeds what the
replicas that served in it can, at the throughput that upstream's planner takes from the profile.
Ours promises these targets to 95 % of the requests, for which queues need idle replicas; with
``sizing.policy: Classic`` it sizes as upstream does, and only forecasts and shrinks in its own way.
Upstream's planner with its constant prediction runs beside both.
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.planner_replay import GPUS, INTERVAL_S, MOST, WORKLOADS, ours, world_of
from bench.reference import reference_data
from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_policy import SizingPolicy
from dgdr_perf.classic import ClassicProfile
from dgdr_rehearsal.replay.baselines import begun
from dgdr_rehearsal.replay.classic import Classic
from dgdr_rehearsal.replay.needs import loads
from dgdr_rehearsal.replay.rehearsal import Rehearsed, World, rehearse

START_UPS_S = (0.0, 100.0)
PERIOD_S = 600.0


def capacity_per_s(world: World) -> dict[Role, float]:
    """Requests per second of one replica of each role, as upstream counts them."""
    profile = ClassicProfile.of(*reference_data())
    isl, osl = float(world.requests.isl.mean()), float(world.requests.osl.mean())
    decode = profile.best_decode_thpt(world.targets.itl_ms, isl + osl / 2)
    return {Role.PREFILL: profile.prefill_thpt_of(isl) / isl, Role.DECODE: decode / osl}


def overloaded(world: World, run: Rehearsed) -> dict[str, list[int]]:
    """Return the overloaded windows of each role, by their number."""
    rates = [0.0 if load is None else load.rate_per_s for load in loads(world)]
    capacity = capacity_per_s(world)
    found: dict[str, list[int]] = {}
    for role, timeline in run.timelines.items():
        seconds = np.arange(len(rates) * INTERVAL_S) + 0.5
        serving = timeline.ready[np.searchsorted(timeline.at_s, seconds, side="right") - 1]
        mean = serving.reshape(len(rates), -1).mean(axis=1)
        found[role.value] = np.flatnonzero(mean * capacity[role] < rates).tolist()
    return found


def runs(world: World) -> Iterator[Rehearsed]:
    """Rehearse ours, ours with upstream's sizing, and upstream, at one start-up time."""
    yield ours(world)
    yield ours(world, "ours, sizing Classic", sizing=SizingPolicy.CLASSIC)
    classic = ClassicProfile.of(*reference_data())
    controller = Classic(profile=classic, targets=world.targets, gpus=GPUS, most=MOST)
    yield rehearse(world, "classic last value", controller)


def row(world: World, run: Rehearsed) -> dict[str, Any]:
    """Describe one run; windows after the first period are counted."""
    found = overloaded(world, run)
    late = sorted({n for each in found.values() for n in each if n >= PERIOD_S / INTERVAL_S})
    return {
        "controller": run.controller,
        "start_up_s": run.start_up_s,
        "overloaded_windows": found,
        "overloaded_after_first_period": len(late),
        "gpu_hours": round(run.gpu_hours, 3),
        "attained": round(run.attained, 4),
    }


def main() -> None:
    (sine,) = (one for one in WORKLOADS if one.name.startswith("sine"))
    world = world_of(sine)
    found = []
    for start_up_s in START_UPS_S:
        here = begun(world.starting_in(start_up_s))
        found += [row(here, run) for run in runs(here)]
    told = {role.value: round(rate, 2) for role, rate in capacity_per_s(world).items()}
    print(json.dumps({"bench": "sine_windows", "capacity_per_s": told, "runs": found}, indent=1))


if __name__ == "__main__":
    main()
