"""Waiting at a group of engines that each serve one prompt at a time.

Every answer is an approximation with a known source:

* Shared queue (M/G/c): probability of waiting by Erlang's C formula; mean wait after Lee and
  Longton (1959), ``(1 + cv2) / 2`` times that of M/M/c.
* A queue per engine: mean wait after Kraemer and Langenbach-Belz (1976),
  ``rho / (1 - rho) * S * (ca2 + cv2) / 2 * g``. Random dispatch keeps arrivals Poisson
  (``ca2 = 1``, ``g = 1``: Pollaczek and Khinchine's exact mean); round robin over c engines makes
  them Erlang-c (``ca2 = 1 / c``).
* Tail: exponential with the conditional mean wait, the heavy-traffic limit (Kingman 1962).

``cv2`` is the squared coefficient of variation of the service time: 0 for equal prompts.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Dispatch(StrEnum):
    """How prompts find their engine."""

    SHARED = "Shared"
    """The next free engine takes the oldest prompt."""
    ROUND_ROBIN = "RoundRobin"
    """Each engine has its own queue, filled in turn: Dynamo's default."""
    RANDOM = "Random"
    """Each engine has its own queue, filled by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Distribution of the wait for an engine: an atom at zero, then exponential."""

    probability: float
    mean_s: float

    def quantile_s(self, share: float) -> float:
        """Wait that this share of the prompts does not exceed."""
        late = 1.0 - share
        if self.probability <= late or self.mean_s <= 0:
            return 0.0
        return self.mean_s / self.probability * math.log(self.probability / late)


def waits(
    dispatch: Dispatch, rate_per_s: float, service_s: float, cv2: float
) -> Iterator[tuple[int, Wait]]:
    """Yield (engines, wait) from the fewest engines that keep up, upwards, without end."""
    load = rate_per_s * service_s
    blocked = 1.0  # Erlang's B formula by its recurrence, which is stable for any load
    engines = 0
    while True:
        engines += 1
        blocked = load * blocked / (engines + load * blocked)
        if engines <= load:
            continue
        if dispatch is Dispatch.SHARED:
            yield engines, _shared(blocked, load, engines, service_s, cv2)
        else:
            yield engines, _split(dispatch, load / engines, engines, service_s, cv2)


def _shared(blocked: float, load: float, engines: int, service_s: float, cv2: float) -> Wait:
    probability = engines * blocked / (engines - load * (1.0 - blocked))
    mean_s = (1.0 + cv2) / 2.0 * probability * service_s / (engines - load)
    return Wait(probability=probability, mean_s=mean_s)


def _split(dispatch: Dispatch, load: float, engines: int, service_s: float, cv2: float) -> Wait:
    if load <= 0:
        return Wait(probability=0.0, mean_s=0.0)
    arrivals_cv2 = 1.0 if dispatch is Dispatch.RANDOM else 1.0 / engines
    variation = arrivals_cv2 + cv2
    damping = math.exp(-2.0 * (1.0 - load) * (1.0 - arrivals_cv2) ** 2 / (3.0 * load * variation))
    mean_s = load / (1.0 - load) * service_s * variation / 2.0 * damping
    return Wait(probability=load, mean_s=mean_s)
