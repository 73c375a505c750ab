"""Decides in a graph's pass whether its pods are made anew, and keeps the order of upgrades."""

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime

from dgdr_api.models.dgd_v1beta1 import DGDStatus
from dgdr_kube.kinds import DGD
from dgdr_kube.ports import Manifest, WatchedCluster
from dgdr_operator.core.data_plane import DataPlane
from dgdr_operator.core.observed_run import is_candidate
from dgdr_operator.core.upgrades import (
    MOST_STUCK,
    Renderings,
    Rollout,
    Upgrade,
    Verdict,
    is_late,
    is_requested,
    may_take_turn,
    reason_of,
    requested_at,
    text_of,
    was_ready,
)
from dgdr_operator.core.workloads import Workloads
from dgdr_operator.followed import UPGRADES


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a pass writes, and what it says when all of it was written."""

    workloads: Workloads
    plane: DataPlane
    """What the pods are told that this writes."""
    verdict: Verdict
    behind: tuple[str, ...] = ()
    holder: str = ""
    handled_at: str | None = None
    is_answer: bool = False
    """A request is answered by this pass, when nothing stands in its way."""

    @property
    def replaces_pods(self) -> bool:
        """Whether pods of the graph are made anew though nobody has edited it."""
        return bool(self.behind) and self.verdict in (Verdict.CURRENT, Verdict.UPGRADING)

    def outcome(self, old: DGDStatus, now: datetime, *, is_written: bool, is_up: bool) -> Upgrade:
        """Return the report of a pass; a turn ends when all is written and up, or late."""
        handled_at = self.handled_at if is_written and self.is_answer else None
        behind = () if self.replaces_pods and is_written else self.behind
        verdict = self.verdict
        if verdict is Verdict.UPGRADING and is_written and is_up:
            verdict = Verdict.CURRENT
        elif verdict is Verdict.UPGRADING and is_late(old, now):
            verdict = Verdict.STUCK if is_written else Verdict.REFUSED
        elif verdict is Verdict.CURRENT and behind:
            verdict = Verdict.RENDERED_EARLIER  # it was asked for, and could not be written
        return Upgrade(
            verdict=verdict,
            message=text_of(verdict, behind, self.holder, is_written=is_written),
            handled_at=handled_at or old.last_handled_upgrade_at,
        )


class GraphUpgrades:
    """One for all graphs: at most one of them has the turn, and which one is in its status.

    Nothing is remembered: an operator that begins to lead reads the same. There is one that writes.
    """

    def __init__(
        self,
        cluster: WatchedCluster,
        plane: DataPlane,
        rollout: Rollout,
        scopes: tuple[str | None, ...],
    ) -> None:
        self._cluster = cluster
        self._plane = plane
        self._rollout = rollout
        self._scopes = scopes
        self._asking = asyncio.Lock()

    def alone(self, both: Renderings) -> AbstractAsyncContextManager[object]:
        """Keep others from asking for the turn, until the answer to this one is in a status.

        Who has nothing to ask for waits for nobody.
        """
        asks = self._rollout is Rollout.AUTOMATIC and bool(both.behind)
        return self._asking if asks else nullcontext()

    async def decide(
        self, dgd: Manifest, old: DGDStatus, both: Renderings, *, is_up: bool
    ) -> Decision:
        """Decide what to write; ``is_up``: all pods are ready."""
        is_answer = is_requested(dgd, old) and not is_candidate(dgd)
        begun = self._begun(dgd, is_up=is_up)
        if begun is not None:  # what was begun is ended, whatever the settings say now
            verdict, holder = begun, ""
        elif is_answer or not both.behind:
            verdict, holder = Verdict.CURRENT, ""
        elif self._rollout is Rollout.AUTOMATIC and reason_of(dgd) == Verdict.REFUSED:
            verdict, holder = Verdict.REFUSED, ""  # begun again by itself it would take every turn
        else:
            verdict, holder = await self._verdict(dgd, old, is_up=is_up)
        moves = verdict in (Verdict.CURRENT, Verdict.UPGRADING)
        is_fresh = is_answer or (moves and bool(both.behind))
        return Decision(
            workloads=both.fresh if is_fresh else both.kept,
            plane=self._plane if is_fresh else both.told,
            verdict=verdict,
            behind=both.behind,
            holder=holder,
            handled_at=requested_at(dgd),
            is_answer=is_answer,
        )

    @staticmethod
    def _begun(dgd: Manifest, *, is_up: bool) -> Verdict | None:
        """Return how an upgrade goes on that was begun; None where none was, or all is up."""
        match reason_of(dgd):
            case Verdict.UPGRADING:
                return Verdict.UPGRADING
            case Verdict.STUCK if not is_up:
                return Verdict.STUCK
            case _:
                return None

    async def _verdict(self, dgd: Manifest, old: DGDStatus, *, is_up: bool) -> tuple[Verdict, str]:
        if is_candidate(dgd):
            return Verdict.MEASURED, ""
        if self._rollout is Rollout.AUTOMATIC:
            return await self._take_turn(dgd, is_up=is_up and was_ready(old))
        return Verdict.RENDERED_EARLIER, ""

    async def _take_turn(self, dgd: Manifest, *, is_up: bool) -> tuple[Verdict, str]:
        if holders := await self._graphs(Verdict.UPGRADING):
            return Verdict.WAITS_FOR_TURN, f"{holders[0]} is being upgraded"
        stuck = [*await self._graphs(Verdict.STUCK), *await self._graphs(Verdict.REFUSED)]
        if len(stuck) > MOST_STUCK:
            return Verdict.WAITS_FOR_TURN, f"{' and '.join(stuck[:2])} did not become ready again"
        siblings = await self._cluster.find(DGD, dgd["metadata"]["namespace"])
        return may_take_turn(siblings, is_up=is_up), ""

    async def _graphs(self, reason: Verdict) -> list[str]:
        """Name the graphs that say so of themselves, maybe since an operator before this one."""
        found = [
            dgd["metadata"]
            for scope in self._scopes
            for dgd in await self._cluster.find(DGD, scope, UPGRADES, reason)
        ]
        return sorted(f"{meta['namespace']}/{meta['name']}" for meta in found)
