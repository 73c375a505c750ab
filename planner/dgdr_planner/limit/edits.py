"""Numbers that somebody else wrote: left alone for a while, then owned again.

A person who sets replicas by hand, in an incident, knows something that the planner does not; but
a number that was forgotten must not stay for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dgdr_api.graph import Role
from dgdr_api.names import FieldManager
from dgdr_planner.observe.observation import RoleSeen

YIELD_S = 1800.0
# The operator copies the planner's number into the deployment, and makes adapters with numbers
# that it finds there: none of them is a new will.
_OURS = frozenset(
    {FieldManager.PLANNER, FieldManager.SCALE, FieldManager.OPERATOR, FieldManager.INIT}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A number that somebody else wrote, and until when it is left alone."""

    replicas: int
    by: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """A number that the planner saw or wrote last, and whether an adapter held it.

    ``adapted`` is None after a restart: then it is taken to be where it is now.
    """

    replicas: int
    adapted: bool | None = None


def edit_of(seen: RoleSeen, known: Known | None, before: Edit | None, now: datetime) -> Edit | None:
    """Return the edit that holds for a role now; None when the number is ours.

    ``known`` is the number that was there when the planner last looked or wrote; None when it
    never did: then whatever is there is what it starts from.
    """
    foreign = seen.writer is not None and seen.writer not in _OURS
    if foreign and known is not None and _differs(seen, known):
        until = now + timedelta(seconds=YIELD_S)
        return Edit(replicas=seen.replicas, by=seen.writer or "", until=until)
    if before is not None and before.replicas == seen.replicas and now < before.until:
        return before
    return None


def _differs(seen: RoleSeen, known: Known) -> bool:
    """Whether the number changed where it was: an adapter that comes or goes brings its own."""
    same_place = known.adapted in (None, seen.adapter_version is not None)
    return same_place and seen.replicas != known.replicas


def edits_of(
    roles: tuple[RoleSeen, ...],
    known: Mapping[Role, Known],
    before: Mapping[Role, Edit],
    now: datetime,
) -> dict[Role, Edit]:
    """Return the edits that hold, by role."""
    found = {
        seen.role: edit_of(seen, known.get(seen.role), before.get(seen.role), now) for seen in roles
    }
    return {role: edit for role, edit in found.items() if edit is not None}
