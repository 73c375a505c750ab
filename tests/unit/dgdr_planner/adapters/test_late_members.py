"""No claim grows over a member of a GPUBudget that no watch has told of yet."""

import pytest

from dgdr_kube.kinds import GPU_BUDGET
from dgdr_planner.adapters.budgets import ClusterBudgets
from dgdr_planner.adapters.planners import PlannerIndex
from dgdr_planner.observe.budget import BudgetSeen, Claim
from support.fake_cluster import FakeCluster
from support.planner_status import gpu_budget, member
from support.planning import NAMESPACE, at

NAME = "team"
BUDGET = gpu_budget(20) | {
    "spec": {"gpus": 20, "members": [{"planner": "a"}, {"planner": "b"}]},
    "status": {},
}


@pytest.mark.parametrize(("reserved_gpus", "is_written"), [(4, True), (5, False)])
async def test_who_is_not_heard_of_may_hold_gpus_already(
    reserved_gpus: int, is_written: bool
) -> None:
    cluster = FakeCluster()
    cluster.seed(BUDGET, member("a"))
    budgets = ClusterBudgets(cluster, PlannerIndex(cluster), lambda: at(0))

    async def claim(gpus: int) -> bool:
        seen = await budgets.observe(NAMESPACE, NAME, "a")
        assert isinstance(seen, BudgetSeen)
        return await budgets.claim(NAMESPACE, seen, Claim(reserved_gpus=gpus, floor_gpus=2), "a")

    assert await claim(4)
    cluster.seed(member("b"))  # the index has listed the namespace before
    assert await claim(reserved_gpus) is is_written
    there = await cluster.get(GPU_BUDGET, NAMESPACE, NAME) or {}
    assert [one["reservedGpus"] for one in there["status"]["holdings"]] == [4]
