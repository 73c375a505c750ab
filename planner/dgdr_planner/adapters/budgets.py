"""GPUBudgets in a cluster: read them, and write a claim before anything is scaled."""

from collections.abc import Callable
from datetime import datetime

from pydantic import ValidationError

from dgdr_api.gpus import held_gpus
from dgdr_api.models.gpu_budget import GPUBudget, Holding
from dgdr_api.names import FieldManager, Label
from dgdr_kube.errors import Conflict, NotFound
from dgdr_kube.kinds import DGD, DGDSA, GPU_BUDGET, POD, SLA_PLANNER
from dgdr_kube.manifests import is_going, merge_patch
from dgdr_kube.ports import Cluster, Key, Manifest
from dgdr_planner.observe.budget import BudgetSeen, Claim, budget_seen, claim_of, left_behind
from dgdr_planner.observe.ownership import PlannerSeen, members_of
from dgdr_planner.observe.target import adapter_names, scaled_roles, target_of
from dgdr_planner.observe.value import Trouble
from dgdr_planner.ports import Planners
from dgdr_planner.tell.budget import is_news, status_with, status_without_planners

# Pods that outlive their planner are no news to it: seconds until they are looked at again.
LEFT_LOOK_S = 60.0


class ClusterBudgets:
    """Implements ``ports.Budgets``."""

    def __init__(self, cluster: Cluster, planners: Planners, clock: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._planners = planners
        self._clock = clock

    async def observe(self, namespace: str, name: str, planner: str) -> BudgetSeen | Trouble:
        """Return the budget as a planner sees it."""
        budget = await self._read(namespace, name)
        if isinstance(budget, Trouble):
            return budget
        running = members_of(name, await self._planners.taking(namespace, name))
        gone = left_behind(budget, running)
        left = {one.planner: await self._left(namespace, one) for one in gone}
        return budget_seen(budget, planner, running, left)

    async def held(self, namespace: str, target: str) -> int:
        """Return the GPUs that pods of a deployment hold, whether it is there or not."""
        return _gpus(await self._pods(namespace, target))

    async def claim(self, namespace: str, seen: BudgetSeen, claim: Claim, target: str) -> bool:
        """Write a claim; False when somebody wrote, or came, since the budget was seen."""
        manifest = await self._cluster.get(GPU_BUDGET, namespace, seen.name)
        if manifest is None:
            return False
        budget = GPUBudget.parse(manifest)
        if not is_news(budget, seen.me.name, claim):
            return True  # all that it may hold was said before, whoever wrote since
        if budget.metadata.resource_version != seen.version:
            return False
        before = claim_of(budget.status.holding(seen.me.name))
        grows = before is None or claim.reserved_gpus > before.reserved_gpus
        if grows and not await self._running(namespace, seen.name) <= seen.running:
            return False  # one that no watch has told of yet, and that may hold GPUs
        status = status_with(budget, seen, claim, target, self._clock())
        patch = merge_patch(manifest.get("status") or {}, status.to_json())
        try:
            await self._cluster.patch_status(
                GPU_BUDGET, namespace, seen.name, patch, FieldManager.PLANNER, seen.version
            )
        except (Conflict, NotFound):
            return False
        return True

    async def settle(self, key: Key) -> float | None:
        """Say how a budget stands that no planner takes from; those that do say it themselves."""
        manifest = await self._cluster.get(GPU_BUDGET, *key)
        budget = await self._read(*key)
        if manifest is None or isinstance(budget, Trouble):
            return None
        if members_of(key.name, await self._planners.taking(*key)):
            return None
        left = {one.planner: await self._left(key.namespace, one) for one in budget.status.holdings}
        status = status_without_planners(budget, left, self._clock())
        if patch := merge_patch(manifest.get("status") or {}, status.to_json()):
            version = manifest["metadata"]["resourceVersion"]
            await self._cluster.patch_status(GPU_BUDGET, *key, patch, FieldManager.PLANNER, version)
        return LEFT_LOOK_S if any(left.values()) else None

    async def _running(self, namespace: str, budget: str) -> frozenset[str]:
        """Return the members as the API server knows them."""
        found = await self._cluster.list(SLA_PLANNER, namespace)
        return members_of(budget, map(PlannerSeen.of, found))

    async def _read(self, namespace: str, name: str) -> GPUBudget | Trouble:
        manifest = await self._cluster.get(GPU_BUDGET, namespace, name)
        if manifest is None:
            text = f"there is no GPUBudget {name} in namespace {namespace}"
            return Trouble("BudgetNotFound", text)
        try:
            return GPUBudget.parse(manifest)
        except ValidationError as exc:
            # The API server refuses what the CRD forbids, so this is a CRD of another version.
            text = f"GPUBudget {name} cannot be read: {exc.errors()[0]['msg']}"
            return Trouble("BudgetUnreadable", text)

    async def _pods(self, namespace: str, target: str) -> list[Manifest]:
        return await self._cluster.list(POD, namespace, {Label.GRAPH: target})

    async def _left(self, namespace: str, one: Holding) -> int:
        """GPUs that a deployment holds or still asks for: pods come later than numbers."""
        if one.target is None:
            return one.reserved_gpus
        pods = await self._pods(namespace, one.target)
        there = _gpus(pods)
        dgd = await self._cluster.get(DGD, namespace, one.target)
        if dgd is None or is_going(dgd):
            return there
        roles = scaled_roles(dgd)
        read = [await self._cluster.get(DGDSA, namespace, own) for own in adapter_names(dgd, roles)]
        adapters = {found["metadata"]["name"]: found for found in read if found is not None}
        target = target_of(dgd, adapters, roles, pods)
        if isinstance(target, Trouble) or target.uncountable is not None:
            return max(there, one.reserved_gpus)
        return max(there, sum(role.held * role.gpus_per_replica for role in target.roles))


def _gpus(pods: list[Manifest]) -> int:
    return sum(map(held_gpus, pods))
