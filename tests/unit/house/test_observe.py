"""The page on observing names all metrics and alerts; rules and dashboards name none else."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from dgdr_kube.store import Store
from dgdr_operator.__main__ import Metrics
from dgdr_planner.adapters.telemetry import Telemetry
from dgdr_planner.observe import queries
from dgdr_webhooks.telemetry import Telemetry as Webhooks

ROOT = Path(__file__).resolve().parents[3]
MONITORING = ROOT / "helm/dgdr-operator/monitoring"
PAGE = (ROOT / "docs/observe.md").read_text()
ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<labels>[^|]*) \|", re.M)
# Of a planner's metrics the page says once which labels all have.
OF_A_PLANNER = ("dynamo_namespace", "target_namespace", "planner")
NAME = re.compile(r"\b(?:dgdr|dynamo|planner|process|workqueue)[a-z]*[_:][\w:]*")


def registries() -> tuple[CollectorRegistry, ...]:
    """What the programs show when they lead."""
    webhooks = CollectorRegistry()
    Webhooks(webhooks)
    operator, planner = Metrics.new(), Telemetry()
    operator.operator.show()
    planner.show_budgets(Store())
    return operator.registry, planner.registry, webhooks


def shown() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Type and labels of each metric by the name that Prometheus knows."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for registry in registries():
        for metric in registry.collect():
            name = metric.name + ("_total" if metric.type == "counter" else "")
            # Those that are read at each scrape come with their labels, the others have them.
            own: Any = registry._names_to_collectors.get(metric.name, metric)
            labels = getattr(own, "_labelnames", ())
            found[name] = metric.type, tuple(labels)
    return found


def series() -> set[str]:
    """Names of all series that can be asked for."""
    names: set[str] = set()
    for name, (type_, _) in shown().items():
        parts = ("_bucket", "_sum", "_count") if type_ == "histogram" else ("",)
        names |= {f"{name}{part}" for part in parts}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    frontends = {queries.IN_FLIGHT, queries.COMPLETED, f"{queries.TTFT}_bucket"}
    return names | recorded | frontends


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((MONITORING / "rules.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for board in sorted((MONITORING / "dashboards").glob("*.json")):
        told = json.loads(board.read_text())
        for note in told["annotations"]["list"]:
            yield f"{board.stem}: {note['name']}", note["expr"]
        for panel in told["panels"]:
            for target in panel["targets"]:
                yield f"{board.stem}: {panel['title']}", target["expr"]


def test_the_page_names_every_metric_and_its_labels() -> None:
    told = {
        found["name"]: tuple(re.findall(r"`(\w+)`", found["labels"]))
        for found in ROW.finditer(PAGE)
        if not found["name"].startswith("DGDR")
    }
    there = {
        name: tuple(label for label in labels if not (is_planner(name) and label in OF_A_PLANNER))
        for name, (_, labels) in shown().items()
        if not name.startswith("process_")
    }
    assert told == there


def is_planner(name: str) -> bool:
    return name.startswith(("dgdr_planner_", "dynamo_planner_"))


def test_the_page_says_of_every_alert_what_to_do() -> None:
    told = {found["name"] for found in ROW.finditer(PAGE) if found["name"].startswith("DGDR")}
    assert told == {rule["alert"] for rule in rules() if "alert" in rule}


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_expression_names_metrics_that_exist(where: str, expression: str) -> None:
    named = set(NAME.findall(expression)) - {"dynamo_namespace"}  # a label
    assert named
    assert named - series() == set()


def test_an_expression_with_another_name_would_be_noticed() -> None:
    assert set(NAME.findall("rate(dgdr_kube_no_such_total[5m])")) - series()


@pytest.mark.parametrize("name", [name for name in shown() if not name.startswith("process_")])
def test_names_have_the_endings_that_prometheus_users_expect(name: str) -> None:
    type_, labels = shown()[name]
    assert name.endswith("_total") == (type_ == "counter")
    assert not set(labels) & {"namespace", "pod", "job", "instance"}  # Prometheus gives those
    if type_ == "histogram":
        assert name.endswith("_seconds")
        objects = {"request", "deployment", "budget", "planner", "target_namespace"}
        assert not set(labels) & objects


def test_rows_of_the_page_are_sentences_of_the_code() -> None:
    for registry in registries():
        for metric in registry.collect():
            if not metric.name.startswith("process_"):
                assert metric.documentation in PAGE, metric.name
