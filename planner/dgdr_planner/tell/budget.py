"""What a member of a GPUBudget writes into its status: its claim, and how all of them stand."""

from collections.abc import Iterable, Mapping
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
    mine = _holding(seen.me.name, target, claim, now)
    holdings = [_refreshed(one, kept[one.planner]) for one in old.holdings if _is_kept(one, kept)]
    holdings = sorted([*holdings, mine], key=lambda one: one.planner)
    told = seen.with_claim(claim)
    generation = budget.metadata.generation
    return api.GPUBudgetStatus(
        observed_generation=generation,
        reserved_gpus=sum(one.reserved_gpus for one in holdings),
        holdings=tuple(holdings),
        conditions=_conditions(old.conditions, told, generation, now),
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
        one.gpus == two.gpus and abs(one.gain - two.gain) <= NEWS * max(one.gain, two.gain)
        for one, two in zip(before, after, strict=True)
    )


def _holding(planner: str, target: str, claim: Claim, now: datetime) -> api.Holding:
    return api.Holding(
        planner=planner,
        target=target,
        reserved_gpus=claim.reserved_gpus,
        floor_gpus=claim.floor_gpus,
        fixed=claim.fixed or None,
        steps=tuple(
            api.Step(gpus=step.gpus, gain=float(f"{step.gain:.4g}")) for step in claim.steps
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


def _conditions(
    old: Iterable[Condition], seen: BudgetSeen, generation: int, now: datetime
) -> tuple[Condition, ...]:
    reserved = sum(one.reserved_gpus for one in (seen.me, *seen.others))
    if seen.guaranteed_gpus > seen.gpus:
        text = f"guarantees add up to {seen.guaranteed_gpus} of {seen.gpus} GPUs"
        text = f"{text}; no member is scaled: raise spec.gpus, or lower minGpus of spec.members"
        verdict = (Progress.STUCK, "GuaranteesExceedBudget", text)
    elif reserved > seen.gpus:
        text = f"{reserved} of {seen.gpus} GPUs are held; members shrink to their shares"
        verdict = (Progress.UNDER_WAY, "OverBudget", text)
    else:
        verdict = (Progress.DONE, "WithinBudget", f"{reserved} of {seen.gpus} GPUs are held")
    progress, reason, message = verdict
    is_feasible = progress is Progress.DONE
    fresh = condition(FEASIBLE, is_feasible, reason, message, now, generation)
    conditions = with_condition(old, fresh, now)
    return with_progress(conditions, progress, reason, message, now, generation)
