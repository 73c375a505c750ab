"""From what the cluster reports to upstream's words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dgdr_api.conditions import find
from dgdr_api.models.dgd_v1beta1 import DGDStatus, RestartPhase, RestartStatus
from dgdr_operator.core.graph_status import (
    GraphSeen,
    failed_status,
    status_after,
    unreconciled_status,
    waiting_status,
)
from dgdr_operator.core.observed_workloads import PodSeen, Trouble, WorkloadSeen
from dgdr_operator.core.workloads import Problem
from support.dgds import decode_worker, entry, frontend, graph

NOW = datetime(2025, 1, 1, tzinfo=UTC)
DONE = WorkloadSeen(
    name="g-decode",
    generation=2,
    observed_generation=2,
    wanted=2,
    replicas=2,
    updated=2,
    ready=2,
    available=2,
)


def seeing(deployment: WorkloadSeen | None, *pods: PodSeen, **kwargs: Any) -> GraphSeen:
    found = () if deployment is None else (deployment,)
    worker = decode_worker(main={"resources": {"limits": {"nvidia.com/gpu": "4"}}})
    fields: dict[str, Any] = {"graph": graph(worker), "generation": 7, "workloads": found}
    return GraphSeen(**(fields | {"pods": pods} | kwargs))


def outcome(seen: GraphSeen) -> tuple[str, str]:
    status = status_after(seen, DGDStatus(), NOW)
    ready = find(status.conditions, "Ready")
    assert ready is not None
    assert status.state is not None
    assert ready.is_true == (status.state == "successful")
    return status.state.value, ready.reason


def message(seen: GraphSeen) -> str:
    ready = find(status_after(seen, DGDStatus(), NOW).conditions, "Ready")
    assert ready is not None
    return ready.message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, ("successful", "all_resources_are_ready"), id="all there"),
        pytest.param(
            {"wanted": 0, "replicas": 0, "updated": 0, "ready": 0, "available": 0},
            ("successful", "all_resources_are_ready"),
            id="scaled to zero",
        ),
        pytest.param(
            {"ready": 1, "available": 1},
            ("pending", "some_resources_are_not_ready"),
            id="one still starts",
        ),
        pytest.param({"wanted": 3}, ("pending", "some_resources_are_not_ready"), id="scaled up"),
        pytest.param({"wanted": 1}, ("pending", "some_resources_are_not_ready"), id="one too many"),
        pytest.param({"generation": 3}, ("pending", "updating"), id="not looked at since the edit"),
        pytest.param(
            {"wanted": 1, "updated": 1, "ready": 1, "available": 1, "has_old_pods": True},
            ("pending", "updating"),
            id="an old pod serves while the new one starts",
        ),
        pytest.param(
            {"observed_generation": None, "replicas": 0, "updated": 0, "ready": 0, "available": 0},
            ("initializing", "some_resources_are_not_ready"),
            id="nobody has looked at it yet",
        ),
        pytest.param(
            {"ready": 0, "failure": "exceeded quota: gpus"},
            ("pending", "insufficient_capacity"),
            id="over the quota",
        ),
        pytest.param(
            {"ready": 0, "failure": "admission webhook denied"},
            ("pending", "pods_not_ready"),
            id="pods refused",
        ),
    ],
)
def test_a_deployment_decides(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    assert outcome(seeing(replace(DONE, **changes))) == expected


def test_a_graph_without_workloads_is_initializing() -> None:
    assert outcome(seeing(None)) == ("initializing", "some_resources_are_not_ready")


def test_a_crashing_pod_is_named_with_its_last_words() -> None:
    trouble = Trouble(container="main", reason="CrashLoopBackOff", restarts=3, words="OOM")
    pod = PodSeen(name="g-decode-x", component="decode", troubles=(trouble,))
    other = replace(pod, name="g-decode-y")
    seen = seeing(replace(DONE, ready=0, available=0), pod, other)
    assert outcome(seen) == ("pending", "pods_not_ready")
    assert message(seen) == (
        "decode: 0 of 2 pods are ready; pod g-decode-x container main CrashLoopBackOff "
        "after 3 restarts: OOM (and 1 more)"
    )


def test_a_pod_without_a_node_says_what_the_scheduler_said() -> None:
    pod = PodSeen(
        name="g-decode-x", component="decode", unschedulable="Insufficient nvidia.com/gpu"
    )
    seen = seeing(replace(DONE, ready=1, available=1), pod)
    assert outcome(seen) == ("pending", "insufficient_capacity")
    assert "pod g-decode-x has no node: Insufficient nvidia.com/gpu" in message(seen)


def test_what_pods_of_several_components_have_is_said_once() -> None:
    why = "0/1 nodes are available: 1 Insufficient cpu"
    pods = [PodSeen(name=n, component=c, unschedulable=why)
            for n, c in (("f-1", "Frontend"), ("d-1", "decode"), ("d-2", "decode"))]  # fmt: skip
    starting = replace(DONE, ready=0, available=0)
    seen = seeing(
        None,
        *pods,
        graph=graph(frontend(), decode_worker()),
        workloads=(replace(starting, name="g-frontend"), starting),
    )
    assert message(seen) == (
        "Frontend: 0 of 2 pods are ready; decode: 0 of 2 pods are ready; "
        f"pod f-1 has no node: {why} (and 2 more)"
    )


def test_the_worst_reason_wins_and_every_component_is_told() -> None:
    crash = PodSeen(
        name="p", component="Frontend", troubles=(Trouble(container="main", reason="ErrImagePull"),)
    )
    starting = replace(DONE, ready=0, available=0)
    seen = seeing(
        None,
        crash,
        graph=graph(frontend(), decode_worker()),
        workloads=(replace(starting, name="g-frontend"), starting),
    )
    assert outcome(seen) == ("pending", "pods_not_ready")
    assert "Frontend: 0 of 2" in message(seen)
    assert "decode: 0 of 2" in message(seen)


def test_what_cannot_be_made_is_a_failure_though_the_rest_is_ready() -> None:
    problem = Problem(component="pick", message="type epp is not run")
    seen = seeing(None, graph=graph(decode_worker(), entry("pick", "epp")), problems=(problem,))
    seen = replace(seen, workloads=(DONE,))
    assert outcome(seen) == ("failed", "failed_to_reconcile_the_resources")
    assert message(seen) == "pick: type epp is not run"


def test_components_carry_what_a_planner_asks_for() -> None:
    served = decode_worker(
        main={
            "args": ["--model", "Qwen/Qwen3-0.6B"],
            "resources": {"limits": {"nvidia.com/gpu": "4"}},
        }
    )
    status = status_after(seeing(DONE, graph=graph(served)), DGDStatus(), NOW)
    assert status.observed_generation == 7
    assert status.to_json()["components"]["decode"] == {
        "componentKind": "Deployment",
        "componentName": "g-decode",
        "componentNames": ["g-decode"],
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
        "scheduledReplicas": 2,
        "gpusPerEngine": 4,
        "gpusPerReplica": 4,
        "servedModelName": "Qwen/Qwen3-0.6B",
        "runtimeNamespace": "ns-g",
        "runtimeComponentName": "decode",
    }


def test_a_namespace_that_graphs_share_is_told() -> None:
    shared = graph(decode_worker(globalDynamoNamespace=True))
    components = status_after(seeing(DONE, graph=shared), DGDStatus(), NOW).components or {}
    assert components["decode"].runtime_namespace == "dynamo"


def test_replicas_that_have_a_node_are_counted() -> None:
    placed = PodSeen(name="p1", component="decode", scheduled=True)
    homeless = PodSeen(name="p2", component="decode", unschedulable="no GPU")
    seen = seeing(replace(DONE, ready=0, available=0), placed, homeless)
    component = (status_after(seen, DGDStatus(), NOW).components or {})["decode"]
    assert component.scheduled_replicas == 1


def test_a_name_of_ones_own_is_what_dynamo_calls_a_component() -> None:
    named = decode_worker(main={"env": [{"name": "DYN_COMPONENT", "value": "backend"}]})
    status = status_after(seeing(DONE, graph=graph(named)), DGDStatus(), NOW)
    assert (status.components or {})["decode"].runtime_component_name == "backend"


def test_the_same_observation_later_gives_the_same_status() -> None:
    first = status_after(seeing(DONE), DGDStatus(), NOW)
    assert status_after(seeing(DONE), first, NOW + timedelta(hours=1)) == first


def test_the_time_of_transition_moves_only_with_the_status() -> None:
    first = status_after(seeing(replace(DONE, ready=0, available=0)), DGDStatus(), NOW)
    later = NOW + timedelta(minutes=1)
    still = status_after(seeing(replace(DONE, ready=1, available=1)), first, later)
    ready = status_after(seeing(DONE), still, later)
    times = [s.conditions[0].last_transition_time for s in (first, still, ready)]
    assert times == [NOW, NOW, later]


def test_an_unreadable_graph_fails_and_keeps_what_was_known_of_its_components() -> None:
    before = status_after(seeing(DONE), DGDStatus(), NOW)
    status = failed_status("spec.components[0].type: 'x'", 8, before, NOW)
    assert (status.state, status.components) == ("failed", before.components)
    assert status.conditions[0].message == "spec.components[0].type: 'x'"


@pytest.mark.parametrize("told", [failed_status, unreconciled_status, waiting_status])
def test_what_was_answered_stays_answered_whatever_is_in_the_way(told: Any) -> None:
    done = RestartStatus(observed_id="a", phase=RestartPhase.COMPLETED)
    old = DGDStatus(observed_generation=3, last_handled_upgrade_at="then", restart=done)
    status = told("in the way", 4, old, NOW)
    assert (status.last_handled_upgrade_at, status.restart) == ("then", done)
