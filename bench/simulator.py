"""Seconds of one core that the simulator takes: for an hour, and for two weeks in little memory.

    python -m bench.simulator              an hour: 10 requests/s, 8 replicas, ISL 3000, OSL 300
        --days 14                          and so many days of 40 requests/s with a weekly shape,
                                           on fleets that follow the load every minute

Compiling, which is done once for each machine, is counted apart, as is drawing the requests.
"""

import argparse
import json
import math
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bench.reference import reference_engine
from bench.traffic import DAY_S, weekly_chunks
from dgdr_api.graph import Role
from dgdr_perf.simulator.arrivals import Requests, poisson
from dgdr_perf.simulator.engine import Engine
from dgdr_perf.simulator.options import Options
from dgdr_perf.simulator.outcome import Tally
from dgdr_perf.simulator.run import simulate, simulate_chunks
from dgdr_perf.simulator.tick import Tick

HOUR_S = 3600.0
GOAL_S = 10.0
DAYS_GOAL_S = 300.0
DEPLOYMENTS = {
    "4 prefill + 4 decode": {Role.PREFILL: 4, Role.DECODE: 4},
    "8 aggregated": {Role.WORKER: 8},
}
RATE_PER_S = 40.0
TTFT_MS, ITL_MS = 500.0, 20.0
# Requests per second that one replica is given.
EACH_PER_S = {Role.PREFILL: 12.0, Role.DECODE: 12.0}
HEAD_ROOM = 1.2


def hour() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    requests = poisson(rng, 10.0, HOUR_S, isl=3000, osl=300)
    compile_began_s = time.process_time()
    simulate(Engine.of(reference_engine()), requests[:10], {Role.WORKER: 1}, rng=rng)
    compile_s = time.process_time() - compile_began_s
    found = {}
    for name, replicas in DEPLOYMENTS.items():
        # Its step table is made anew, as every first run has to.
        engine = Engine.of(reference_engine())
        began_s = time.process_time()
        simulate(engine, requests, replicas, rng=rng)
        found[name] = round(time.process_time() - began_s, 3)
    return {
        "requests": len(requests),
        "cpu_s": found,
        "first_run_cpu_s": round(compile_s, 2),
        "goal_s": GOAL_S,
        "tokens_per_cpu_s": round(300 * len(requests) / max(found.values())),
    }


class Drawn:
    """Requests as they are drawn; ``cpu_s`` is what drawing them took."""

    def __init__(self, chunks: Iterator[Requests]) -> None:
        self.chunks = chunks
        self.cpu_s = 0.0

    def __iter__(self) -> Iterator[Requests]:
        while True:
            began_s = time.process_time()
            found = next(self.chunks, None)
            self.cpu_s += time.process_time() - began_s
            if found is None:
                return
            yield found


def follow(tick: Tick) -> Mapping[Role, int]:
    rate_per_s = HEAD_ROOM * len(tick.started) / tick.window_s
    return {role: max(math.ceil(rate_per_s / each), 1) for role, each in EACH_PER_S.items()}


def many_days(days: int) -> dict[str, Any]:
    engine = Engine.of(reference_engine())
    drawn = Drawn(weekly_chunks(1, rate_per_s=RATE_PER_S, days=days))
    tally = Tally(ttft_ms=TTFT_MS, itl_ms=ITL_MS)
    began_s = time.process_time()
    course = simulate_chunks(
        engine,
        drawn,
        {Role.PREFILL: 4, Role.DECODE: 4},
        tally,
        rng=np.random.default_rng(1),
        plan=follow,
        options=Options(duration_s=days * DAY_S, start_up_s=100.0),
    )
    cpu_s = time.process_time() - began_s
    return {
        "days": days,
        "requests": tally.requests,
        "attained": round(tally.share(tally.within), 4),
        "gpu_hours": round(course.gpu_hours(dict.fromkeys(EACH_PER_S, 1)), 1),
        "actions": len(course.actions),
        "cpu_s": round(cpu_s - drawn.cpu_s, 1),
        "drawing_cpu_s": round(drawn.cpu_s, 1),
        "us_per_request": round(1e6 * (cpu_s - drawn.cpu_s) / tally.requests, 3),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "goal_s": DAYS_GOAL_S,
    }


def main(given: Sequence[str] = ()) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--days", type=int, default=0)
    told = parser.parse_args(given)
    found = {"bench": "simulator", **hour()}
    if told.days:
        found["many_days"] = many_days(told.days)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
