"""What a member of a GPUBudget writes into its status: its claim, and how all of them stand."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from dgdr_api.conditions import READY, Progress, condition, find, with_condition, with_progress
from dgdr_api.models import gpu_budget as api
from dgdr_api.models.base import Condition
from dgdr_planner.observe.budget import BudgetSeen, Claim, Step, claim_of

FEASIBLE = "Feasible"
# A gain that moved by less is no news: it would be a write at every pass.
NEWS = 0.1


def status_with(
    budget: api.GPUBudget, seen: BudgetSeen, claim: Claim, target: str, now: datetime
) -> api.GPUBudgetStatus:
    """Return the status with a planner's claim; what nobody holds any more is dropped."""
    old = budget.status
    kept = {one.name: one.claim for one in seen.others if one.claim is not None}
    mine = _holding(seen.me.name, replace(claim, target=target), now)
    holdings = [_refreshed(one, kept[one.planner]) for one in old.holdings if _is_kept(one, kept)]
    known = {one.planner for one in old.holdings}
    former = [_holding(one, claim, now) for one, claim in kept.items() if one not in known]
    holdings = sorted([*holdings, *former, mine], key=lambda one: one.planner)
    told = seen.with_claim(claim)
    reserved = sum(one.reserved_gpus for one in (told.me, *told.others))
    return _status(budget, holdings, told.guaranteed_gpus, reserved, now)


def status_without_planners(
    budget: api.GPUBudget, left: Mapping[str, int], now: datetime
) -> api.GPUBudgetStatus:
    """Return the status when no planner takes from it: ``left`` is what those gone still hold."""
    still = {name: Claim(reserved_gpus=gpus, fixed=True) for name, gpus in left.items() if gpus}
    old = budget.status.holdings
    holdings = [_refreshed(one, still[one.planner]) for one in old if one.planner in still]
    guaranteed = sum(one.guaranteed for one in budget.spec.members)
    return _status(budget, holdings, guaranteed, sum(left.values()), now)


def _status(
    budget: api.GPUBudget,
    holdings: list[api.Holding],
    guaranteed_gpus: int,
    reserved_gpus: int,
    now: datetime,
) -> api.GPUBudgetStatus:
    verdict = _verdict(budget.spec.gpus, guaranteed_gpus, reserved_gpus)
    return api.GPUBudgetStatus(
        observed_generation=budget.metadata.generation,
        reserved_gpus=sum(one.reserved_gpus for one in holdings),
        holdings=tuple(holdings),
        conditions=_conditions(budget, *verdict, now),
    )


def is_news(old: api.GPUBudget, planner: str, claim: Claim) -> bool:
    """Whether a claim says something that the others need to know."""
    before = claim_of(old.status.holding(planner))
    if before is None or old.status.observed_generation != old.metadata.generation:
        return True
    if find(old.status.conditions, READY) is None:  # an earlier planner has not said it
        return True
    same = replace(before, steps=()) == replace(claim, steps=())
    return not same or not _alike(before.steps, claim.steps)


def _alike(before: tuple[Step, ...], after: tuple[Step, ...]) -> bool:
    return len(before) == len(after) and all(
        (one.gpus, one.replicas) == (two.gpus, two.replicas)
        and abs(one.gain - two.gain) <= NEWS * max(one.gain, two.gain)
        for one, two in zip(before, after, strict=True)
    )


def _holding(planner: str, claim: Claim, now: datetime) -> api.Holding:
    return api.Holding(
        planner=planner,
        target=claim.target,
        reserved_gpus=claim.reserved_gpus,
        floor_gpus=claim.floor_gpus,
        fixed=claim.fixed or None,
        steps=tuple(
            api.Step(
                gpus=step.gpus,
                replicas=step.replicas if step.replicas > 1 else None,
                gain=float(f"{step.gain:.4g}"),
            )
            for step in claim.steps
        ),
        time=now,
    )


def _is_kept(one: api.Holding, kept: Mapping[str, Claim]) -> bool:
    """Whether a holding of somebody else is still one: planners that are gone hold until freed."""
    claim = kept.get(one.planner)
    return claim is not None and (claim.reserved_gpus > 0 or not claim.fixed or bool(one.fixed))


def _refreshed(one: api.Holding, claim: Claim) -> api.Holding:
    """Return a holding with what its pods were seen to hold; only a planner itself says more."""
    return one.model_copy(
        update={"reserved_gpus": claim.reserved_gpus, "fixed": claim.fixed or None}
    )


def _verdict(gpus: int, guaranteed_gpus: int, reserved_gpus: int) -> tuple[Progress, str, str]:
    if guaranteed_gpus > gpus:
        text = f"guarantees add up to {guaranteed_gpus} of {gpus} GPUs"
        text = f"{text}; no member is scaled: raise spec.gpus, or lower minGpus of spec.members"
        return Progress.STUCK, "GuaranteesExceedBudget", text
    held = f"{reserved_gpus} of {gpus} GPUs are held"
    if reserved_gpus > gpus:
        return Progress.UNDER_WAY, "OverBudget", f"{held}; members shrink to their shares"
    return Progress.DONE, "WithinBudget", held


def _conditions(
    budget: api.GPUBudget, progress: Progress, reason: str, message: str, now: datetime
) -> tuple[Condition, ...]:
    generation = budget.metadata.generation
    is_feasible = progress is Progress.DONE
    fresh = condition(FEASIBLE, is_feasible, reason, message, now, generation)
    conditions = with_condition(budget.status.conditions, fresh, now)
    return with_progress(conditions, progress, reason, message, now, generation)
