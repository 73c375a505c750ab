"""What the watches tell marks keys: the work queue runs the passes."""

from collections.abc import Callable, Iterable

from dgdr_kube.kinds import DGD, DGDSA, GPU_BUDGET, SLA_PLANNER, Kind
from dgdr_kube.manifests import intent_of
from dgdr_kube.ports import Key, Manifest
from dgdr_kube.store import Store, key_of
from dgdr_kube.workqueue import WorkQueue
from dgdr_planner.adapters.planners import PlannerIndex

Seen = Manifest | None


def stores(queue: WorkQueue[Key], planners: PlannerIndex) -> dict[Kind, Store]:
    """Return a store for each kind that is watched; they feed this queue and this index."""

    def told(concerned: Callable[[Key, Seen, Seen], Iterable[Key]]) -> Store:
        def hear(old: Seen, new: Seen) -> None:
            if is_news(old, new):
                queue.add_all(concerned(key_of(new or old or {}), old, new))

        return Store(hear)

    return {
        SLA_PLANNER: told(lambda key, _, new: concerned(planners, key, new)),
        DGD: told(lambda key, *_: planners.planners_of(*key)),
        GPU_BUDGET: told(lambda key, *_: planners.takers_of(*key)),
        # A number that somebody writes is seen at the next tick.
        DGDSA: Store(),
    }


def is_news(old: Seen, new: Seen) -> bool:
    """Whether something began, ends or has another spec: a status is no news to plan for."""
    return old is None or new is None or intent_of(old) != intent_of(new)


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
