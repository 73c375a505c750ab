"""What an SLO says of a planner: counts, budgets, and where they come from."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from typer.testing import CliRunner

from dgdr_cli.app import app
from dgdr_cli.cluster import KubeSource
from dgdr_cli.errors import CliError
from dgdr_cli.found import Source
from dgdr_cli.planner.slo import FAILED, kept, query
from dgdr_cli.prometheus import Prometheus, PrometheusError, service_path
from support.cluster import ROOT
from support.planner_status import FakeSource, found, planner

SLA = {"ttftMs": 300, "itlMs": 25, "percentile": "p95"}


def row(of: str, value: float, **labels: str) -> dict[str, Any]:
    return {"metric": {"of": of, **labels}, "value": [0, str(value)]}


def rows(
    requests: float = 1000.0,
    ttft: float = 980.0,
    itl: float = 1000.0,
    failed: float | None = 10.0,
    seconds: float = 3600.0,
) -> list[dict[str, Any]]:
    told = [
        row("requests", requests, target="ttft"),
        row("requests", requests, target="itl"),
        row("within", ttft, target="ttft"),
        row("within", itl, target="itl"),
        row("seconds", seconds),
    ]
    return told if failed is None else [*told, row("failed", failed)]


@dataclass
class Asked:
    """A Prometheus that answers every window the same."""

    answer: list[dict[str, Any]]
    recorded: bool = True
    queries: list[str] = field(default_factory=list)

    def get(self, path: str, params: Any) -> tuple[int, Any]:
        assert path == "api/v1/query"
        self.queries.append(params["query"])
        if params["query"].startswith("count("):
            return 200, {"data": {"result": [row("", 1.0)] if self.recorded else []}}
        return 200, {"data": {"result": self.answer}}


@dataclass
class WithPrometheus(FakeSource):
    asked_of: list[str | None] = field(default_factory=list)
    server: Asked | None = None

    def prometheus(self, url: str | None) -> Prometheus:
        self.asked_of.append(url)
        assert self.server is not None
        return Prometheus("http://prometheus:9090", self.server.get)


def slo(server: Asked, *arguments: str, columns: str = "80") -> tuple[str, WithPrometheus]:
    source = WithPrometheus(planner=found(sla=SLA), server=server)
    ran = CliRunner().invoke(
        app, ["slo", "q-dgd", *arguments], obj=source, env={"COLUMNS": columns}
    )
    assert ran.exit_code == 0, ran.output
    return ran.output, source


def test_late_and_failed_requests_take_from_the_budget() -> None:
    told = kept("1 h", planner(sla=SLA), rows())
    assert told.ttft is not None
    assert told.itl is not None
    # 20 late and 10 failed of the 50 that may be; 10 failed.
    assert (told.ttft.within, told.ttft.left) == (pytest.approx(0.97), pytest.approx(0.4))
    assert (told.itl.within, told.itl.left) == (pytest.approx(0.99), pytest.approx(0.8))


def test_more_than_the_budget_is_below_nothing() -> None:
    told = kept("1 h", planner(sla=SLA), rows(ttft=900.0, failed=0.0))
    assert told.ttft is not None
    assert told.ttft.left == pytest.approx(-1.0)


@pytest.mark.parametrize("answer", [[], rows(requests=0.0, ttft=0.0, itl=0.0)])
def test_no_request_is_no_attainment(answer: list[dict[str, Any]]) -> None:
    told = kept("1 h", planner(sla=SLA), answer)
    assert (told.ttft, told.itl) == (None, None)


def test_a_screen_fits_into_80_columns_and_says_what_is_left() -> None:
    text, source = slo(Asked(rows()))
    assert max(map(len, text.splitlines())) <= 80
    lines = [line.split() for line in text.splitlines()]
    assert ["1", "h", "1,000", "10", "97.00", "%", "40", "%", "99.00", "%", "80", "%"] in lines
    assert "Prometheus knows 60 min of 1 d, 60 min of 7 d" in " ".join(text.split())
    assert "counters" not in text
    assert source.asked_of == [None]


def test_without_rules_the_counters_are_read_and_that_is_said() -> None:
    server = Asked(rows(), recorded=False)
    text, source = slo(server, "--prometheus", "http://localhost:9090")
    assert "the recording rules of the chart" in " ".join(text.split())
    assert all("increase5m" not in asked for asked in server.queries[1:])
    assert source.asked_of == ["http://localhost:9090"]


def test_nobody_who_counts_failures_is_not_no_failure() -> None:
    text, _ = slo(Asked(rows(failed=None)))
    assert "Nobody counts failed requests" in text
    assert "unknown" in text


def test_a_window_that_cannot_be_read_leaves_the_others() -> None:
    class Sparing(Asked):
        def get(self, path: str, params: Any) -> tuple[int, Any]:
            if "2592000s" in params["query"]:
                return 422, {"error": "query processing would load too many samples"}
            return super().get(path, params)

    told = json.loads(slo(Sparing(rows()), "-o", "json")[0])
    assert [one["trouble"] is None for one in told["windows"]] == [True, True, True, False]
    assert "too many samples" in told["windows"][3]["trouble"]


def test_failures_are_counted_alike_with_and_without_rules() -> None:
    rules = (ROOT / "helm/dgdr-operator/monitoring/rules.yaml").read_text()
    assert f"{{{FAILED}}}" in rules
    assert f"{FAILED}}}" in query(planner(), 3600, recorded=False)


def test_names_are_escaped() -> None:
    one = planner()
    odd = one.metadata.model_copy(update={"name": 'a"} or up{x="'})
    asked = query(one.model_copy(update={"metadata": odd}), 3600, recorded=True)
    assert r'planner="a\"} or up{x=\""' in asked


@pytest.mark.parametrize(
    ("url", "path"),
    [
        (
            "http://prometheus.monitoring.svc:9090",
            "/api/v1/namespaces/monitoring/services/http:prometheus:9090/proxy",
        ),
        (
            "https://p.m.svc.cluster.local/prom/",
            "/api/v1/namespaces/m/services/https:p:443/proxy/prom",
        ),
        ("http://localhost:9090", None),
        ("https://metrics.example.com/prom", None),
    ],
)
def test_a_service_is_reached_through_the_api_server(url: str, path: str | None) -> None:
    assert service_path(url) == path


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (401, None, "answered 401, it wants other credentials; give --prometheus"),
        (503, {"message": "no endpoints available"}, "answered 503: no endpoints available"),
        (200, {"data": {}}, "answered something that is no query result"),
        (200, None, "answered something that is no query result"),
    ],
)
def test_a_prometheus_that_does_not_answer_says_what_helps(
    status: int, answer: Any, said: str
) -> None:
    server = Prometheus("http://prometheus:9090", lambda path, params: (status, answer))
    with pytest.raises(PrometheusError) as caught:
        server.query("up")
    assert isinstance(caught.value, CliError)
    assert said in str(caught.value)
    assert "port-forward" in str(caught.value)


def test_the_cluster_is_a_source() -> None:
    source: type[Source] = KubeSource
    assert source
