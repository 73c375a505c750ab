"""Seconds of one core for one simulated hour: 10 requests/s, 8 replicas, ISL 3000, OSL 300.

python -m bench.simulator
"""

import json
import time

import numpy as np

from bench.reference import reference_engine
from dgdr_api.graph import Role
from dgdr_perf.simulator.arrivals import poisson
from dgdr_perf.simulator.engine import Engine
from dgdr_perf.simulator.run import simulate

HOUR_S = 3600.0
GOAL_S = 10.0
DEPLOYMENTS = {
    "4 prefill + 4 decode": {Role.PREFILL: 4, Role.DECODE: 4},
    "8 aggregated": {Role.WORKER: 8},
}


def main() -> None:
    rng = np.random.default_rng(1)
    requests = poisson(rng, 10.0, HOUR_S, isl=3000, osl=300)
    found = {}
    for name, replicas in DEPLOYMENTS.items():
        # Its step table is made anew, as every first run has to.
        engine = Engine.of(reference_engine())
        began_s = time.process_time()
        simulate(engine, requests, replicas, rng=rng)
        found[name] = round(time.process_time() - began_s, 2)
    print(
        json.dumps(
            {
                "bench": "simulator",
                "requests": len(requests),
                "cpu_s": found,
                "goal_s": GOAL_S,
                "tokens_per_cpu_s": round(300 * len(requests) / max(found.values())),
            }
        )
    )


if __name__ == "__main__":
    main()
