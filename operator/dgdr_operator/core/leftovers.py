"""Candidates that no profiler looks after: they hold GPUs, and maybe the CPUs that it waits for.

A new profiler pod finds the points that are stored, deploys what it still needs and goes on, so a
deletion costs a start, never a measurement.
"""

from datetime import datetime

from dgdr_api.conditions import find
from dgdr_operator.core.observation import CandidateSeen, IdleReason, JobState, Observation
from dgdr_operator.core.steps import Aspect

# A pod that was deleted or has failed is replaced within 40 s: the Job waits 10 s, then 20, then
# 40. Who is back by then finds its candidate standing.
IDLE_S = 60.0
# A pod that has a node only waits for its image.
STARTING_S = 600.0


def leftovers(seen: Observation, now: datetime) -> tuple[CandidateSeen, ...]:
    """Return the candidates to delete."""
    return () if _is_looked_after(seen, now) else seen.candidates


def _is_looked_after(seen: Observation, now: datetime) -> bool:
    """Whether a profiler is at work, or may be again in a moment."""
    if seen.job.state is not JobState.RUNNING:
        return False
    idle = seen.job.idle
    known = find(seen.request.status.conditions, Aspect.PROFILER_RUNNING)
    if idle is None or known is None or known.is_true:
        return True
    patience_s = STARTING_S if idle.reason is IdleReason.POD_STARTING else IDLE_S
    return (now - known.last_transition_time).total_seconds() < patience_s
