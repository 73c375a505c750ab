"""Alerts and dashboards of operator and profiling on a real Prometheus; not all of it is well."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from dgdr_kube.calls import Call, Verb
from dgdr_kube.errors import Unreachable
from dgdr_kube.following import Watch
from dgdr_kube.kinds import DGD, DGDR, JOB, POD, SERVICE
from dgdr_kube.metrics import Followed, KubeMetrics
from dgdr_kube.pass_record import Result
from dgdr_kube.ports import Key, Listing
from dgdr_kube.store import Store
from dgdr_kube.workqueue import WorkQueue
from dgdr_operator.__main__ import Metrics
from dgdr_planner.adapters.telemetry import Telemetry as PlannerTelemetry
from support.cluster import ROOT
from support.live_metrics import LivePrometheus, prometheus, served, until

pytestmark = pytest.mark.integration

MONITORING = ROOT / "helm/dgdr-operator/monitoring"
PATIENCE_S = 60.0
LONG_AGO_S = 7200.0


class Queue(WorkQueue[Key]):
    """A queue whose oldest key waits for a time of our choice."""

    def __init__(self, name: str, oldest_s: float) -> None:
        super().__init__(name=name)
        self._age_s = oldest_s

    def oldest_s(self) -> float:
        return self._age_s


@dataclass
class Leader:
    left: float

    def left_s(self) -> float:
        return self.left

    def transitions(self) -> int:
        return 2


def ago(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def named(name: str, **parts: Any) -> dict[str, Any]:
    owner = {"kind": "DynamoGraphDeploymentRequest", "name": name, "uid": "u"}
    meta = {"namespace": "team", "name": name, "uid": name, "ownerReferences": [owner]}
    return {"metadata": meta, **parts}


def since(type_: str, status: str, seconds: float, reason: str = "R") -> dict[str, Any]:
    when = ago(seconds)
    return {"type": type_, "status": status, "reason": reason, "lastTransitionTime": when}


@dataclass
class OperatorPage:
    """An operator's metrics: ``well`` objects beside ``sick`` ones; each scrape sees passes."""

    metrics: Metrics = field(default_factory=Metrics.new)

    def __post_init__(self) -> None:
        kube, operator = self.metrics.kube, self.metrics.operator
        kube.show_leader("dgdr-operator", Leader(10.0))
        kube.show_queue(Queue("dgdr", 0.2))
        kube.show_queue(Queue("dgd", 999.0))
        well, broken, silent = Watch(), Watch(), Watch(clock=lambda: time.monotonic() + 170)
        well.found()
        broken.lost(Unreachable("503"))
        silent.found()
        silent.heard_s = time.monotonic()
        kube.show_watches(
            [
                Followed(DGD, "", None, well),
                Followed(POD, "", None, silent),
                Followed(SERVICE, "", None, broken),
            ]
        )
        kube.show_stores([(DGD, Store())])
        operator.show()
        for name, age_s in (("well", 60.0), ("sick", LONG_AGO_S)):
            self._tell(name, age_s)

    def _tell(self, name: str, age_s: float) -> None:
        heard = self.metrics.operator.heard
        is_sick = name == "sick"
        phase, told = ("Failed", [since("Stalled", "True", 30)]) if is_sick else ("Deployed", [])
        pending = named(name, status={"phase": "Pending"})
        request = named(name, status={"phase": "Profiling"})
        heard(DGDR, None, pending)
        heard(DGDR, pending, request)
        heard(DGDR, request, named(name, status={"phase": phase, "conditions": told}))
        components = {"decode": {"replicas": 2, "gpusPerReplica": 4}}
        conditions = [since("Ready", "False", age_s), since("UpToDate", "False", 9, "UpgradeStuck")]
        status = {"state": "pending", "components": components, "conditions": conditions}
        heard(DGD, None, named(name, status=status))
        job = {"spec": {"activeDeadlineSeconds": 3600}, "status": {"startTime": ago(age_s)}}
        heard(JOB, None, named(name, **job))

    def page(self) -> str:
        for queue, result in (("dgdr", Result.DONE), ("dgd", Result.FAILED)):
            self.metrics.passed(queue, "AwaitJob", result, 0.02)
        for code in ("200", "503"):
            self.metrics.kube.called(Call(Verb.GET, POD, code, 0.01))
        return generate_latest(self.metrics.registry).decode()


@dataclass
class PlannerPage:
    """A planner's: its Lease has no holder, and all of its calls are answered."""

    telemetry: PlannerTelemetry = field(default_factory=PlannerTelemetry)

    def __post_init__(self) -> None:
        self.kube = KubeMetrics(self.telemetry.registry)
        self.kube.show_leader("dgdr-planner", Leader(-1.0))
        store = Store()
        meta = {"namespace": "team", "name": "gpus", "resourceVersion": "1"}
        budget = {"metadata": meta, "spec": {"gpus": 16}, "status": {"reservedGpus": 12}}
        store.replace(None, Listing([budget], "1"))
        self.telemetry.show_budgets(store)

    def page(self) -> str:
        self.kube.called(Call(Verb.GET, POD, "200", 0.01))
        return generate_latest(self.telemetry.registry).decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePrometheus]:
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with served(OperatorPage()) as a, served(PlannerPage()) as b:
        targets = {
            a: {"namespace": "dgdr-system", "component": "operator", "pod": "operator-0"},
            b: {"namespace": "dgdr-system", "component": "planner", "pod": "planner-0"},
        }
        files = [str(MONITORING / "rules.yaml")]
        with prometheus(folder, targets, 1.0, rule_files=files) as running:
            until(lambda: len(found(running, "dgdr_kube_leader")) == 2, 30, "both are scraped")
            yield running


def found(server: LivePrometheus, query: str) -> list[dict[str, str]]:
    """Labels of the answer, but for the name."""
    result = server.ask("query", query=query)["result"]
    return [{k: v for k, v in one["metric"].items() if k != "__name__"} for one in result]


SICK: dict[str, list[dict[str, str]]] = {
    "DGDRNoLeader": [{"lease": "dgdr-planner"}],
    "DGDRQueueOld": [{"component": "operator", "queue": "dgd"}],
    "DGDRWatchSilent": [{"component": "operator", "kind": "Pod"}],
    "DGDRWatchBroken": [{"component": "operator", "kind": "Service"}],
    "DGDRCallsFail": [{"component": "operator"}],
    "DGDROperatorDown": [],
    "DGDROperatorPassesFail": [{"queue": "dgd"}],
    "DGDRRequestFailed": [{"target_namespace": "team", "request": "sick"}],
    "DGDRProfilingOverdue": [{"target_namespace": "team", "request": "sick"}],
    "DGDRUpgradeStuck": [{}],
    "DGDRDeploymentNotReady": [{"target_namespace": "team", "deployment": "sick"}],
}


def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"]
    (ours,) = (group for group in groups if group["name"] == "dgdr-alerts")
    return {rule["alert"]: rule for rule in ours["rules"]}


def test_every_alert_is_tried() -> None:
    assert alerts().keys() == SICK.keys()


@pytest.mark.parametrize("alert", SICK)
def test_every_alert_is_about_the_sick_and_nobody_else(server: LivePrometheus, alert: str) -> None:
    rule = alerts()[alert]
    until(lambda: found(server, rule["expr"]) == SICK[alert], PATIENCE_S, alert)
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert {"summary", "description"} <= set(rule["annotations"])


def test_an_operator_that_is_not_there_is_noticed(server: LivePrometheus) -> None:
    expression = alerts()["DGDROperatorDown"]["expr"]
    assert len(found(server, expression.replace("dgdr_", "no_"))) == 1


def test_every_rule_is_evaluated_and_its_words_are_filled_in(server: LivePrometheus) -> None:
    def firing() -> dict[str, str]:
        told = server.ask("alerts")["alerts"]
        return {one["labels"]["alertname"]: one["annotations"]["summary"] for one in told}

    pending = SICK.keys() - {"DGDROperatorDown"}
    until(lambda: firing().keys() >= pending, PATIENCE_S, "all alerts")
    said = firing()
    assert said["DGDRQueueOld"] == "Changes wait for 16m 39s in queue dgd"
    assert said["DGDRCallsFail"].startswith("50% of the calls of the operator")
    assert said["DGDRRequestFailed"] == "Request team/sick has failed"
    loaded = [rule for group in server.ask("rules")["groups"] for rule in group["rules"]]
    assert [rule for rule in loaded if rule["health"] == "err" or rule.get("lastError")] == []


def expressions() -> list[tuple[str, str]]:
    boards = [json.loads((MONITORING / f"dashboards/{n}.json").read_text()) for n in BOARDS]
    panels = [panel for board in boards for panel in board["panels"]]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]


BOARDS = ("operator", "profiling")


@pytest.mark.parametrize(("panel", "expression"), expressions())
def test_every_expression_of_the_dashboards_shows_something(
    server: LivePrometheus, panel: str, expression: str
) -> None:
    asked = (
        expression.replace("$namespace", ".*")
        .replace("$component", ".*")
        .replace("$__rate_interval", "1m")
    )
    assert "$" not in asked
    until(lambda: bool(found(server, asked)), PATIENCE_S, panel)
