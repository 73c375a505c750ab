"""A planner whose deployment is not there holds what its pods hold, and blocks nobody."""

import pytest

from dgdr_api.names import Label
from dgdr_kube.kinds import GPU_BUDGET
from dgdr_kube.ports import Manifest
from dgdr_planner.adapters.budgets import ClusterBudgets
from dgdr_planner.adapters.planners import PlannerIndex
from dgdr_planner.decide import decide
from dgdr_planner.limit.budget import standing_claim
from dgdr_planner.observe.budget import BudgetSeen, Member
from dgdr_planner.observe.observation import Observation
from dgdr_planner.observe.target import ABSENT
from dgdr_planner.observe.value import Trouble
from dgdr_planner.state import State
from support.fake_cluster import FakeCluster
from support.planner_status import gpu_budget, member
from support.planning import NAMESPACE, PROFILE, at, load, policy

BUDGET = gpu_budget(20) | {
    "spec": {"gpus": 20, "members": [{"planner": "a"}, {"planner": "b"}]},
    "status": {},
}


def pod(gpus: int) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "b-1", "namespace": NAMESPACE, "labels": {Label.GRAPH: "b"}},
        "spec": {
            "containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": f"{gpus}"}}}]
        },
    }


@pytest.mark.parametrize("left", [0, 4])
async def test_others_get_what_its_pods_leave(left: int) -> None:
    cluster = FakeCluster()
    cluster.seed(BUDGET, member("a"), member("b"), *[pod(left)] * bool(left))
    budgets = ClusterBudgets(cluster, PlannerIndex(cluster), lambda: at(0))
    before = await budgets.observe(NAMESPACE, "team", "a")
    assert isinstance(before, BudgetSeen)
    assert before.room() == 0  # b may hold anything
    of_b = await budgets.observe(NAMESPACE, "team", "b")
    assert isinstance(of_b, BudgetSeen)
    claim = standing_claim(await budgets.held(NAMESPACE, "b"), 0)
    assert await budgets.claim(NAMESPACE, of_b, claim, "b")
    after = await budgets.observe(NAMESPACE, "team", "a")
    assert isinstance(after, BudgetSeen)
    assert after.room() == 20 - left
    there = await cluster.get(GPU_BUDGET, NAMESPACE, "team") or {}
    assert [one["planner"] for one in there["status"]["holdings"]] == ["b"]


def test_its_decision_claims_what_its_pods_hold() -> None:
    member = BudgetSeen(name="team", gpus=20, me=Member(name="b"), orphaned_gpus=4)
    seen = Observation(target=Trouble(ABSENT, "gone"), load=load(9.4), budget=member)
    assert decide(seen, PROFILE, policy(budget_ref="team"), State(), at(0)).claim == standing_claim(
        4, 0
    )
