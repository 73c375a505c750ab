"""What a plan is shown at the end of each interval."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dgdr_api.graph import Role
from dgdr_perf.simulator.arrivals import Array
from dgdr_perf.simulator.fleet import Counts

Numbers = Sequence[int] | NDArray[np.int64]


class Records(Protocol):
    """Requests that were in flight since the last tick; to be read before the plan returns."""

    def of(self, name: str, requests: Numbers) -> Array:
        """Return one number for each of these requests; shape (requests,).

        ``arrival_s``, ``isl``, ``osl``, ``first_token_s`` or ``finish_s``; NaN is not yet known.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """The end of an interval: what has happened since the one before, and what is there now.

    ``started``, ``first_tokens``, ``completed`` and ``failed`` are numbers of requests, to be
    looked up in ``records``.
    """

    t_s: float
    window_s: float
    started: Sequence[int]
    first_tokens: Numbers
    completed: Numbers
    failed: Numbers
    in_flight: int
    roles: Mapping[Role, Counts]
    records: Records


Plan = Callable[[Tick], Mapping[Role, int] | None]
