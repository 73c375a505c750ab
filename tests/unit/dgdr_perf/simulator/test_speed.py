"""An hour has to be simulated while somebody waits for it."""

import time

import numpy as np

from dgdr_api.graph import Role
from dgdr_perf.simulator.arrivals import poisson
from support.simulated import h200, run


def test_an_hour_of_eight_replicas_takes_less_than_ten_seconds_of_one_core() -> None:
    requests = poisson(np.random.default_rng(1), 10.0, 3600, isl=3000, osl=300)
    began_s = time.process_time()
    run(h200(), requests, {Role.PREFILL: 4, Role.DECODE: 4})
    assert time.process_time() - began_s < 10.0
