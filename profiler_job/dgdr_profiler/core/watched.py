"""Which troubles of pods have lasted long enough to be believed. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dgdr_profiler.core.pod_troubles import Trouble, troubles

Json = Mapping[str, Any]
Pulls = Mapping[tuple[str, str | None], int]
"""How often the image of a place could not be pulled, where that is known."""

# A first error of a registry is tried again; two are a pattern.
MOST_FAILED_PULLS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A trouble, and since when it has been seen."""

    trouble: Trouble
    since_s: float

    def is_due(self, now_s: float, failed_pulls: int) -> bool:
        """Whether it will not go away any more."""
        if self.trouble.may_be_pulled and failed_pulls >= MOST_FAILED_PULLS:
            return True
        return now_s - self.since_s >= self.trouble.patience_s


def watch(before: Iterable[Watched], pods: Iterable[Json], now_s: float) -> tuple[Watched, ...]:
    """Return the troubles there are.

    The kubelet tells a registry's words at the moment of the error and forgets them while it backs
    off, so the words that were seen first are kept.
    """
    known = {w.trouble.place: w for w in before}
    return tuple(_watched(known.get(t.place), t, now_s) for t in troubles(pods))


def believed(seen: Iterable[Watched], now_s: float, pulls: Pulls) -> Trouble | None:
    """Return the first trouble that waiting on does not cure."""
    due = (w.trouble for w in seen if w.is_due(now_s, pulls.get(w.trouble.place, 0)))
    return next(due, None)


def failed_pulls(events: Iterable[Json], image: str) -> int:
    """Count the kubelet's failed tries to pull an image for a pod, from the pod's events."""
    begins = f'Failed to pull image "{image}"'
    ours = (e for e in events if str(e.get("message") or "").startswith(begins))
    return sum(int(event.get("count") or 1) for event in ours)


def _watched(before: Watched | None, trouble: Trouble, now_s: float) -> Watched:
    if before is None or before.trouble.patience_s != trouble.patience_s:
        return Watched(trouble=trouble, since_s=now_s)
    kept = replace(trouble, reason=before.trouble.reason)
    return Watched(trouble=kept, since_s=before.since_s)
