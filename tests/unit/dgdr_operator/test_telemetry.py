"""What the operator shows: counted from objects as the watches tell of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from dgdr_kube.kinds import DGD, DGDR, JOB, POD
from dgdr_kube.pass_record import Result
from dgdr_operator.telemetry import MOST_FAILED_NAMED, Telemetry

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOW_S = NOW.timestamp()


class World:
    """An operator's telemetry, its clocks, and what it has heard."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.now_s, self.monotonic_s = NOW_S, 1000.0
        self.telemetry = Telemetry(
            self.registry, clock=lambda: self.now_s, monotonic=lambda: self.monotonic_s
        )
        self.telemetry.show()
        self.there: dict[tuple[Any, str], dict[str, Any]] = {}

    def pass_s(self, seconds: float) -> None:
        self.now_s += seconds
        self.monotonic_s += seconds

    def tell(self, kind: Any, new: dict[str, Any]) -> None:
        name = new["metadata"]["name"]
        self.telemetry.heard(kind, self.there.get((kind, name)), new)
        self.there[kind, name] = new

    def end(self, kind: Any, name: str) -> None:
        self.telemetry.heard(kind, self.there.pop((kind, name)), None)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"dgdr_operator_{name}", labels)


@pytest.fixture
def world() -> World:
    return World()


def stamp(seconds_ago: float) -> str:
    return (NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def request(name: str, phase: str | None = None, *conditions: dict[str, Any]) -> dict[str, Any]:
    meta = {"namespace": "team", "name": name, "uid": f"uid-{name}"}
    status = {"phase": phase, "conditions": list(conditions)} if phase else {}
    return {"metadata": {**meta, "creationTimestamp": stamp(60)}, "status": status}


def says(type_: str, status: str, seconds_ago: float = 0, reason: str = "R") -> dict[str, Any]:
    when = stamp(seconds_ago)
    return {"type": type_, "status": status, "reason": reason, "lastTransitionTime": when}


def graph(name: str, state: str = "", replicas: int = 0, *conditions: Any) -> dict[str, Any]:
    components = {
        "frontend": {"replicas": 1, "gpusPerReplica": 0},
        "decode": {"replicas": replicas, "gpusPerReplica": 4},
    }
    status = {"state": state, "components": components, "conditions": list(conditions)}
    meta = {"namespace": "team", "name": name, "uid": f"uid-{name}"}
    return {"metadata": meta, "status": status if state else {}}


def candidate(name: str, state: str, replicas: int = 0) -> dict[str, Any]:
    made = graph(name, state, replicas)
    owner = {"kind": "DynamoGraphDeploymentRequest", "name": "q", "uid": "u"}
    return {
        **made,
        "metadata": {
            **made["metadata"],
            "labels": {"dgdr.dev/run": "u"},
            "ownerReferences": [owner],
        },
    }


def job(name: str, *conditions: str, deadline_s: int | None = 3600) -> dict[str, Any]:
    meta = {
        "namespace": "team",
        "name": f"profile-{name}",
        "ownerReferences": [{"kind": "DynamoGraphDeploymentRequest", "name": name, "uid": "u"}],
    }
    over = [{"type": type_, "status": "True"} for type_ in conditions]
    spec = {} if deadline_s is None else {"activeDeadlineSeconds": deadline_s}
    return {
        "metadata": meta,
        "spec": spec,
        "status": {"startTime": stamp(600), "conditions": over},
    }


# -- requests


def test_requests_are_counted_by_phase_and_only_by_phase(world: World) -> None:
    world.tell(DGDR, request("a"))
    world.tell(DGDR, request("b", "Profiling"))
    world.tell(DGDR, request("c", "Profiling"))
    world.tell(DGDR, request("c", "Deployed"))
    world.tell(DGDR, request("d", "Failed"))
    world.end(DGDR, "d")
    found = {phase: world("requests", phase=phase) for phase in ("Pending", "Profiling", "Failed")}
    assert found == {"Pending": 1, "Profiling": 1, "Failed": 0}
    assert world("requests", phase="Deployed") == 1


def test_who_stands_by_shows_no_counts() -> None:
    registry = CollectorRegistry()
    Telemetry(registry)
    assert registry.get_sample_value("dgdr_operator_requests", {"phase": "Pending"}) is None


def test_phases_are_timed_from_the_making_of_a_request(world: World) -> None:
    world.tell(DGDR, request("a"))  # 60 s old, and nobody has looked at it yet
    world.pass_s(2)
    world.tell(DGDR, request("a", "Pending"))
    world.tell(DGDR, request("a", "Profiling"))
    world.pass_s(7200)
    world.tell(DGDR, request("a", "Deploying"))
    assert world("request_phase_duration_seconds_sum", phase="Pending") == 62
    assert world("request_phase_duration_seconds_sum", phase="Profiling") == 7200
    assert world("request_phase_duration_seconds_bucket", phase="Profiling", le="7200.0") == 1


def test_a_phase_whose_begin_nobody_has_seen_is_not_timed(world: World) -> None:
    world.tell(DGDR, request("a", "Profiling"))  # there before this process
    world.pass_s(10)
    world.tell(DGDR, request("a", "Deploying"))
    world.pass_s(30)
    world.tell(DGDR, request("a", "Deployed"))
    assert world("request_phase_duration_seconds_count", phase="Profiling") == 0
    assert world("request_phase_duration_seconds_sum", phase="Deploying") == 30


def test_a_request_of_the_same_name_is_another_one(world: World) -> None:
    world.tell(DGDR, request("a", "Profiling"))
    again = request("a")
    again["metadata"] |= {"uid": "other", "creationTimestamp": stamp(5)}
    world.tell(DGDR, again)  # its deletion was missed
    assert world("request_phase_duration_seconds_count", phase="Profiling") == 0
    world.tell(DGDR, {**again, "status": {"phase": "Profiling"}})
    assert world("request_phase_duration_seconds_sum", phase="Pending") == 5


def test_a_failed_request_is_named_and_since_when(world: World) -> None:
    world.tell(DGDR, request("a", "Failed", says("Stalled", "True", 90)))
    labels = {"target_namespace": "team", "request": "a"}
    assert world("request_failed_timestamp_seconds", **labels) == NOW_S - 90
    world.tell(DGDR, request("a", "Pending"))
    assert world("request_failed_timestamp_seconds", **labels) is None


def test_the_newest_failures_alone_have_names(world: World) -> None:
    for age in range(MOST_FAILED_NAMED + 10):
        world.tell(DGDR, request(f"r{age}", "Failed", says("Stalled", "True", age)))
    named = [
        sample.labels["request"]
        for metric in world.registry.collect()
        for sample in metric.samples
        if sample.name == "dgdr_operator_request_failed_timestamp_seconds"
    ]
    assert named == [f"r{age}" for age in range(MOST_FAILED_NAMED)]
    assert world("requests", phase="Failed") == MOST_FAILED_NAMED + 10


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param(job("a"), NOW_S + 3000, id="it runs"),
        pytest.param(job("a", "Complete"), None, id="it is over"),
        pytest.param(job("a", "Failed"), None, id="it has failed"),
        pytest.param(job("a", deadline_s=None), None, id="it has all the time"),
        pytest.param({**job("a"), "status": {}}, None, id="it has not begun"),
    ],
)
def test_a_job_that_runs_has_a_deadline(
    world: World, told: dict[str, Any], expected: float | None
) -> None:
    world.tell(JOB, told)
    labels = {"target_namespace": "team", "request": "a"}
    assert world("request_profiling_deadline_timestamp_seconds", **labels) == expected


def test_a_job_that_is_gone_has_none(world: World) -> None:
    world.tell(JOB, job("a"))
    world.end(JOB, "profile-a")
    labels = {"target_namespace": "team", "request": "a"}
    assert world("request_profiling_deadline_timestamp_seconds", **labels) is None


# -- graphs


def test_deployments_are_counted_by_use_and_state(world: World) -> None:
    world.tell(DGD, graph("a"))
    world.tell(DGD, graph("b", "successful"))
    world.tell(DGD, candidate("c", "pending"))
    assert world("deployments", use="serving", state="initializing") == 1
    assert world("deployments", use="serving", state="successful") == 1
    assert world("deployments", use="candidate", state="pending") == 1
    world.end(DGD, "c")
    assert world("deployments", use="candidate", state="pending") == 0


def test_a_deployment_that_is_not_ready_is_named_and_since_when(world: World) -> None:
    labels = {"target_namespace": "team", "deployment": "a"}
    world.tell(DGD, graph("a", "pending", 1, says("Ready", "False", 120)))
    assert world("deployment_unready_since_timestamp_seconds", **labels) == NOW_S - 120
    world.tell(DGD, graph("a", "successful", 1, says("Ready", "True")))
    assert world("deployment_unready_since_timestamp_seconds", **labels) is None


def test_a_candidate_that_is_not_ready_is_no_news(world: World) -> None:
    made = candidate("c", "pending")
    made["status"]["conditions"] = [says("Ready", "False", 120)]
    world.tell(DGD, made)
    labels = {"target_namespace": "team", "deployment": "c"}
    assert world("deployment_unready_since_timestamp_seconds", **labels) is None


def test_deployments_behind_are_counted_by_reason(world: World) -> None:
    world.tell(DGD, graph("a", "successful", 1, says("UpToDate", "False", 0, "WaitsForTurn")))
    world.tell(DGD, graph("b", "successful", 1, says("UpToDate", "True", 0, "Current")))
    assert world("deployments_behind", reason="WaitsForTurn") == 1
    assert world("deployments_behind", reason="RenderedEarlier") == 0
    assert world("deployments_behind", reason="Current") is None
    world.tell(DGD, graph("a", "successful", 1, says("UpToDate", "True", 0, "Current")))
    assert world("deployments_behind", reason="WaitsForTurn") == 0


def test_gpus_are_those_of_the_pods_that_are_there_over_time(world: World) -> None:
    world.tell(DGD, graph("a", "successful", 2))
    world.tell(DGD, candidate("c", "pending", 1))
    world.pass_s(100)
    world.tell(DGD, candidate("c", "pending", 0))
    world.pass_s(100)
    assert world("gpus", use="serving") == 8
    assert world("gpus", use="candidate") == 0
    assert world("gpu_seconds_total", use="serving") == 8 * 200
    assert world("gpu_seconds_total", use="candidate") == 4 * 100
    world.end(DGD, "a")
    world.pass_s(100)
    assert world("gpu_seconds_total", use="serving") == 8 * 200


# -- what others wrote


@pytest.mark.parametrize("kind", [DGDR, DGD, JOB, POD])
@pytest.mark.parametrize(
    "status",
    [
        {},
        {"phase": "Elsewhere", "state": "sideways", "components": {}, "conditions": []},
        {"conditions": ["Ready", {"type": "Ready"}, {"type": "Ready", "status": "False"}]},
        {"startTime": "soon", "components": {"x": {}}},
        {"startTime": None, "conditions": None, "components": None},
    ],
)
def test_a_status_of_somebody_else_ends_nothing(
    world: World, kind: Any, status: dict[str, Any]
) -> None:
    meta = {"namespace": "team", "name": "x", "uid": "u"}
    world.tell(kind, {"metadata": meta, "status": status})
    world.end(kind, "x")
    assert world("requests", phase="Pending") == 0


def test_passes_are_counted_by_decision_and_result(world: World) -> None:
    world.telemetry.passed("dgdr", "StartProfiling", Result.DONE)
    world.telemetry.passed("dgdr", "StartProfiling", Result.FAILED)
    labels = {"queue": "dgdr", "decision": "StartProfiling"}
    assert world("passes_total", **labels, result="done") == 1
    assert world("passes_total", **labels, result="failed") == 1
