"""Windows of load: as they are seen, and as a range query tells of the past."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dgdr_planner.observe.doubts import MOST_PER_S
from dgdr_planner.observe.load import MOST_TOKENS
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.value import Idle, Value, number


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One window: it ends at ``at_s`` (seconds, any epoch) and is ``window_s`` long.

    ``rate_per_s`` None: unknown, which is a gap and never zero. Lengths are means over requests;
    None where no request finished.
    """

    at_s: float
    window_s: float
    rate_per_s: float | None
    isl: float | None = None
    osl: float | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.at_s):
            raise ValueError(f"at_s is {self.at_s}: give seconds since an epoch")
        if not (math.isfinite(self.window_s) and self.window_s > 0):
            raise ValueError(f"window_s is {self.window_s}: give the seconds of the window, > 0")
        if self.rate_per_s is not None:
            _check("rate_per_s", self.rate_per_s)
        for name, length in (("isl", self.isl), ("osl", self.osl)):
            if length is not None:
                _check(name, length)

    @classmethod
    def of(cls, load: LoadSeen, at_s: float) -> Self:
        """Return the window that was seen: idle is zero, unknown stays unknown."""
        rate_per_s = 0.0 if isinstance(load.rate_per_s, Idle) else number(load.rate_per_s)
        return cls(
            at_s=at_s,
            window_s=load.window_s,
            rate_per_s=rate_per_s,
            isl=load.isl.number if isinstance(load.isl, Value) else None,
            osl=load.osl.number if isinstance(load.osl, Value) else None,
        )

    @property
    def row(self) -> NDArray[np.float64]:
        """The sample as the five columns."""
        nan = math.nan
        values = (self.rate_per_s, self.isl, self.osl)
        return np.array(
            [self.at_s, self.window_s, *(nan if v is None else v for v in values)], dtype=np.float64
        )


def _check(name: str, number_: float) -> None:
    if not (math.isfinite(number_) and number_ >= 0):
        raise ValueError(f"{name} is {number_}: give a number >= 0, or None where it is unknown")


# A range query returns at most 11,000 points of a series; a forecast needs far fewer.
MOST_WINDOWS = 2000
_MOST = {"rate": MOST_PER_S, "isl": MOST_TOKENS, "osl": MOST_TOKENS}


def past_windows(
    result: Sequence[Mapping[str, Any]], window_s: float, clock_ahead_s: float = 0.0
) -> tuple[Sample, ...]:
    """Read the ``result`` of ``queries.past_load`` as windows, oldest first, without the unknown.

    ``clock_ahead_s`` is how far Prometheus's clock is ahead of ours: samples are dated by ours.

    Raises:
        ValueError, KeyError, TypeError: the answer is not what Prometheus's API promises.
    """
    seen: dict[float, dict[str, float]] = defaultdict(dict)
    for entry in result:
        of = entry["metric"]["of"]
        for at_s, text in entry["values"]:
            value = float(text)
            if math.isfinite(value) and 0 <= value <= _MOST[of]:
                seen[float(at_s)][of] = value
    return tuple(
        Sample(
            at_s=at_s - clock_ahead_s,
            window_s=window_s,
            rate_per_s=known["rate"],
            isl=known.get("isl"),
            osl=known.get("osl"),
        )
        for at_s, known in sorted(seen.items())
        if "rate" in known
    )
