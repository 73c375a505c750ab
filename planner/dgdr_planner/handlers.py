"""kopf as the watcher: an event marks a key, the work queue runs the pass.

The handlers are coroutines although they wait for nothing: kopf runs plain functions in threads,
where the queue must not be touched.
"""

from collections.abc import Mapping
from typing import Any

import kopf

from dgdr_kube.kinds import DGD, SLA_PLANNER
from dgdr_kube.kopf_settings import configure, login
from dgdr_kube.ports import Key
from dgdr_kube.workqueue import WorkQueue

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


class TargetIndex:
    """Which planners scale which deployment, as far as the watch has told."""

    def __init__(self) -> None:
        self._targets: dict[Key, str] = {}

    def note(self, planner: Key, target: str | None) -> None:
        """Remember, or with None forget, what a planner scales."""
        if target is None:
            self._targets.pop(planner, None)
        else:
            self._targets[planner] = target

    def planners_of(self, namespace: str, dgd: str) -> list[Key]:
        """Return the planners of a deployment."""
        return [
            planner
            for planner, target in self._targets.items()
            if planner.namespace == namespace and target == dgd
        ]


def registry(queue: WorkQueue[Key]) -> kopf.OperatorRegistry:
    """Return the handlers that feed this queue."""
    handlers = kopf.OperatorRegistry()
    generations, targets = Generations(), TargetIndex()

    @kopf.on.startup(registry=handlers)
    def start(settings: kopf.OperatorSettings, **_: Any) -> None:
        configure(settings, prefix=PREFIX, label_selectors={})

    @kopf.on.login(registry=handlers)
    def log_in(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return login(**kwargs)

    @kopf.on.event(SLA_PLANNER.group, SLA_PLANNER.version, SLA_PLANNER.plural, registry=handlers)
    async def planner_changed(event: kopf.RawEvent, **_: Any) -> None:
        kind, body = event["type"], event["object"]
        key = _key(body)
        target = body.get("spec", {}).get("targetRef", {}).get("name")
        targets.note(key, None if kind == "DELETED" else target)
        if generations.changed(kind, body["metadata"]):
            queue.add(key)

    @kopf.on.event(DGD.group, DGD.version, DGD.plural, registry=handlers)
    async def target_changed(event: kopf.RawEvent, **_: Any) -> None:
        if generations.changed(event["type"], event["object"]["metadata"]):
            for planner in targets.planners_of(*_key(event["object"])):
                queue.add(planner)

    return handlers


def _key(body: Mapping[str, Any]) -> Key:
    return Key(body["metadata"]["namespace"], body["metadata"]["name"])
