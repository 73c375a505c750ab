"""The planner as a process: a real API server, a real Prometheus, and frontends that we pretend.

What only they can show: the scale subresource and who owns it, status and events as kubectl shows
them, and a process that is killed and starts again.
"""

import json
from collections.abc import Iterator

import pytest

from support.cluster import TestCluster
from support.live_metrics import until
from support.planner_stage import QUICK, Stage, planner_stage
from support.planning import (
    DGD_NAME,
    NAMESPACE,
    sla_planner,
)

pytestmark = pytest.mark.integration

#: What the chart's pods have to end in: the kubelet kills them then.
GRACE_PERIOD_S = 30


@pytest.fixture(scope="module")
def stage(light_cluster: TestCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with planner_stage(light_cluster, tmp_path_factory.mktemp("planner")) as on:
        yield on


def test_a_silent_deployment_keeps_its_minimum(stage: Stage) -> None:
    stage.until("it is ready", lambda: stage.condition("Ready") == ("True", "Planning"))
    status = stage.planner()["status"]
    assert status["observed"]["knowledge"] == "Idle"
    assert status["roles"][0] == {
        "role": "prefill",
        "component": "prefill",
        "replicas": 1,
        "readyReplicas": 1,
        "desiredReplicas": 1,
        "gpusPerReplica": 2,
    }
    assert stage.replicas() == (1, 1)


def test_load_scales_up_and_everybody_can_see_why(stage: Stage) -> None:
    stage.frontend.rate_per_s = 9.4
    stage.until("prefill has more", lambda: stage.replicas()[0] > 1)
    stage.until("decode has 2", lambda: stage.replicas()[1] == 2)
    owners = {
        entry["manager"]
        for entry in stage.get("dgdsa", f"{DGD_NAME}-prefill")["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    }
    assert owners == {"dgdr-planner"}
    shown = ""

    def told() -> bool:
        nonlocal shown
        shown = stage.cluster.kubectl("describe", "slap", DGD_NAME, "-n", NAMESPACE)
        return "ScaledUp" in shown.partition("Events:")[2]

    stage.until("kubectl describe says why", told)
    assert "Scaled prefill from 1 to" in shown
    assert "of them busy, for mean TTFT <= 300 ms" in shown


def test_without_prometheus_nothing_changes_and_it_is_said(stage: Stage) -> None:
    before = stage.replicas()
    stage.prometheus.stop()
    down = ("False", "PrometheusUnreachable")
    stage.until("the condition", lambda: stage.condition("MetricsAvailable") == down)
    assert stage.condition("Ready") == ("False", "MetricsUnavailable")
    # A process that starts in the dark does not know more.
    stage.kill()
    stage.start()
    with pytest.raises(AssertionError, match="not within 12 s"):
        until(lambda: stage.replicas() != before, 12, "a change")
    stage.prometheus.start()
    fresh = ("True", "FreshSamples")
    stage.until("metrics are back", lambda: stage.condition("MetricsAvailable") == fresh, 45)
    assert stage.replicas() == before


def test_the_end_of_the_load_shrinks_to_the_minimum(stage: Stage) -> None:
    stage.frontend.rate_per_s = 0.0
    stage.until("the minimum", lambda: stage.replicas() == (1, 1), 60)
    decisions = stage.planner()["status"]["decisions"]
    assert decisions[0]["reason"] == "ScaledDown"
    assert [d["time"] for d in decisions] == sorted((d["time"] for d in decisions), reverse=True)


def test_a_suspended_planner_stands_still_and_goes_on(stage: Stage) -> None:
    stage.apply(sla_planner(interval="5s", behavior=QUICK, suspend=True))
    stage.until("it is suspended", lambda: stage.condition("Ready") == ("False", "Suspended"))
    stage.frontend.rate_per_s = 9.4
    with pytest.raises(AssertionError, match="not within 8 s"):
        until(lambda: stage.replicas() != (1, 1), 8, "a change")
    stage.apply(sla_planner(interval="5s", behavior=QUICK))
    stage.until("prefill has more", lambda: stage.replicas()[0] > 1)


def test_a_shared_budget_holds_and_shows_who_has_what(stage: Stage) -> None:
    members = [{"planner": DGD_NAME, "minGpus": 4}]
    stage.apply(
        sla_planner(interval="5s", behavior=QUICK, budget={"ref": "team"}),
        {
            "apiVersion": "dgdr.dev/v1alpha1",
            "kind": "GPUBudget",
            "metadata": {"name": "team", "namespace": NAMESPACE},
            "spec": {"gpus": 20, "members": members},
        },
    )

    def held() -> int:
        status = stage.get("gpubudget", "team").get("status") or {}
        return int(sum(one["reservedGpus"] for one in status.get("holdings", [])))

    stage.until("it says what it holds", lambda: held() > 0)
    assert held() == 2 * sum(stage.replicas()) <= 20
    stage.until("it is feasible", lambda: stage.condition("BudgetFeasible")[0] == "True")
    stage.apply(sla_planner(interval="5s", behavior=QUICK))


def test_one_switch_stops_all_planners(stage: Stage) -> None:
    stage.cluster.kubectl(
        "create", "configmap", "dgdr-planner-switch", "-n", NAMESPACE, "--from-literal=stop=true"
    )
    stage.until("it stops", lambda: stage.condition("Ready") == ("False", "Stopped"))
    stage.cluster.kubectl("delete", "configmap", "dgdr-planner-switch", "-n", NAMESPACE)
    stage.until("it goes on", lambda: stage.condition("Ready") == ("True", "Planning"))


def test_an_adapter_that_is_gone_makes_the_deployment_the_place_to_write(stage: Stage) -> None:
    stage.cluster.kubectl("delete", "dgdsa", f"{DGD_NAME}-decode", "-n", NAMESPACE)
    stage.until("decode has 2 in the deployment", lambda: _replicas_of(stage, "decode") == 2)
    entries = stage.get("dgd", DGD_NAME)["metadata"]["managedFields"]
    owned = json.dumps([e["fieldsV1"] for e in entries if e["manager"] == "dgdr-planner"])
    assert "f:replicas" in owned
    assert "f:podTemplate" not in owned


def test_a_number_that_a_person_sets_is_left_alone(stage: Stage) -> None:
    stage.cluster.kubectl("scale", "dgdsa", f"{DGD_NAME}-prefill", "-n", NAMESPACE, "--replicas=5")
    edited = ("True", "HandEdited")
    stage.until("it yields", lambda: stage.condition("ScalingLimited") == edited)
    with pytest.raises(AssertionError, match="not within 12 s"):
        until(lambda: stage.replicas_of_prefill() != 5, 12, "a change")


def test_sigterm_ends_it_in_good_order(stage: Stage) -> None:
    assert stage.process is not None
    stage.process.terminate()
    assert stage.process.wait(GRACE_PERIOD_S) == 0
    assert "Traceback" not in stage.log()


def _replicas_of(stage: Stage, component: str) -> int:
    entries = stage.get("dgd", DGD_NAME)["spec"]["components"]
    return int(next(entry["replicas"] for entry in entries if entry["name"] == component))
