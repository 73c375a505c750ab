"""The planner's rules and dashboard on a real Prometheus, with series whose values are known."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from dgdr_api.conditions import condition
from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_status import SLAPlannerStatus
from dgdr_kube.ports import Key
from dgdr_perf.sizing import Percentile, Targets
from dgdr_planner.adapters.telemetry import Telemetry
from dgdr_planner.decide import decide
from dgdr_planner.observe.attainment import WindowAttainment
from dgdr_planner.observe.observation import QUANTILES
from dgdr_planner.observe.value import Value
from dgdr_planner.size.correction import Correction
from dgdr_planner.state import State
from support.cluster import ROOT
from support.live_metrics import Frontend, LivePrometheus, prometheus, served, until
from support.planning import DYNAMO_NAMESPACE, NAMESPACE, PROFILE, at, load, policy, seeing

pytestmark = pytest.mark.integration

MONITORING = ROOT / "helm/dgdr-operator/monitoring"
SCRAPE_S = 1.0
PATIENCE_S = 60.0
HEALTHY, SICK = Key(NAMESPACE, "healthy"), Key(NAMESPACE, "sick")
POLICY = policy(targets=Targets(ttft_ms=300, itl_ms=25, percentile=Percentile.P95))
BAD = {
    "MetricsAvailable": False,
    "Ready": False,
    "SLAReachable": False,
    "BudgetFeasible": False,
    "ScalingLimited": True,
}
SEEN = seeing(
    replace(
        load(9.4),
        quantiles={name: Value(200.0 if "ttft" in name else 20.0) for name in QUANTILES},
        queued=Value(4.0),
        completed_per_s=Value(9.0),
    ),
    prefill=3,
    decode=2,
)


@dataclass
class PlannerPage:
    """A planner's metrics: each scrape sees another pass of each planner, of 100 requests."""

    telemetry: Telemetry = field(default_factory=Telemetry)
    passes: int = 0

    def page(self) -> str:
        self.passes += 1
        for key, ttft_met in ((HEALTHY, 0.98), (SICK, 0.5)):
            self._show(key, ttft_met)
            self.telemetry.count(key, "failed" if key is SICK else "kept", 0.02)
        self.telemetry.answered("answered", 0.02)
        return generate_latest(self.telemetry.registry).decode()

    def _show(self, key: Key, ttft_met: float) -> None:
        now = at(15.0 * self.passes)
        made = decide(SEEN, PROFILE, POLICY, State(), now)
        windows = (WindowAttainment(now, 15.0, 100.0, ttft_met, 1.0),)
        slower = Correction(factors={Role.PREFILL: 1.2, Role.DECODE: 1.0})
        decision = replace(made, state=replace(made.state, windows=windows, correction=slower))
        bad = key is SICK
        held = tuple(
            condition(name, status is bad, "Because", "", now, 1) for name, status in BAD.items()
        )
        status = SLAPlannerStatus(conditions=held, startup_seconds=120)
        self.telemetry.show(key, POLICY, SEEN, decision, status)


def values(server: LivePrometheus, query: str) -> dict[str, float]:
    """Values by planner, or by deployment, and by what else tells the series apart."""

    def name(labels: Mapping[str, str]) -> str:
        told = ("planner", "role", "target", "latency", "outcome")
        return " ".join(labels[key] for key in told if key in labels)

    found = server.ask("query", query=query)["result"]
    return {name(one["metric"]): float(one["value"][1]) for one in found}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"]
    ours = (group for group in groups if group["name"].startswith("dgdr-planner"))
    return [rule for group in ours for rule in group["rules"]]


def expressions() -> list[tuple[str, str]]:
    dashboard = json.loads((MONITORING / "dashboards/planner.json").read_text())
    notes = [
        (note["name"], note["expr"].removesuffix(" > 0"))  # nothing was changed here
        for note in dashboard["annotations"]["list"]
    ]
    return notes + [
        (panel["title"], target["expr"])
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePrometheus]:
    folder: Path = tmp_path_factory.mktemp("prometheus")
    frontend = Frontend(rate_per_s=5.0)
    graph = {"namespace": NAMESPACE, "dynamo_namespace": DYNAMO_NAMESPACE, "pod": "frontend-a"}
    with served(frontend) as a, served(PlannerPage()) as b:
        targets = {a: graph, b: {"namespace": "dgdr-system", "component": "planner"}}
        files = [str(MONITORING / "rules.yaml")]
        with prometheus(folder, targets, SCRAPE_S, rule_files=files) as running:
            burning = "dgdr_planner:sla_burn:rate6h > 0"
            until(lambda: len(values(running, burning)) == 2, 90, "rules are evaluated")
            until(lambda: len(values(running, "planner:num_p_workers")) == 2, 30, "names are there")
            yield running


def test_every_rule_is_evaluated_without_an_error(server: LivePrometheus) -> None:
    loaded = [rule for group in server.ask("rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in loaded} >= {r.get("alert") or r["record"] for r in rules()}
    assert [rule for rule in loaded if rule["health"] != "ok" or rule.get("lastError")] == []


@pytest.mark.parametrize("window", ["5m", "30m", "1h", "6h"])
def test_attainment_and_burn_rate_are_those_of_the_requests(
    server: LivePrometheus, window: str
) -> None:
    assert values(server, f"dgdr_planner:sla_attainment:ratio{window}") == pytest.approx(
        {"healthy ttft": 0.98, "healthy itl": 1.0, "sick ttft": 0.5, "sick itl": 1.0}
    )
    assert values(server, f"dgdr_planner:sla_burn:rate{window}") == pytest.approx(
        {"healthy ttft": 0.4, "healthy itl": 0.0, "sick ttft": 10.0, "sick itl": 0.0}, abs=1e-6
    )


@pytest.mark.parametrize(
    "rule", [rule for rule in rules() if "record" in rule], ids=lambda rule: rule["record"]
)
def test_every_recorded_name_has_values(server: LivePrometheus, rule: dict[str, Any]) -> None:
    # Each group has its own time at which it is evaluated.
    until(lambda: bool(values(server, rule["record"])), PATIENCE_S, rule["record"])


@pytest.mark.parametrize(
    "rule", [rule for rule in rules() if "alert" in rule], ids=lambda rule: rule["alert"]
)
def test_every_alert_is_about_the_sick_and_nobody_else(
    server: LivePrometheus, rule: dict[str, Any]
) -> None:
    if rule["alert"] == "DGDRPlannerDown":
        assert values(server, rule["expr"]) == {}
        assert list(values(server, rule["expr"].replace("dgdr_", "no_"))) == [""]
    else:
        # A busy machine misses scrapes; an increase needs two of them.
        until(
            lambda: {name.split()[0] for name in values(server, rule["expr"])} == {"sick"},
            PATIENCE_S,
            rule["alert"],
        )
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert {"summary", "description"} <= set(rule["annotations"])


@pytest.mark.parametrize(("panel", "expression"), expressions())
def test_every_expression_of_the_dashboard_shows_something(
    server: LivePrometheus, panel: str, expression: str
) -> None:
    asked = (
        expression.replace("$namespace", ".*")
        .replace("$planner", ".*")
        .replace("$percentile", "0.95")
        .replace("$__rate_interval", "1m")
    )
    assert "$" not in asked
    until(lambda: bool(values(server, asked)), PATIENCE_S, panel)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("dynamo_planner_observed_requests_per_second", 9.4),
        ("dynamo_planner_observed_ttft_ms", 250.0),
        ("dynamo_planner_sla_target_itl_ms", 25.0),
        ("dynamo_planner_num_prefill_replicas", 3.0),
        ("planner:num_d_workers", 2.0),
        ("planner:p_correction_factor", 1.2),
        ("planner:observed_isl", 2048.0),
        ("dgdr_planner_queued_requests", 4.0),
        ('dgdr_planner_observed_latency_ms{quantile="0.95",latency="ttft"}', 200.0),
        ('dgdr_planner_replicas{role="decode",state="ready"}', 2.0),
        ("dgdr_planner_sla_objective_ratio", 0.95),
    ],
)
def test_values_are_those_that_were_shown(
    server: LivePrometheus, query: str, expected: float
) -> None:
    found = values(server, query)
    assert len(found) == 2
    assert list(found.values()) == pytest.approx([expected, expected])
