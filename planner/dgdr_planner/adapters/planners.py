"""All SLAPlanners of this process: kept up to date by the watch, complete from the first look."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from dgdr_kube.kinds import SLA_PLANNER
from dgdr_kube.ports import Cluster, Key
from dgdr_planner.observe.ownership import PlannerSeen

Group = tuple[str, str]
"""A namespace, and the name of what planners share in it."""


class PlannerIndex:
    """Implements ``ports.Planners``.

    The watch tells of planners one by one. A pass that runs before it has told of all would think
    itself alone, so a namespace is listed once before it is asked about.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[Key, PlannerSeen] = {}
        self._of_target: dict[Group, set[Key]] = defaultdict(set)
        self._of_budget: dict[Group, set[Key]] = defaultdict(set)
        self._gone: set[Key] = set()
        self._listed: dict[str, asyncio.Task[None]] = {}

    def note(self, manifest: Mapping[str, Any]) -> None:
        """Remember a planner as it is now."""
        meta = manifest["metadata"]
        key, seen = Key(meta["namespace"], meta["name"]), PlannerSeen.of(manifest)
        self._gone.discard(key)
        self._leave(key)
        self._known[key] = seen
        self._of_target[key.namespace, seen.target].add(key)
        if seen.budget is not None:
            self._of_budget[key.namespace, seen.budget].add(key)

    def forget(self, key: Key) -> None:
        """Forget a planner that is gone."""
        listing = self._listed.get(key.namespace)
        if listing is not None and not listing.done():
            self._gone.add(key)
        self._leave(key)
        self._known.pop(key, None)

    def planners_of(self, namespace: str, dgd: str) -> list[Key]:
        """Return the planners of a deployment, as far as the watch has told."""
        return sorted(self._of_target.get((namespace, dgd), ()))

    def rivals_of(self, key: Key) -> list[Key]:
        """Return the other planners of the deployment that this one scales."""
        known = self._known.get(key)
        if known is None:
            return []
        return [one for one in self.planners_of(key.namespace, known.target) if one != key]

    def takers_of(self, namespace: str, budget: str) -> list[Key]:
        """Return the planners that name a budget, as far as the watch has told."""
        return sorted(self._of_budget.get((namespace, budget), ()))

    async def scaling(self, namespace: str, dgd: str) -> tuple[PlannerSeen, ...]:
        """Return all planners of a deployment."""
        await self._complete(namespace)
        return tuple(self._known[key] for key in self.planners_of(namespace, dgd))

    async def taking(self, namespace: str, budget: str) -> tuple[PlannerSeen, ...]:
        """Return all planners that name a budget."""
        await self._complete(namespace)
        return tuple(self._known[key] for key in self.takers_of(namespace, budget))

    async def _complete(self, namespace: str) -> None:
        """List a namespace, once."""
        if namespace not in self._listed:
            self._listed[namespace] = asyncio.create_task(self._list(namespace))
        try:
            await asyncio.shield(self._listed[namespace])
        except BaseException:
            failed = self._listed.get(namespace)
            if failed is not None and failed.done():
                del self._listed[namespace]
            raise

    async def _list(self, namespace: str) -> None:
        for manifest in await self._cluster.list(SLA_PLANNER, namespace):
            key = Key(namespace, manifest["metadata"]["name"])
            # What the watch said is newer.
            if key not in self._known and key not in self._gone:
                self.note(manifest)
        self._gone = {key for key in self._gone if key.namespace != namespace}

    def _leave(self, key: Key) -> None:
        known = self._known.get(key)
        if known is not None:
            _discard(self._of_target, (key.namespace, known.target), key)
            _discard(self._of_budget, (key.namespace, known.budget or ""), key)


def _discard(groups: dict[Group, set[Key]], group: Group, key: Key) -> None:
    members = groups.get(group)
    if members is not None:
        members.discard(key)
        if not members:
            del groups[group]
