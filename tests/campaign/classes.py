"""The classes of faults by their letters."""

from .faults import clocks, errors, hands, kills, limits, pods, watches
from .points import Points

CLASSES: dict[str, Points] = {
    "K": kills.points,
    "A": errors.points,
    "W": watches.points,
    "J": pods.points,
    "D": limits.points,
    "S": hands.at_rest,
    "U": hands.in_phases,
    "T": clocks.points,
}

TITLES = {
    "K": "killed, cut off, or without an answer, at each write",
    "A": "errors of the API server at each call",
    "W": "watches that hang, end, forget, repeat, or tell too much",
    "J": "ends of the profiling Job's pod, and of the Job",
    "D": "limits, and results that cannot be used",
    "S": "hand edits, deletions, pods that are never ready",
    "U": "edits and deletions of a request in each phase",
    "T": "clocks that jump",
}
