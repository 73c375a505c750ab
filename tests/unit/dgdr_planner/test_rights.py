"""Every right of the planner is used, and every call that it makes is allowed."""

import pytest

from dgdr_kube.workqueue import WorkQueue
from dgdr_planner.adapters.planners import PlannerIndex
from dgdr_planner.handlers import stores
from support.fake_cluster import FakeCluster
from support.planning import sla_planner
from support.rights import granted, needed, watching

from .test_planner_company import budget
from .test_planner_pass import DGD_NAME, World


@pytest.fixture
async def called() -> set[tuple[str, str, str]]:
    calls = set()
    for adapters in (True, False):
        world = World(sla_planner(budget={"ref": "team"}), adapters=adapters)
        world.cluster.seed(budget(10, {"planner": DGD_NAME}))
        world.metrics.rate_per_s = 30.0
        await world.passes(2)
        calls |= world.cluster.calls
    kinds = stores(WorkQueue(), WorkQueue(), PlannerIndex(FakeCluster()))
    return needed(calls) | watching(kinds)


def test_every_call_of_the_planner_is_allowed(called: set[tuple[str, str, str]]) -> None:
    held = granted("dgdr-operator-planner", "dgdr-operator-planner-switch")
    assert called - held == set()


def test_every_right_of_the_planner_is_used(called: set[tuple[str, str, str]]) -> None:
    held = granted("dgdr-operator-planner", "dgdr-operator-planner-switch")
    assert held - called == set()
