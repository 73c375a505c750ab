"""Upstream's handshake: nothing new is published before the last decision was carried out.

An environment that takes minutes to start a replica would otherwise chase numbers that change
under its hands. One that never acknowledges is not waited for beyond ``TIMEOUT_S``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dgdr_api.graph import Role
from dgdr_rehearsal.virtual.reply import Reply

TIMEOUT_S = 1800.0
# What upstream publishes before the first decision, and for a role that is not scaled.
NOTHING = -1


class BadAck(ValueError):
    """An acknowledgement of something that was never published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """Replicas of one published decision."""

    replicas: Mapping[Role, int | None]
    decision_id: int
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What is published, what waits to be, and what was acknowledged last."""

    published: Published | None = None
    waiting: Reply | None = None
    scaled_decision_id: int = NOTHING

    def answered(self, answer: Reply, now_s: float) -> "Handshake":
        """Return the handshake after an answer; ``now_s`` is any clock that goes forward."""
        return replace(self, waiting=answer).settled(now_s)

    def acknowledged(self, scaled_decision_id: int, now_s: float) -> "Handshake":
        """Return the handshake after a decision was carried out; an older one says nothing new.

        Raises:
            BadAck: no such decision was published.
        """
        newest = self.published.decision_id if self.published else NOTHING
        if not 0 <= scaled_decision_id <= newest:
            raise BadAck(
                f"scaled_decision_id is {scaled_decision_id}, the last published decision is"
                f" {newest}: acknowledge the decision_id that /v1/decision gave"
            )
        scaled = max(scaled_decision_id, self.scaled_decision_id)
        return replace(self, scaled_decision_id=scaled).settled(now_s)

    def settled(self, now_s: float) -> "Handshake":
        """Publish what waits, if it may be published now."""
        if self.waiting is None or self._is_unfinished(now_s):
            return self
        if self.published is not None and self.published.replicas == self.waiting.replicas:
            return replace(self, waiting=None)
        if None in self.waiting.replicas.values():
            return replace(self, waiting=None)
        fresh = Published(
            replicas=self.waiting.replicas, decision_id=self.waiting.decision_id, at_s=now_s
        )
        return replace(self, published=fresh, waiting=None)

    def _is_unfinished(self, now_s: float) -> bool:
        last = self.published
        if last is None or self.scaled_decision_id >= last.decision_id:
            return False
        return now_s - last.at_s < TIMEOUT_S

    def to_object(self) -> dict[str, int]:
        """Return the published decision under upstream's names.

        Aggregated workers are decode workers there.
        """
        told = self.published.replicas if self.published else {}
        decode = told.get(Role.DECODE, told.get(Role.WORKER))
        prefill = told.get(Role.PREFILL)
        return {
            "num_prefill_workers": NOTHING if prefill is None else prefill,
            "num_decode_workers": NOTHING if decode is None else decode,
            "decision_id": self.published.decision_id if self.published else NOTHING,
        }
