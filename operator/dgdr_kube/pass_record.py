"""One log line for each pass that wrote something: about what, what was decided, what was written.

    pass queue=dgdr object=team/chat decision=StartProfiling result=done seconds=0.041 \
wrote="apply ConfigMap/profile-chat, create Job/profile-chat, patch_status ..."

A pass that writes nothing is told at DEBUG only: at rest there is nothing to read, and what is
written is bounded by the client's pace. Kinds and names are told, and never what was in them.
Events are left out: they are there for reading themselves.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum

from dgdr_kube.calls import Verb
from dgdr_kube.errors import TRANSIENT
from dgdr_kube.kinds import Kind
from dgdr_kube.ports import Key

log = logging.getLogger(__name__)

MOST_WRITES_TOLD = 12

Reconcile = Callable[[Key], Awaitable[float | None]]


class Result(StrEnum):
    """How a pass ended."""

    DONE = "done"
    RETRIED = "retried"
    """A conflict or an outage: the next try gets over it."""
    FAILED = "failed"
    """Something that does not go away by itself; it is tried again all the same."""


@dataclass(slots=True)
class PassRecord:
    """What one pass decided and wrote so far."""

    decision: str = "Undecided"
    writes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = self.writes[:MOST_WRITES_TOLD]
        more = len(self.writes) - len(told)
        return ", ".join([*told, f"and {more} more"] if more else told)


# The pass that the current task runs. Handing it down through every function that may write would
# put it into each signature between a pass and the client.
_CURRENT: ContextVar[PassRecord | None] = ContextVar("pass", default=None)

PassTold = Callable[[str, str, Result, float], None]
"""Hears queue, decision, result and seconds of each pass."""


def decided(decision: str) -> None:
    """Note what the current pass has decided; one word of a closed set. The last one counts."""
    if (record := _CURRENT.get()) is not None:
        record.decision = decision


def wrote(verb: Verb, kind: Kind, name: str, *, is_certain: bool = True) -> None:
    """Note a write of the current pass; one that nobody answered may have happened."""
    if (record := _CURRENT.get()) is not None:
        record.writes.append(f"{verb} {kind.kind}/{name}{'' if is_certain else ' (no answer)'}")


def recorded(queue: str, run: Reconcile, told: PassTold) -> Reconcile:
    """Return the pass as the queue calls it: timed, counted and logged."""

    async def reconcile(key: Key) -> float | None:
        record, began_s, result = PassRecord(), time.perf_counter(), Result.FAILED
        token = _CURRENT.set(record)
        try:
            delay_s = await run(key)
            result = Result.DONE
            return delay_s
        except TRANSIENT:
            result = Result.RETRIED
            raise
        finally:
            _CURRENT.reset(token)
            seconds = time.perf_counter() - began_s
            told(queue, record.decision, result, seconds)
            _tell(queue, key, record, result, seconds)

    return reconcile


def _tell(queue: str, key: Key, record: PassRecord, result: Result, seconds: float) -> None:
    log.log(
        logging.INFO if record.writes else logging.DEBUG,
        'pass queue=%s object=%s/%s decision=%s result=%s seconds=%.3f wrote="%s"',
        queue,
        *key,
        record.decision,
        result,
        seconds,
        record,
    )
