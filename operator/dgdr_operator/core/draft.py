"""A DGDR's status under construction."""

from dataclasses import dataclass, replace
from datetime import datetime

from dgdr_api.conditions import Progress, condition, find, with_condition, with_progress
from dgdr_api.models.dgdr_v1beta1 import DGDRStatus
from dgdr_operator.core.steps import Aspect


def waiting_since(since: datetime) -> str:
    """Say since when something is waited for."""
    return f"waiting since {since:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The status so far, with what every condition in it needs."""

    status: DGDRStatus
    now: datetime
    generation: int

    def with_(self, **changes: object) -> "Draft":
        """Return the draft with other fields."""
        return replace(self, status=self.status.model_copy(update=changes))

    def saying(
        self, aspect: Aspect, holds: bool, reason: str, message: str, generation: int | None = None
    ) -> "Draft":
        """Return the draft with this condition."""
        new = condition(aspect, holds, reason, message, self.now, generation or self.generation)
        return self.with_(conditions=with_condition(self.status.conditions, new, self.now))

    def at(self, progress: Progress, reason: str, message: str) -> "Draft":
        """Return the draft with Ready, Reconciling and Stalled."""
        return self.with_(
            conditions=with_progress(
                self.status.conditions, progress, reason, message, self.now, self.generation
            )
        )

    def waiting(self, aspect: Aspect, reason: str, message: str) -> "Draft":
        """Return the draft with what is waited for, and since when.

        The clock starts anew with another reason: how long to wait for the next look follows from
        how long this has lasted, not what was before.
        """
        known = find(self.status.conditions, aspect)
        lasts = known is not None and not known.is_true and known.reason == reason
        since = known.last_transition_time if known is not None and lasts else self.now
        text = f"{message}; {waiting_since(since)}"
        return (self if lasts else self.without(aspect)).saying(aspect, False, reason, text)

    def without(self, aspect: Aspect) -> "Draft":
        """Return the draft without the condition of this aspect."""
        kept = tuple(known for known in self.status.conditions if known.type != aspect)
        return self.with_(conditions=kept)
