"""kopf as the watcher: an event marks a key, the work queue runs the pass.

The handlers are coroutines although they wait for nothing: kopf runs plain functions in threads,
where the queue must not be touched.
"""

from collections.abc import Mapping
from typing import Any

import kopf

from dgdr_kube.kinds import DGD, GPU_BUDGET, SLA_PLANNER
from dgdr_kube.kopf_settings import configure, login
from dgdr_kube.ports import Key
from dgdr_kube.workqueue import WorkQueue
from dgdr_planner.adapters.planners import PlannerIndex

PREFIX = "planner.dgdr.dev"


class Generations:
    """Which objects really changed: a status that somebody wrote is no news to plan for."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, bool]] = {}

    def changed(self, event_type: str | None, meta: Mapping[str, Any]) -> bool:
        """Whether this event brings a new object, another spec, or the end."""
        uid = str(meta.get("uid"))
        if event_type == "DELETED":
            self._seen.pop(uid, None)
            return True
        now = (int(meta.get("generation") or 0), bool(meta.get("deletionTimestamp")))
        before = self._seen.get(uid)
        self._seen[uid] = now
        return before != now


def registry(queue: WorkQueue[Key], planners: PlannerIndex) -> kopf.OperatorRegistry:
    """Return the handlers that feed this queue and this index."""
    handlers = kopf.OperatorRegistry()
    generations = Generations()

    @kopf.on.startup(registry=handlers)
    def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings, prefix=PREFIX, label_selectors={})

    @kopf.on.login(registry=handlers)
    def log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return login(**kwargs)

    @kopf.on.event(SLA_PLANNER.group, SLA_PLANNER.version, SLA_PLANNER.plural, registry=handlers)
    async def planner_changed(event: kopf.RawEvent, **_: Any) -> None:
        kind, body = event["type"], event["object"]
        if generations.changed(kind, body["metadata"]):
            queue.add_all(concerned(planners, kind, body))

    @kopf.on.event(DGD.group, DGD.version, DGD.plural, registry=handlers)
    async def target_changed(event: kopf.RawEvent, **_: Any) -> None:
        if generations.changed(event["type"], event["object"]["metadata"]):
            queue.add_all(planners.planners_of(*_key(event["object"])))

    @kopf.on.event(GPU_BUDGET.group, GPU_BUDGET.version, GPU_BUDGET.plural, registry=handlers)
    async def budget_changed(event: kopf.RawEvent, **_: Any) -> None:
        if generations.changed(event["type"], event["object"]["metadata"]):
            queue.add_all(planners.takers_of(*_key(event["object"])))

    return handlers


def concerned(planners: PlannerIndex, kind: str | None, body: Mapping[str, Any]) -> list[Key]:
    """Note a planner's change; return it, and the planners beside it on the same deployment.

    Those wait for the oldest of them: when it goes, or turns to another target, one of them owns.
    """
    key = _key(body)
    beside = set(planners.rivals_of(key))
    if kind == "DELETED":
        planners.forget(key)
    else:
        planners.note(body)
        beside |= {key, *planners.rivals_of(key)}
    return sorted(beside)


def _key(body: Mapping[str, Any]) -> Key:
    return Key(body["metadata"]["namespace"], body["metadata"]["name"])
