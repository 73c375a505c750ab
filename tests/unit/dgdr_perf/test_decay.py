"""The decay of a wait is a positive number wherever a queue has an end."""

import numpy as np
import pytest

from dgdr_perf.queueing import Dispatch, wait_at
from dgdr_perf.service_time import ServiceTime

SECONDS = 0.006761575944946292


@pytest.mark.parametrize("dispatch", list(Dispatch))
@pytest.mark.parametrize("cv2", [0.0, 3e-6, 1e-4, 1e-3, 0.1, 2.0])
@pytest.mark.parametrize("idle", [1e-7, 5e-6, 1e-3, 0.5])
def test_waits_end_next_to_saturation(dispatch: Dispatch, cv2: float, idle: float) -> None:
    service = ServiceTime(np.ones(1), np.array([SECONDS]), cv2)
    rate_per_s = (1.0 - idle) * 8 / SECONDS
    wait = wait_at(dispatch, rate_per_s, 8.0, service)
    assert wait.decay_per_s > 0.0
