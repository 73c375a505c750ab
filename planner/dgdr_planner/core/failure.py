"""A pass that failed: what its planner's status says until the next one succeeds."""

from datetime import datetime

from dgdr_api.conditions import condition, with_condition
from dgdr_api.models.sla_planner_status import SLAPlannerStatus
from dgdr_kube.errors import ClusterError
from dgdr_planner.core.verdicts import ConditionType, Reason

MAX_CAUSE_CHARS = 200


def short_cause(exc: Exception) -> str:
    """Say what failed, to people who may not read logs.

    What the API server says is for users. The text of any other error may quote an argument, and
    with it a secret: its kind must do.
    """
    if not isinstance(exc, ClusterError):
        return f"unexpected {type(exc).__name__}; the planner's log says more"
    text = " ".join(str(exc).split())
    return text if len(text) <= MAX_CAUSE_CHARS else f"{text[: MAX_CAUSE_CHARS - 3]}..."


def failed(old: SLAPlannerStatus, cause: str, generation: int, now: datetime) -> SLAPlannerStatus:
    """Return the status that says so; all else stays as it was."""
    text = f"nothing is changed: {cause}"
    fresh = condition(ConditionType.READY, False, Reason.PASS_FAILED, text, now, generation)
    return old.model_copy(update={"conditions": with_condition(old.conditions, fresh, now)})
