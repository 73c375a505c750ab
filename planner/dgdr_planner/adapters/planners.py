"""All SLAPlanners of this process: kept up to date by the watch, complete from the first look."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from dgdr_kube.kinds import SLA_PLANNER
from dgdr_kube.ports import Cluster, Key
from dgdr_planner.core.planners import PlannerSeen


class PlannerIndex:
    """Implements ``ports.Planners``.

    The watch tells of planners one by one. A pass that runs before it has told of all would think
    itself alone, so a namespace is listed once before it is asked about.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[Key, PlannerSeen] = {}
        self._gone: set[Key] = set()
        self._listed: dict[str, asyncio.Task[None]] = {}

    def note(self, manifest: Mapping[str, Any]) -> None:
        """Remember a planner as it is now."""
        meta = manifest["metadata"]
        key = Key(meta["namespace"], meta["name"])
        self._gone.discard(key)
        self._known[key] = PlannerSeen.of(manifest)

    def forget(self, key: Key) -> None:
        """Forget a planner that is gone."""
        self._gone.add(key)
        self._known.pop(key, None)

    def planners_of(self, namespace: str, dgd: str) -> list[Key]:
        """Return the planners of a deployment, as far as the watch has told."""
        return self._where(namespace, lambda one: one.target == dgd)

    def rivals_of(self, key: Key) -> list[Key]:
        """Return the other planners of the deployment that this one scales."""
        known = self._known.get(key)
        if known is None:
            return []
        return [one for one in self.planners_of(key.namespace, known.target) if one != key]

    def takers_of(self, namespace: str, budget: str) -> list[Key]:
        """Return the planners that name a budget, as far as the watch has told."""
        return self._where(namespace, lambda one: one.budget == budget)

    async def beside(self, namespace: str) -> tuple[PlannerSeen, ...]:
        """Return all planners of a namespace."""
        if namespace not in self._listed:
            self._listed[namespace] = asyncio.create_task(self._list(namespace))
        try:
            await asyncio.shield(self._listed[namespace])
        except BaseException:
            failed = self._listed.get(namespace)
            if failed is not None and failed.done():
                del self._listed[namespace]
            raise
        return tuple(one for key, one in self._known.items() if key.namespace == namespace)

    async def _list(self, namespace: str) -> None:
        for manifest in await self._cluster.list(SLA_PLANNER, namespace):
            key = Key(namespace, manifest["metadata"]["name"])
            # What the watch said is newer.
            if key not in self._known and key not in self._gone:
                self.note(manifest)

    def _where(self, namespace: str, holds: Callable[[PlannerSeen], bool]) -> list[Key]:
        return [
            key for key, one in self._known.items() if key.namespace == namespace and holds(one)
        ]
