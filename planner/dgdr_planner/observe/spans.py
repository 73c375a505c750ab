"""The time that frontends cover together, while some of them come and others go.

One that takes another's place serves the same load after it, not besides: what all of them count is
divided by one time, that in which any of them served.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dgdr_planner.observe.frontends import Frontend

# Pods are not scraped at one moment: until its next scrape is due, a pod is taken to go on. One of
# which a scrape is missing goes on, too, where no other pod is there in its place.
DUE_AFTER_SCRAPES = 1.1


@dataclass(frozen=True, slots=True)
class _Span:
    pod: Frontend
    since_s: float
    until_s: float

    def whole(self, count: float) -> float:
        """Return what the pod counted between two scrapes as what it did in the whole span."""
        covered_s = self.pod.covered_s
        return count * (self.until_s - self.since_s) / covered_s if covered_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Covered:
    """The spans of all frontends of a deployment in a window."""

    spans: tuple[_Span, ...]

    @classmethod
    def by(
        cls, pods: Sequence[Frontend], live: Sequence[Frontend], frontends: int | None
    ) -> "Covered":
        """Return what these frontends cover, at least one.

        ``frontends`` are ready: where no more are ``live``, none of those has gone.
        """
        first_s, last_s = min(pod.first_s for pod in pods), max(pod.last_s for pod in pods)
        staying = {id(pod) for pod in live} if len(live) == frontends else set()
        return cls(tuple(_span(pod, first_s, last_s, id(pod) in staying) for pod in pods))

    @property
    def seconds(self) -> float:
        """The time in which any of them served; that in which nobody was there is left out."""
        total_s, end_s = 0.0, min(one.since_s for one in self.spans)
        for one in sorted(self.spans, key=lambda span: span.since_s):
            total_s += max(one.until_s - max(one.since_s, end_s), 0.0)
            end_s = max(end_s, one.until_s)
        return total_s

    def per_s(self, count: Callable[[Frontend], float]) -> float:
        """Return what all of them count, per second."""
        seconds = self.seconds
        total = sum(one.whole(count(one.pod)) for one in self.spans)
        return total / seconds if seconds > 0 else 0.0


def _span(pod: Frontend, first_s: float, last_s: float, stays: bool) -> _Span:
    """Return when a pod served: what it had served when it was first scraped took its time too."""
    started = pod.started()
    unseen_s = pod.covered_s * pod.started_before() / started if started > 0 else 0.0
    goes_on = stays or last_s - pod.last_s <= DUE_AFTER_SCRAPES * pod.scrape_s
    return _Span(pod, max(pod.first_s - unseen_s, first_s), last_s if goes_on else pod.last_s)
