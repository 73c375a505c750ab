"""What the watches tell marks keys: the work queue runs the passes."""

from collections.abc import Callable, Iterable

from dgdr_kube.kinds import DGD, DGDSA, GPU_BUDGET, SLA_PLANNER, Kind
from dgdr_kube.manifests import intent_of
from dgdr_kube.ports import Kept, Key, Manifest
from dgdr_kube.store import Store, key_of
from dgdr_kube.workqueue import WorkQueue
from dgdr_planner.adapters.planners import PlannerIndex
from dgdr_planner.observe.kept import with_writers, without_history

Seen = Manifest | None
Concerned = Callable[[Key, Seen, Seen], Iterable[Key]]


def stores(
    queue: WorkQueue[Key], budgets: WorkQueue[Key], planners: PlannerIndex
) -> dict[Kind, Store]:
    """Return a store for each kind that is watched; they feed these queues and this index."""

    def told(kept: Kept, concerned: Concerned, of_budgets: Concerned = lambda *_: ()) -> Store:
        def hear(old: Seen, new: Seen) -> None:
            if is_news(old, new):
                key = key_of(new or old or {})
                queue.add_all(concerned(key, old, new))
                budgets.add_all(of_budgets(key, old, new))

        return Store(hear, kept)

    return {
        SLA_PLANNER: told(
            without_history, lambda key, _, new: concerned(planners, key, new), budgets_of
        ),
        DGD: told(with_writers, lambda key, *_: planners.planners_of(*key)),
        GPU_BUDGET: told(
            without_history,
            lambda key, *_: planners.takers_of(*key),
            lambda key, _, new: [key] if new else [],
        ),
        # A number that somebody writes is seen at the next tick.
        DGDSA: Store(kept=with_writers),
    }


def is_news(old: Seen, new: Seen) -> bool:
    """Whether something began, ends or has another spec: a status is no news to plan for."""
    return old is None or new is None or intent_of(old) != intent_of(new)


def budgets_of(key: Key, old: Seen, new: Seen) -> list[Key]:
    """Return the budgets that a planner takes from, and took from before."""
    specs = [one.get("spec") or {} for one in (old, new) if one is not None]
    names = {(spec.get("budget") or {}).get("ref") for spec in specs}
    return [Key(key.namespace, name) for name in sorted(filter(None, names))]


def concerned(planners: PlannerIndex, key: Key, new: Seen) -> list[Key]:
    """Note a planner's change; return it, and the planners beside it on the same deployment.

    Those wait for the oldest of them: when it goes, or turns to another target, one of them owns.
    """
    beside = set(planners.rivals_of(key))
    if new is None:
        planners.forget(key)
    else:
        planners.note(new)
        beside |= {key, *planners.rivals_of(key)}
    return sorted(beside)
