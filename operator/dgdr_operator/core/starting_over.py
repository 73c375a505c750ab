"""A failed request that is run again: its spec was edited, or somebody asked for it."""

from dgdr_api.conditions import find
from dgdr_api.models.dgdr_v1beta1 import Phase
from dgdr_api.names import Annotation
from dgdr_operator.core.observation import Request
from dgdr_operator.core.steps import Aspect

CURE = f"edit its spec, or set annotation {Annotation.RERUN_REQUESTED_AT} to another value"
"""How a failed request is run again, from the points that are there."""


def why_start_over(request: Request) -> str | None:
    """Return why a failed request is run again; None when it is not."""
    if request.status.phase is not Phase.FAILED:
        return None
    if asks_again(request):
        return f"{Annotation.RERUN_REQUESTED_AT} is {request.rerun_requested_at}"
    return "the spec was edited" if is_edited(request) else None


def asks_again(request: Request) -> bool:
    """Whether the annotation has a value that was not answered yet."""
    asked = request.rerun_requested_at
    return asked is not None and asked != request.status.last_handled_rerun_at


def is_edited(request: Request) -> bool:
    """Whether there is an edit that nothing was decided about.

    One that was rejected while profiling ran has had its answer.
    """
    status = request.status
    rejected = find(status.conditions, Aspect.SPEC_CHANGE_REJECTED)
    answered = rejected.observed_generation if rejected is not None and rejected.is_true else None
    return request.generation not in (status.observed_generation, answered)


def run_of(request: Request, accepted_generation: int | None) -> str:
    """Name the run, so that what is told once is told once for each."""
    before = request.status.phase in (None, Phase.PENDING, Phase.FAILED)
    generation = request.generation if before else accepted_generation or request.generation
    return f"{generation}/{request.status.last_handled_rerun_at or ''}"
