"""What a decision is: replicas for a forecast load, or a reason to leave everything as it is."""

from dataclasses import dataclass

from dgdr_perf.sizing import Sizing
from dgdr_planner.forecast.forecaster import Forecast
from dgdr_planner.limit.edits import Edit
from dgdr_planner.limit.guards import Limit
from dgdr_planner.observe.budget import Claim
from dgdr_planner.observe.observation import RoleSeen
from dgdr_planner.observe.value import Trouble
from dgdr_planner.size.backlog import Backlog
from dgdr_planner.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class RolePlan:
    """One role: what is there, what the load needs, what to ask for.

    ``answer`` and ``need``, the replicas before rounding, are None where the lengths of requests
    were never seen, so that nothing was sized. ``factor`` is what observed latencies multiply the
    need of the curves by; ``backlog`` is what waits beyond the plan. ``current`` is where the
    decision starts from: in Shadow what it would have asked for before. ``edit`` is a number of
    somebody else's that is left alone. ``least_loaded`` are the replicas that least-loaded dispatch
    would need, where that is much less.
    """

    seen: RoleSeen
    current: int
    answer: Sizing | None
    need: float | None
    needed: int
    replicas: int
    limit: Limit | None
    factor: float = 1.0
    backlog: Backlog | None = None
    edit: Edit | None = None
    least_loaded: int | None = None

    @property
    def changes(self) -> bool:
        """Whether the number should change."""
        return self.replicas != self.current


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Replicas for the forecast load; ``share_gpus`` is None where nobody counts GPUs.

    ``unlike`` says which engines differ from those of the profile. Its numbers are used all the
    same: those of another engine are nearer to the truth than none.
    """

    forecast: Forecast
    roles: tuple[RolePlan, ...]
    share_gpus: int | None = None
    unlike: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[RolePlan, ...]:
        """Roles whose number should change."""
        return tuple(role for role in self.roles if role.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do now: a plan, or a reason to leave everything as it is.

    ``claim`` has to be in the shared budget before any replicas are written; None without one.
    """

    outcome: Plan | Trouble
    state: State
    claim: Claim | None = None
