"""A GPUBudget that no planner takes from says all the same how it stands."""

from typing import Any

from dgdr_kube.kinds import GPU_BUDGET
from dgdr_kube.ports import Key, Manifest
from dgdr_planner.adapters.budgets import LEFT_LOOK_S, ClusterBudgets
from dgdr_planner.adapters.planners import PlannerIndex
from support.fake_cluster import FakeCluster
from support.planner_status import gpu_budget
from support.planning import (
    DGD_NAME,
    NAMESPACE,
    adapter,
    at,
    graph_deployment,
    sla_planner,
)

GPUS_EACH = 2
HELD = {"planner": "gone", "target": "q", "reservedGpus": 3, "floorGpus": 1}


async def settled(*others: Manifest, **status: Any) -> tuple[Manifest, float | None]:
    """Return the budget of 20 GPUs after a look, and when it is looked at again."""
    cluster = FakeCluster()
    budget = gpu_budget(20) | {"status": status}
    cluster.seed(budget, *others)
    budgets = ClusterBudgets(cluster, PlannerIndex(cluster), lambda: at(0))
    key = Key(NAMESPACE, budget["metadata"]["name"])
    again_s = await budgets.settle(key)
    return await cluster.get(GPU_BUDGET, *key) or {}, again_s


def pod(gpus: int) -> Manifest:
    requests = {"requests": {"nvidia.com/gpu": str(gpus)}, "limits": {"nvidia.com/gpu": str(gpus)}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "p",
            "namespace": NAMESPACE,
            "labels": {"nvidia.com/dynamo-graph-deployment-name": "q"},
        },
        "spec": {"nodeName": "n", "containers": [{"name": "main", "resources": requests}]},
        "status": {"phase": "Running"},
    }


def words(budget: Manifest) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["message"]) for c in budget["status"]["conditions"]}


async def test_one_that_nobody_ever_took_from_is_ready() -> None:
    budget, again_s = await settled()
    assert words(budget)["Ready"] == ("True", "0 of 20 GPUs are held")
    assert budget["status"]["observedGeneration"] == budget["metadata"]["generation"]
    assert again_s is None


async def test_pods_that_outlive_their_planner_are_counted_and_looked_at_again() -> None:
    budget, again_s = await settled(pod(2), holdings=[HELD], reservedGpus=3)
    assert words(budget)["Ready"] == ("True", "2 of 20 GPUs are held")
    assert budget["status"]["holdings"][0]["reservedGpus"] == 2
    assert again_s == LEFT_LOOK_S
    freed, again_s = await settled(holdings=[HELD], reservedGpus=3)
    assert words(freed)["Ready"] == ("True", "0 of 20 GPUs are held")
    assert not freed["status"].get("holdings")
    assert again_s is None


async def test_one_that_planners_take_from_is_left_to_them() -> None:
    taker = sla_planner(budget={"ref": gpu_budget(20)["metadata"]["name"]})
    budget, again_s = await settled(taker)
    assert not budget["status"]
    assert again_s is None


async def test_what_a_deployment_still_asks_for_is_held_before_its_pods_are_there() -> None:
    left = HELD | {"target": DGD_NAME, "reservedGpus": 9}
    asked = (graph_deployment(), adapter("prefill", 3), adapter("decode", 1))
    budget, _ = await settled(*asked, holdings=[left], reservedGpus=9)
    assert budget["status"]["holdings"][0]["reservedGpus"] == 4 * GPUS_EACH


async def test_a_deployment_that_cannot_be_read_holds_what_its_planner_reserved() -> None:
    left = HELD | {"target": DGD_NAME, "reservedGpus": 9}
    unclear = graph_deployment()
    unclear["spec"]["components"].append(unclear["spec"]["components"][-1] | {"name": "another"})
    budget, _ = await settled(unclear, holdings=[left], reservedGpus=9)
    assert budget["status"]["holdings"][0]["reservedGpus"] == 9


async def test_a_deployment_that_is_being_deleted_holds_what_its_pods_do() -> None:
    left = HELD | {"target": DGD_NAME, "reservedGpus": 9}
    going = graph_deployment(prefill=4)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    budget, _ = await settled(going, holdings=[left], reservedGpus=9)
    assert not budget["status"].get("holdings")
