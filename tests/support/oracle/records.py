"""What became of each request, written down while it happens."""

import math
from collections.abc import Sequence

import numpy as np

from dgdr_perf.simulator.arrivals import Array, Requests


class Records:
    """One entry per request in plain lists: they are read and written one at a time.

    Times are NaN until they are known, for good where a request failed. The logs hold numbers of
    requests in the order in which it happened.
    """

    __slots__ = (
        "arrival_s",
        "done_log",
        "failed_log",
        "finish_s",
        "first_token_log",
        "first_token_s",
        "isl",
        "osl",
        "prompt_s",
        "started",
    )

    def __init__(self, requests: Requests, prompts_s: Array) -> None:
        count = len(requests)
        self.prompt_s: Sequence[float] = prompts_s.tolist()
        self.arrival_s: Sequence[float] = requests.arrival_s.tolist()
        self.isl: Sequence[float] = requests.isl.tolist()
        self.osl: Sequence[float] = requests.osl.tolist()
        self.first_token_s = [math.nan] * count
        self.finish_s = [math.nan] * count
        self.started = 0
        self.first_token_log: list[int] = []
        self.done_log: list[int] = []
        self.failed_log: list[int] = []

    def of(self, name: str, requests: Sequence[int]) -> Array:
        """Return one number for each of these requests."""
        values = getattr(self, name)
        return np.array([values[request] for request in requests], dtype=np.float64)

    def first_token(self, at_s: float, request: int) -> None:
        """The first token reached the user."""
        self.first_token_s[request] = at_s
        self.first_token_log.append(request)

    def done(self, at_s: float, request: int) -> None:
        """The last token reached the user."""
        self.finish_s[request] = at_s
        self.done_log.append(request)

    def failed(self, request: int) -> None:
        """The user got an error."""
        self.failed_log.append(request)

    @property
    def in_flight(self) -> int:
        """Requests that were started and have neither finished nor failed."""
        return self.started - len(self.done_log) - len(self.failed_log)
