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
    if seen.job.state is not JobState.RUNNING:
        return seen.candidates
    if seen.request.suspended:
        return seen.candidates
    since = _idle_since(seen)
    if since is None or seen.job.idle is None:
        return ()
    patience_s = STARTING_S if seen.job.idle.reason is IdleReason.POD_STARTING else IDLE_S
    # Who made a candidate was at work then, even when the kubelet has not said so yet.
    idle_s = {c: (now - max(since, c.created)).total_seconds() for c in seen.candidates}
    return tuple(c for c in seen.candidates if idle_s[c] >= patience_s)


def _idle_since(seen: Observation) -> datetime | None:
    """Return since when no profiler has been at work; None when one is, or nobody knows yet."""
    known = find(seen.request.status.conditions, Aspect.PROFILER_RUNNING)
    return None if known is None or known.is_true else known.last_transition_time
