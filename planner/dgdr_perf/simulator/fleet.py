"""How many replicas of a role there are, and what they have to do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Replicas of one role at a moment, and the requests that wait for one of them."""

    ready: int
    pending: int
    terminating: int
    waiting: int = 0
    running: int = 0

    @property
    def replicas(self) -> int:
        """Replicas that are wanted: pending ones count, those that leave do not."""
        return self.ready + self.pending
