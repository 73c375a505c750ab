"""The course of one planner over hours, as Prometheus remembers it. Pure.

Arrays have the shape (moments,), NaN where nobody knows: a gap is drawn as a gap.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_cli.planner.series import own
from dgdr_planner.observe.queries import Duration, Name, Template

Array = NDArray[np.float64]

# More moments than a picture has columns show nothing more.
MOST_MOMENTS = 720
# A share over less than this is a few requests.
LEAST_WINDOW_S = 300.0

LOADS = {
    "observed": "dynamo_planner_observed_requests_per_second",
    "expected": "dynamo_planner_predicted_requests_per_second",
    "planned": "dgdr_planner_planned_requests_per_second",
}
LOAD = Template("load", 'label_replace(max({metric}{{{own}}}), "of", "{of}", "", "")')
REPLICAS = Template("replicas", "max by (role, state) (dgdr_planner_replicas{{{own}}})")
WITHIN = Template(
    "within",
    "sum by (target) (increase(dgdr_planner_sla_requests_within_total{{{own}}}[{window}]))"
    " / (sum by (target) (increase(dgdr_planner_sla_requests_total{{{own}}}[{window}])) > 0)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Load in requests per second, replicas by role and state, and the share within each target."""

    at_s: Array
    load: Mapping[str, Array]
    replicas: Mapping[tuple[str, str], Array]
    within: Mapping[str, Array]

    @property
    def is_known(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self.load or self.replicas or self.within)


def step_s(span_s: float, interval_s: float) -> float:
    """Return the seconds from one moment to the next."""
    return max(interval_s, span_s / MOST_MOMENTS)


def query(planner: SLAPlanner, step: float) -> str:
    """Return the question for a range query."""
    chosen = own(planner)
    loads = (LOAD.render(metric=Name(name), own=chosen, of=of) for of, name in LOADS.items())
    within = WITHIN.render(own=chosen, window=Duration(max(step, LEAST_WINDOW_S)))
    return " or ".join((*loads, REPLICAS.render(own=chosen), within))


def course(
    result: Sequence[Mapping[str, Any]], start_s: float, end_s: float, step: float
) -> Course:
    """Read the answer to ``query``."""
    steps = np.arange(int((end_s - start_s) / step + 1e-9) + 1, dtype=np.float64)
    at_s: Array = np.asarray(start_s + step * steps, dtype=np.float64)
    load: dict[str, Array] = {}
    replicas: dict[tuple[str, str], Array] = {}
    within: dict[str, Array] = {}
    for series in result:
        labels, values = series["metric"], _values(series["values"], at_s, step)
        if "of" in labels:
            load[labels["of"]] = values
        elif "role" in labels:
            replicas[labels["role"], labels["state"]] = values
        elif "target" in labels:
            within[labels["target"]] = values
    return Course(at_s=at_s, load=load, replicas=replicas, within=within)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """The replicas that were wanted changed between two moments; ``at_s`` is the later one."""

    at_s: float
    changes: Mapping[str, tuple[int, int]]


def moves(seen: Course) -> tuple[Move, ...]:
    """Return when the wanted replicas were seen to change, the newest first."""
    found: dict[float, dict[str, tuple[int, int]]] = defaultdict(dict)
    for (role, state), values in seen.replicas.items():
        if state != "wanted":
            continue
        known = np.flatnonzero(np.isfinite(values))
        for before, after in pairwise(known):
            if values[before] != values[after]:
                change = int(values[before]), int(values[after])
                found[float(seen.at_s[after])][role] = change
    return tuple(Move(at_s=at_s, changes=found[at_s]) for at_s in sorted(found, reverse=True))


def _values(pairs: Sequence[Sequence[Any]], at_s: Array, step: float) -> Array:
    values = np.full(at_s.shape, np.nan)
    for moment_s, text in pairs:
        place = round((float(moment_s) - float(at_s[0])) / step)
        if 0 <= place < values.size:
            values[place] = float(text)
    return values
