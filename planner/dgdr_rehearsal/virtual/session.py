"""A planner that is told windows of load: the controller's decision, and what it remembers."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from dgdr_api.graph import Role
from dgdr_perf.engine_profile import EngineProfile
from dgdr_planner.decide import decide
from dgdr_planner.observe.value import Idle, Trouble
from dgdr_planner.plan import Plan
from dgdr_planner.policy import Policy
from dgdr_planner.state import State
from dgdr_rehearsal.virtual.observation import observed, role_of
from dgdr_rehearsal.virtual.reply import Reply, held, planned
from dgdr_rehearsal.virtual.window import BadWindow, Window, read_window

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Session:
    """Answers windows in the order of time; ``decisions`` counts the answers."""

    def __init__(self, policy: Policy, profile: EngineProfile, name: str = "") -> None:
        self._policy = policy
        self._profile = profile
        self._name = name
        self._state = State()
        self._last_s: float | None = None
        self._replicas: Mapping[Role, int | None] = dict.fromkeys(policy.roles)
        self.decisions = 0

    @property
    def startup_s(self) -> float | None:
        """Seconds that a replica takes to be ready; None as long as no start was seen."""
        return self._state.starts.measured_s

    def answer(self, window: Window) -> Reply:
        """Decide on one window.

        Raises:
            BadWindow: time does not go forward; nothing was remembered.
        """
        if window.t_s is None:
            trouble = Trouble("TimeUnknown", "t_s is not known, so the window has no place in time")
            return self._noted(held(trouble, self._present(window), self.decisions + 1))
        self._check_order(window.t_s)
        now = EPOCH + timedelta(seconds=window.t_s)
        seen = observed(window, self._policy, self._name)
        decision = decide(seen, self._profile, self._policy, self._state, now)
        match decision.outcome:
            case Plan() as plan:
                is_idle = isinstance(seen.load.rate_per_s, Idle)
                answer = planned(plan, self._policy, self.decisions + 1, is_idle=is_idle)
            case Trouble() as trouble:
                answer = held(trouble, self._present(window), self.decisions + 1)
        self._state, self._last_s = decision.state, window.t_s
        return self._noted(answer)

    def _check_order(self, t_s: float) -> None:
        last_s = self._last_s
        if last_s is not None and t_s <= last_s:
            raise BadWindow(
                f"t_s is {t_s:.15g}, but the last window ended at {last_s:.15g}: give every window"
                " once, in the order of time"
            )

    def _present(self, window: Window) -> dict[Role, int | None]:
        """Return what is there now; what was last answered where nobody knows that."""
        told = {role: role_of(window, role) for role in self._policy.roles}
        present = {role: found.present if found else None for role, found in told.items()}
        return {
            role: self._replicas[role] if replicas is None else replicas
            for role, replicas in present.items()
        }

    def _noted(self, answer: Reply) -> Reply:
        self._replicas = answer.replicas
        self.decisions = answer.decision_id
        return answer


log = logging.getLogger(__name__)


def answer_line(session: Session, line: bytes) -> str:
    """Return the answer to a line, without a line end; what is wrong with it is an answer too."""
    try:
        return session.answer(read_window(line)).to_json()
    except BadWindow as exc:
        return error_line(str(exc))
    except Exception as exc:
        return undigested(exc)


def undigested(exc: Exception) -> str:
    """Say that we failed: one window must not end a planner that others wait for."""
    log.error("a window could not be answered", exc_info=exc)
    return error_line(f"this window could not be answered ({type(exc).__name__}: {exc})")


def error_line(text: str) -> str:
    """Return an error as one line."""
    return json.dumps({"error": text}, ensure_ascii=False)
