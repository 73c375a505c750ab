"""``plan``, ``explain`` and ``what-if`` of a planner that really plans: its numbers are theirs."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support.cluster import TestCluster
from support.live_metrics import until
from support.planner_stage import QUICK, Stage, planner_stage
from support.planning import DGD_NAME, NAMESPACE, sla_planner

pytestmark = pytest.mark.integration

WIDTH = 100
# For what must come, but nobody knows when on a busy machine.
LONGEST_S = 240.0


@pytest.fixture(scope="module")
def stage(light_cluster: TestCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A planner that has decided about a load."""
    with planner_stage(light_cluster, tmp_path_factory.mktemp("cli")) as on:
        on.frontend.rate_per_s = 8.4
        on.until("both roles have more", lambda: min(on.replicas()) > 1, LONGEST_S)
        yield on


def cli(stage: Stage, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dgdr_cli", *arguments, "-n", NAMESPACE],
        env=os.environ | {"KUBECONFIG": str(stage.cluster.kubeconfig), "COLUMNS": str(WIDTH)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert max(map(len, done.stdout.splitlines())) <= WIDTH or "json" in arguments
    return done.stdout


def asked(stage: Stage, *arguments: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Return the status, and the answer for programs and for people that speak about just it."""
    for _ in range(10):
        before = stage.planner()
        told = json.loads(cli(stage, *arguments, "-o", "json"))
        screen = cli(stage, *arguments)
        if stage.planner()["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]:
            return before["status"], told, screen
    raise AssertionError("the status never stood still for two questions")


def needed(status: dict[str, Any]) -> dict[str, tuple[int, float]]:
    exact = {one["role"]: one["needed"] for one in status["capacity"]}
    return {one["role"]: (one["desiredReplicas"], exact[one["role"]]) for one in status["roles"]}


def test_explain_shows_what_the_status_says(stage: Stage) -> None:
    status, told, screen = asked(stage, "explain", DGD_NAME)
    assert told["status"] == status
    assert told["budget"] is None
    for role, (whole, exact) in needed(status).items():
        line = next(text for text in screen.splitlines() if text.startswith(f"{role} "))
        assert f"{whole} ({exact:.2f})" in line
    assert f"{status['forecast']['plannedRequestsPerSecond']:.2f} requests/s" in screen
    for sentence in status["decisions"][0]["message"].split("; "):
        assert sentence in " ".join(screen.split())


def test_explain_says_why_and_what_comes_next(stage: Stage) -> None:
    _, told, screen = asked(stage, "explain", f"slap/{DGD_NAME}")
    assert {one["role"] for one in told["why"]} == {"prefill", "decode"}
    assert (told["held"], told["silent"]) == (None, None)
    assert any(one["text"].startswith("next decision, then every 5 s") for one in told["coming"])
    # Nobody makes pods here: what was asked for starts for good.
    assert any("starting, then" in one["text"] for one in told["coming"])
    assert "COMES NEXT (UTC)" in screen


def test_get_shows_ready_over_needed(stage: Stage) -> None:
    summary = stage.planner()["status"]["summary"]
    head, row = stage.cluster.kubectl("get", "slap", DGD_NAME, "-n", NAMESPACE).splitlines()
    assert head.split() == [
        "NAME", "PREFILL", "DECODE", "WORKER", "ATTAINED", "LIMITED", "READY", "REASON", "AGE",
    ]  # fmt: skip
    assert row.split()[:3] == [DGD_NAME, summary["prefill"], summary["decode"]]


def test_slo_and_report_ask_prometheus(stage: Stage, tmp_path: Path) -> None:
    """Nobody scrapes this planner: nothing is known of it, and that is no zero."""
    asked_at = ("--prometheus", stage.prometheus.url)
    told = cli(stage, "slo", DGD_NAME, *asked_at)
    # Four windows of requests and of two targets with two numbers each; failed ones are counted.
    assert told.count("unknown") == 20
    assert "recording rules of the chart" in " ".join(told.split())
    page = tmp_path / "report.html"
    cli(stage, "report", DGD_NAME, *asked_at, "--last", "1h", "-o", str(page))
    assert "has no series of this planner" in page.read_text()


@pytest.fixture(scope="module")
def service(stage: Stage) -> str:
    """A Service whose endpoint is the real Prometheus, by its name in the cluster.

    The API server forwards to no address that is not that of a pod, so there is one of this name.
    """
    meta, host = {"name": "prometheus", "namespace": NAMESPACE}, stage.prometheus.host
    port = {"name": "web", "port": stage.prometheus.port}
    pod = {"kind": "Pod", **meta}
    container = {"name": "prometheus", "image": "registry.test/prometheus:dev"}
    stage.apply(
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"ports": [{"name": "web", "port": 9090, "targetPort": port["port"]}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": meta,
            "subsets": [{"addresses": [{"ip": host, "targetRef": pod}], "ports": [port]}],
        },
    )
    stage.cluster.kubectl(
        "patch", "pod", "prometheus", "-n", NAMESPACE, "--subresource=status", "--type=merge",
        "-p", json.dumps({"status": {"podIP": host, "podIPs": [{"ip": host}]}}),
    )  # fmt: skip
    ready = f"/api/v1/namespaces/{NAMESPACE}/services/http:prometheus:9090/proxy/-/ready"

    def answers() -> bool:
        with suppress(AssertionError):
            return "Ready" in stage.cluster.kubectl("get", "--raw", ready)
        return False

    # The API server learns of a Service's endpoints by a watch.
    until(answers, LONGEST_S, "the API server reaches Prometheus")
    return f"http://prometheus.{NAMESPACE}.svc:9090"


def test_slo_is_the_same_through_the_proxy_of_a_service(stage: Stage, service: str) -> None:
    """Failed requests are known, of the frontends that are scraped, and are none."""
    asked_for = ("slo", DGD_NAME, "-o", "json", "--prometheus")
    through, direct = (
        json.loads(cli(stage, *asked_for, url)) for url in (service, stage.prometheus.url)
    )
    assert [one["trouble"] for one in through["windows"]] == [None] * 4
    assert [one["failed"] for one in through["windows"]] == [0.0] * 4
    assert through == direct


def test_past_load_is_replayed_through_the_proxy_of_a_service(stage: Stage, service: str) -> None:
    asked_for = ("replay", DGD_NAME, "--from", "5m", "--against", "static", "-o", "json")
    told = json.loads(cli(stage, *asked_for, "--prometheus", service))
    assert service in told["load"]["source"]
    assert 0 < told["requests"] < 300 * 2 * 8.4
    assert 0 <= told["load"]["unknown_share"] < 1
    assert told["to_set"][0]["min"].keys() == {"prefill", "decode"}


def test_a_service_that_is_not_there_is_told(stage: Stage) -> None:
    url = f"http://no-prometheus.{NAMESPACE}.svc:9090"
    asked_for = [sys.executable, "-m", "dgdr_cli", "slo", DGD_NAME, "-n", NAMESPACE]
    done = subprocess.run(
        [*asked_for, "--prometheus", url],
        env=os.environ | {"KUBECONFIG": str(stage.cluster.kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert f'Prometheus at {url} answered 404: services "no-prometheus" not found' in said
    assert "port-forward" in said


def test_plan_needs_what_the_planner_needs(stage: Stage) -> None:
    status, told, screen = asked(stage, "plan", DGD_NAME)
    assert told["load"]["rate_per_s"] == status["forecast"]["plannedRequestsPerSecond"]
    assert told["load"]["source"] == "forecast"
    for role, (whole, exact) in needed(status).items():
        assert told["roles"][role]["needed_exact"] == pytest.approx(exact, rel=0.01)
        assert told["roles"][role]["needed"] == whole
    assert f"{told['gpus']} GPUs: {24 * told['gpus']} GPU-hours a day" in screen


def test_what_if_begins_with_what_is(stage: Stage) -> None:
    status, told, screen = asked(stage, "what-if", DGD_NAME, "--ttft-ms", "250")
    assert told["differences"] == ["TTFT 300 ms → 250 ms"]
    assert told["replicas"] == {one["role"]: one["replicas"] for one in status["roles"]}
    for role, (whole, _) in needed(status).items():
        assert told["now"]["roles"][role]["needed"] == whole
    before, after = (told[side]["roles"]["prefill"]["needed_exact"] for side in ("now", "then"))
    assert before < after
    shown = [float(text) for text in re.findall(r"\((\d+\.\d\d)\)", screen)]
    assert shown[:2] == pytest.approx([before, after], abs=0.0051)


def test_a_shared_budget_shows_what_it_denies(stage: Stage) -> None:
    members = [{"planner": DGD_NAME}, {"planner": "other", "priority": 10, "minGpus": 6}]
    stage.apply(
        {
            "apiVersion": "dgdr.dev/v1alpha1",
            "kind": "GPUBudget",
            "metadata": {"name": "team", "namespace": NAMESPACE},
            "spec": {"gpus": 14, "members": members},
        },
        sla_planner(interval="5s", behavior=QUICK, budget={"ref": "team"}),
    )
    stage.until("it holds its share", lambda: 2 * sum(stage.replicas()) == 8, LONGEST_S)
    stage.until("it says so", lambda: stage.condition("BudgetFeasible") == ("True", "WithinBudget"))
    budget = stage.get("gpubudget", "team")["status"]
    status, told, screen = asked(stage, "explain", DGD_NAME)
    mine, other = told["budget"]["portions"]
    wanted = sum(2 * one["desiredReplicas"] for one in status["roles"])
    assert (mine["planner"], mine["share"], mine["held"]) == (
        DGD_NAME,
        8,
        budget["holdings"][0]["reservedGpus"],
    )
    assert (mine["wanted"], mine["denied"]) == (wanted, wanted - 8)
    assert (other["planner"], other["share"], other["wanted"]) == ("other", 6, None)
    assert "Shared budget team: 14 GPUs" in screen
    assert f"{wanted - 8} denied" in screen
    _, compared, screen = asked(stage, "what-if", DGD_NAME, "--budget-gpus", "40")
    assert compared["now"]["gpus"] == 8
    assert compared["then"]["gpus"] == wanted
    assert "budget team (14 GPUs, shared) → 40 GPUs" in screen
