"""The journal of a run, kept in memory and stored at once: every write comes before its use."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dgdr_profiler.core import journal
from dgdr_profiler.core.candidate import Candidate, EngineFacts, Fetched
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.journal import Entry, Failure, Rejection, Stay
from dgdr_profiler.core.report import Ledger
from dgdr_profiler.ports import Records

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Account:
    """What the run did beside measuring, all pods of its Job together."""

    records: Records
    _entries: dict[str, Entry] = field(default_factory=dict)
    _standing: dict[str, Stay] = field(default_factory=dict)

    async def remember(self) -> frozenset[str]:
        """Read what earlier pods stored; what stood when they died is counted up to now.

        Returns:
            The candidates that stood.
        """
        self._entries = {entry.key: entry for entry in await self.records.entries()}
        stood = [s for s in journal.stays(self._entries.values()) if s.held_s is None]
        for stay in stood:
            await self._enter(stay.ended(_now()))
        return frozenset(stay.candidate for stay in stood)

    @property
    def rejected(self) -> dict[str, str]:
        """Why candidates were given up for good."""
        return journal.lasting_rejections(self._entries.values())

    @property
    def failures(self) -> dict[tuple[str, int], tuple[str, ...]]:
        """What went wrong with measurements, by candidate and prompt length."""
        return journal.failures(self._entries.values())

    @property
    def unpullable(self) -> dict[str, str]:
        """Images that several candidates could not pull, and why."""
        return journal.unpullable(self._entries.values())

    @property
    def fetched(self) -> dict[str, Fetched]:
        """What fetching KV caches took, by candidate; of several stays the last that says so."""
        past = journal.stays(self._entries.values())
        return {stay.candidate: stay.fetched for stay in past if stay.fetched is not None}

    async def begin_stay(self, candidate: Candidate) -> None:
        """Store that a candidate holds GPUs, before it does: whoever comes next must know."""
        stay = Stay(candidate=candidate.id, gpus=candidate.gpus, started_at=_now())
        await self._stand(stay)

    async def ready(self, candidate: Candidate, facts: EngineFacts) -> None:
        """Store that a candidate serves from now on, and what its engine says of itself."""
        await self._stand(self._standing[candidate.id].ready(_now(), facts))

    async def having_fetched(self, candidate: Candidate, what: Fetched) -> None:
        """Store what fetching KV caches took."""
        await self._stand(self._standing[candidate.id].having_fetched(what))

    async def end_stay(self, candidate: str) -> None:
        """Store that a candidate's GPUs are free."""
        await self._enter(self._standing.pop(candidate).ended(_now()))

    async def reject(self, candidate: Candidate, why: CandidateFailed) -> None:
        """Store that a candidate was given up."""
        logger.warning("%s given up: %s", candidate.label, why)
        rejection = Rejection(
            candidate=candidate.id,
            reason=str(why),
            at=_now(),
            lasting=why.lasting,
            image=why.image,
        )
        await self._enter(rejection)

    async def failed(self, candidate: Candidate, isl: int, reason: str) -> None:
        """Store that a measurement gave no point."""
        logger.warning("%s, prompt length %d: %s", candidate.label, isl, reason)
        await self._enter(Failure(candidate=candidate.id, isl=isl, reason=reason, at=_now()))

    def ledger(self, labels: Mapping[str, str], elapsed_s: float) -> Ledger:
        """Return what was spent; what still stands is counted up to now."""
        past = journal.stays(self._entries.values())
        return Ledger(
            stays=tuple(s.ended(_now()) if s.held_s is None else s for s in past),
            notes=journal.notes(self._entries.values(), labels),
            elapsed_s=elapsed_s,
        )

    async def _stand(self, stay: Stay) -> None:
        self._standing[stay.candidate] = stay
        await self._enter(stay)

    async def _enter(self, entry: Entry) -> None:
        self._entries[entry.key] = entry
        await self.records.enter(entry)


def _now() -> datetime:
    return datetime.now(UTC)
