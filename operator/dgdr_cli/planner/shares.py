"""A shared budget as its members divide it: who gets how many GPUs, and why. Pure.

The numbers are those that each planner computes for itself from the same GPUBudget.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dgdr_api.models.gpu_budget import GPUBudget
from dgdr_planner.limit.budget import shares
from dgdr_planner.observe.budget import BudgetSeen, Member, budget_seen
from dgdr_planner.observe.value import Trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """One planner's part, in GPUs.

    ``wanted`` is what its load needs within its limits; None where it never said. ``denied`` is
    the part of it that others have.
    """

    planner: str
    priority: int
    guaranteed: int
    held: int
    wanted: int | None
    share: int
    denied: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """The whole budget; ``held`` counts planners that are no members any more, too."""

    name: str
    gpus: int
    held: int
    portions: tuple[Portion, ...]


def seen_by(budget: GPUBudget, planner: str) -> BudgetSeen | Trouble:
    """Return the budget as a planner sees it; a trouble where it is no member."""
    members = {member.planner for member in budget.spec.members}
    left = {
        held.planner: held.reserved_gpus
        for held in budget.status.holdings
        if held.planner not in members and held.reserved_gpus
    }
    return budget_seen(budget, planner, frozenset(), left)


def divided(seen: BudgetSeen) -> Division:
    """Divide a budget, the asking planner first."""
    members = (seen.me, *seen.others)
    given = shares(seen.gpus, members)
    return Division(
        name=seen.name,
        gpus=seen.gpus,
        held=sum(member.reserved_gpus for member in members),
        portions=tuple(_portion(member, members, given) for member in members),
    )


def _portion(member: Member, members: tuple[Member, ...], given: Mapping[str, int]) -> Portion:
    share, wanted = given[member.name], _wanted(member)
    denied = max((wanted or 0) - share, 0)
    return Portion(
        planner=member.name,
        priority=member.priority,
        guaranteed=member.guaranteed_gpus,
        held=member.reserved_gpus,
        wanted=wanted,
        share=share,
        denied=denied,
        why=_why(member, members, given, denied),
    )


def _wanted(member: Member) -> int | None:
    claim = member.claim
    if claim is None:
        return None
    if claim.fixed:
        return claim.reserved_gpus
    return claim.floor_gpus + sum(step.gpus for step in claim.steps)


def _why(member: Member, members: tuple[Member, ...], given: Mapping[str, int], denied: int) -> str:
    if member.claim is None:
        return "has not said what it needs"
    if member.claim.fixed:
        return "keeps what it holds: it may not change now"
    if not denied:
        spare = given[member.name] - (_wanted(member) or 0)
        return "all that its load needs" + (f", and {spare} guaranteed" if spare > 0 else "")
    return f"{denied} denied: {_who_came_first(member, members, given)}"


def _who_came_first(member: Member, members: tuple[Member, ...], given: Mapping[str, int]) -> str:
    others = [one for one in members if one.name != member.name and given[one.name]]
    first = [one.name for one in others if one.priority > member.priority]
    equal = [
        one.name
        for one in others
        if one.priority == member.priority and given[one.name] > one.guaranteed_gpus
    ]
    rest = sum(given[one.name] for one in others if one.name not in (*first, *equal))
    told = [
        f"{', '.join(first)} has priority" if first else "",
        f"{', '.join(equal)} gains more per GPU" if equal else "",
        f"{rest} are held for others" if rest else "",
    ]
    return "; ".join(text for text in told if text) or "the budget has no more"
