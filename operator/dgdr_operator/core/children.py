"""What stands at the place of something that we want to apply, and what to do about it."""

from enum import StrEnum
from typing import Any

from dgdr_api.names import MANAGED_BY_VALUE, Annotation, FieldManager, Label
from dgdr_kube.manifests import covers, is_going, is_owned_by, is_written_by

Manifest = dict[str, Any]


class Standing(StrEnum):
    """Whose an object is."""

    FREE = "Free"
    """Nothing is there."""
    OURS = "Ours"
    LEAVING = "Leaving"
    """It is being deleted, or belongs to an earlier graph of the same name: gone in a moment."""
    FOREIGN = "Foreign"
    """Somebody else's: never written, never deleted."""


def standing(live: Manifest | None, owner: Manifest) -> Standing:
    """Say whose ``live`` is, seen from the graph of that owner reference.

    What was orphaned on purpose is taken back: it carries the graph's labels, and we wrote it. A
    copy that somebody made of it carries the labels too.
    """
    if live is None:
        return Standing.FREE
    if is_going(live):
        return Standing.LEAVING
    if is_owned_by(live, owner["uid"]):
        return Standing.OURS
    owners = [o for o in live["metadata"].get("ownerReferences") or () if o.get("controller")]
    if any(o.get("kind") == owner["kind"] and o.get("name") == owner["name"] for o in owners):
        return Standing.LEAVING
    is_orphan = _has_our_labels(live, owner) and is_written_by(live, FieldManager.OPERATOR)
    return Standing.OURS if is_orphan and not owners else Standing.FOREIGN


def is_settled(live: Manifest, wanted: Manifest) -> bool:
    """Whether applying would change nothing.

    The hash notices what we no longer want, the comparison what others have changed.
    """
    stamp = Annotation.LAST_APPLIED_HASH
    annotations = live["metadata"].get("annotations") or {}
    wanted_stamp = wanted["metadata"]["annotations"][stamp]
    return annotations.get(stamp) == wanted_stamp and covers(live, wanted)


def _has_our_labels(live: Manifest, owner: Manifest) -> bool:
    labels = live["metadata"].get("labels") or {}
    return (
        labels.get(Label.GRAPH) == owner["name"]
        and labels.get(Label.MANAGED_BY) == MANAGED_BY_VALUE
    )
