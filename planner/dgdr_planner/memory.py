"""What passes leave for the next ones: a cache. A new process starts from the status."""

from dataclasses import dataclass, replace
from datetime import datetime

from dgdr_api.models.sla_planner_status import SLAPlannerStatus
from dgdr_kube.ports import Key
from dgdr_planner.forecast import Demand
from dgdr_planner.observe.snapshot import HISTORY_WAITS, NoSnapshot
from dgdr_planner.observe.value import Unknown
from dgdr_planner.observer import Observer
from dgdr_planner.restart import state_of
from dgdr_planner.state import State
from dgdr_planner.turn import Read, Turn, tick_in_s

# A history that failed so often, with a Prometheus that answers otherwise, is never to be had.
HISTORY_TRIES = 5


@dataclass(frozen=True, slots=True)
class Left:
    """What the last pass left: the state, and the status if it could not be written.

    Of another planner, or one of another target, than that of ``turn`` nothing may be remembered.
    """

    turn: Turn
    state: State
    unwritten: SLAPlannerStatus | None

    def tick_in_s(self, now: datetime) -> float:
        """Return the seconds until the tick that follows this pass; below 0 where it is late."""
        begun = self.turn.now
        return tick_in_s(self.turn.planner, self.turn.policy, begun) - (now - begun).total_seconds()


class Memory:
    """What is known of each planner from its last pass."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._left: dict[Key, Left] = {}
        self._tries_left: dict[Key, int] = {}

    async def state(self, turn: Turn) -> State:
        """Return what a pass starts from, with the past as soon as it can be had."""
        known = self._left.get(turn.key)
        if known is not None and known.turn.about == turn.about and known.state.histories:
            return await self._with_past(turn, known.state)
        self._tries_left[turn.key] = HISTORY_TRIES
        planner, name = turn.planner, turn.planner.spec.target_ref.name
        state = state_of(planner.status, name, turn.seen.target, turn.policy, turn.now)
        return await self._with_past(turn, state)

    def left(self, key: Key) -> Left | None:
        """Return what the last pass of a planner left."""
        return self._left.get(key)

    def known(self) -> tuple[Key, ...]:
        """Return the planners of which something is remembered."""
        return tuple(self._left)

    def told(self, key: Key, read: Read) -> SLAPlannerStatus:
        """Return what was said last.

        A status that could not be written counts too, or its decisions would be forgotten.
        """
        known = self._left.get(key)
        mine = known is not None and known.turn.about == read.about
        return known.unwritten if known and mine and known.unwritten else read.planner.status

    def keep(self, turn: Turn, state: State, unwritten: SLAPlannerStatus | None) -> None:
        """Remember what a pass left; ``unwritten`` is the status that still has to be written."""
        self._left[turn.key] = Left(turn, state, unwritten)

    def forget(self, key: Key) -> None:
        """Drop everything about a planner that is gone."""
        self._left.pop(key, None)
        self._tries_left.pop(key, None)

    async def _with_past(self, turn: Turn, state: State) -> State:
        """Learn the past once, as soon as Prometheus answers: without an answer, planners hold."""
        left = self._tries_left.pop(turn.key, 0)
        if left and isinstance(turn.seen.load.rate_per_s, Unknown):
            self._tries_left[turn.key] = left
        elif left:
            past = await self._observer.history(turn.key, turn.planner, turn.policy)
            if isinstance(past, NoSnapshot):
                self._tries_left[turn.key] = left - (past.reason != HISTORY_WAITS)
            elif (restored := Demand.restored(past)).known >= max(state.demand.known, 1):
                return replace(state, demand=restored)
        return state
