"""Decides in a graph's pass whether its pods are made anew, and keeps the order of upgrades."""

import asyncio
from dataclasses import dataclass

from dgdr_api.models.dgd_v1beta1 import DGDStatus
from dgdr_kube.kinds import DGD
from dgdr_kube.ports import Key, Manifest, WatchedCluster
from dgdr_operator.core.data_plane import DataPlane
from dgdr_operator.core.observed_run import is_candidate
from dgdr_operator.core.upgrades import (
    Renderings,
    Rollout,
    Upgrade,
    Verdict,
    has_turn,
    is_requested,
    may_take_turn,
    requested_at,
    text_of,
)
from dgdr_operator.core.workloads import Workloads


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

    def outcome(self, old: DGDStatus, *, is_written: bool, is_up: bool) -> Upgrade:
        """Return the report of a pass."""
        handled_at = self.handled_at if is_written and self.is_answer else None
        behind = () if self.replaces_pods and is_written else self.behind
        verdict = self.verdict
        if verdict is Verdict.UPGRADING and is_written and is_up:
            verdict = Verdict.CURRENT
        elif verdict is Verdict.CURRENT and behind:
            verdict = Verdict.RENDERED_EARLIER  # it was asked for, and could not be written
        return Upgrade(
            verdict=verdict,
            message=text_of(verdict, behind, self.holder),
            handled_at=handled_at or old.last_handled_upgrade_at,
        )


class GraphUpgrades:
    """One for all graphs: at most one of them has the turn.

    Whose turn it is stands in that graph's status before its first pod goes; memory is for those
    who ask in between. There is one operator that writes.
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
        self._lock = asyncio.Lock()
        self._holder: Key | None = None

    async def decide(
        self, dgd: Manifest, old: DGDStatus, both: Renderings, *, is_up: bool
    ) -> Decision:
        """Decide what to write; ``is_up``: all pods are ready."""
        is_answer = is_requested(dgd, old) and not is_candidate(dgd)
        verdict, holder = await self._verdict(dgd, both, is_answer=is_answer, is_up=is_up)
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

    def release(self, key: Key) -> None:
        """Let the next one have its turn."""
        if self._holder == key:
            self._holder = None

    async def _verdict(
        self, dgd: Manifest, both: Renderings, *, is_answer: bool, is_up: bool
    ) -> tuple[Verdict, str]:
        if has_turn(
            dgd.get("status") or {}
        ):  # what was begun is ended, whatever the settings say now
            return Verdict.UPGRADING, ""
        if not both.behind or is_answer:
            return Verdict.CURRENT, ""
        if is_candidate(dgd):
            return Verdict.MEASURED, ""
        if self._rollout is Rollout.AUTOMATIC:
            return await self._take_turn(dgd, is_up=is_up)
        return Verdict.RENDERED_EARLIER, ""

    async def _take_turn(self, dgd: Manifest, *, is_up: bool) -> tuple[Verdict, str]:
        key = _key(dgd)
        async with self._lock:
            holder = self._holder or await self._recorded_holder()
            if holder not in (None, key):
                return Verdict.WAITS_FOR_TURN, "/".join(holder)
            siblings = await self._cluster.find(DGD, key.namespace)
            verdict = may_take_turn(siblings, is_up=is_up)
            self._holder = key if verdict is Verdict.UPGRADING else None
            return verdict, ""

    async def _recorded_holder(self) -> Key | None:
        """Return who was given the turn, maybe by an operator before this one."""
        for scope in self._scopes:
            for dgd in await self._cluster.find(DGD, scope):
                if has_turn(dgd.get("status") or {}):
                    return _key(dgd)
        return None


def _key(dgd: Manifest) -> Key:
    return Key(dgd["metadata"]["namespace"], dgd["metadata"]["name"])
