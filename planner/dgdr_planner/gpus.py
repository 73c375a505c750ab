"""What GPUs leave of what the roles ask for: a planner's own budget, or one that it shares."""

from dataclasses import dataclass

from dgdr_api.graph import Role
from dgdr_planner.limit import budget
from dgdr_planner.limit.edits import Edit
from dgdr_planner.limit.guards import Guarded, Limit
from dgdr_planner.observe.budget import BudgetSeen, Claim
from dgdr_planner.observe.observation import Observation, RoleSeen, TargetSeen
from dgdr_planner.observe.value import Trouble
from dgdr_planner.plan import RolePlan
from dgdr_planner.policy import Policy
from dgdr_planner.size.backlog import Backlog
from dgdr_planner.size.curves import RoleSizing
from dgdr_planner.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One role before GPUs are counted."""

    seen: RoleSeen
    current: int
    sized: RoleSizing | None
    needed: int
    guarded: Guarded
    near_needs: tuple[float, ...]
    fewest: int
    backlog: Backlog | None

    @property
    def role(self) -> Role:
        """Which role it is."""
        return self.seen.role


def budgeted(
    drafts: tuple[Draft, ...], seen: Observation, policy: Policy, state: State
) -> budget.GpuPlan:
    """Return what each role may have of what it asks for, and what to claim for it."""
    demands = tuple(_demand(draft, state, policy) for draft in drafts)
    if policy.budget_gpus is not None:
        return budget.plan_own(demands, policy.budget_gpus)
    if seen.budget is not None and not isinstance(seen.budget, Trouble):
        return budget.plan_shared(demands, seen.budget)
    return budget.unlimited(demands)


def _demand(draft: Draft, state: State, policy: Policy) -> budget.RoleDemand:
    asked = draft.guarded.replicas
    return budget.RoleDemand(
        role=draft.role,
        gpus_each=draft.seen.gpus_per_replica,
        replicas=draft.current,
        held=draft.seen.held + draft.current - draft.seen.replicas,
        fewest=draft.fewest,
        asked=asked,
        need=draft.sized.need.grow if draft.sized else float(asked),
        rate_per_s=state.forecast.planned if state.forecast else 0.0,
        fixed=not policy.shadow and draft.role in state.edits,
    )


def role_plan(draft: Draft, gpus: budget.GpuPlan, state: State, policy: Policy) -> RolePlan:
    """Return a role's part of the plan, with what counts most of all that limits it."""
    edit = None if policy.shadow else state.edits.get(draft.role)
    return RolePlan(
        seen=draft.seen,
        current=draft.current,
        answer=draft.sized.answer if draft.sized else None,
        need=draft.sized.need.grow if draft.sized else None,
        needed=draft.needed,
        replicas=gpus.replicas[draft.role],
        limit=_limit(draft, gpus, edit),
        factor=state.correction.factor(draft.role),
        backlog=draft.backlog,
        edit=edit,
        least_loaded=draft.sized.least_loaded if draft.sized else None,
    )


def _limit(draft: Draft, gpus: budget.GpuPlan, edit: Edit | None) -> Limit | None:
    """Return what counts most: what a person did, then GPUs, then what the policy says."""
    if edit is not None:
        return Limit.EDITED
    if draft.role in gpus.short:
        return Limit.BUDGET
    return Limit.RELEASE if draft.role in gpus.waiting else draft.guarded.limit


def standing(seen: Observation, policy: Policy) -> Claim | None:
    """Return what others must know of a planner that cannot change anything now."""
    if policy.budget_ref is None or not isinstance(seen.budget, BudgetSeen):
        return None
    if seen.budget.orphaned_gpus is not None:
        return budget.standing_claim(seen.budget.orphaned_gpus, 0)
    if not isinstance(seen.target, TargetSeen):
        return None
    held = sum(role.held * role.gpus_per_replica for role in seen.target.roles)
    fewest = sum(
        policy.limits[role.role].fewest * role.gpus_per_replica for role in seen.target.roles
    )
    return budget.standing_claim(held, fewest)
