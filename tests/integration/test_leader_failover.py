"""Two operators on one Lease: however the leader ends, the other goes on, and writes nothing twice.

Each kind once; ``python -m bench.failover`` repeats them and tells the times.
"""

import json
import time
from pathlib import Path

import pytest

from support.cluster import ROOT, TestCluster
from support.failing import KINDS, fail_over
from support.operator_process import until
from support.pairs import pair

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def prepared(light_cluster: TestCluster) -> TestCluster:
    light_cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    return light_cluster


@pytest.mark.parametrize("kind", KINDS)
def test_the_other_one_goes_on(prepared: TestCluster, tmp_path: Path, kind: str) -> None:
    took = fail_over(prepared, tmp_path, kind, 0)
    print(f"{kind}: {json.dumps(took.told())}")
    assert took.double_writes == []


def test_a_second_planner_leads_when_the_first_is_told_to_stop(
    prepared: TestCluster, tmp_path: Path
) -> None:
    planner = ("-m", "dgdr_planner")
    with pair(prepared, tmp_path, "planners", planner, lease="dgdr-planner") as both:
        leader = both.leader()
        other = both.other(leader)
        until("the other one waits", lambda: "Standing by" in other.process.log.read_text())
        assert leader.process.stop() == 0
        assert both.leader() is other


def test_who_stands_by_writes_nothing(prepared: TestCluster, tmp_path: Path) -> None:
    with pair(prepared, tmp_path, "standby") as both:
        leader = both.leader()
        both.ask_for("one")
        until("the leader works", lambda: both.has("one"))
        time.sleep(2.0)
        assert leader.work()
        assert both.other(leader).api.sent == []
        assert "Standing by" in both.other(leader).process.log.read_text()
