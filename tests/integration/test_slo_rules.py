"""The questions of ``slo`` to a real Prometheus, on a week of series whose values are known.

A page may date its samples, so one scrape brings all of them.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from dgdr_cli.planner.slo import STEP_S, WINDOWS_S, kept, query
from support.live_metrics import LivePrometheus, prometheus, served, until
from support.planner_status import planner

pytestmark = pytest.mark.integration

PLANNER = planner(sla={"ttftMs": 300, "itlMs": 25, "percentile": "p95"})
OWN = 'target_namespace="demo",dynamo_namespace="demo-q-dgd",planner="q-dgd"'
GRAPH = 'namespace="demo",dynamo_namespace="demo_q_dgd",pod="f",model="m"'
# In each five minutes 300 requests: 15 late, 5 failed, and 5 that no server could have served.
PER_STEP = {
    f'dgdr_planner_sla_requests_total{{{OWN},target="ttft"}}': 300,
    f'dgdr_planner_sla_requests_total{{{OWN},target="itl"}}': 300,
    f'dgdr_planner_sla_requests_within_total{{{OWN},target="ttft"}}': 285,
    f'dgdr_planner_sla_requests_within_total{{{OWN},target="itl"}}': 300,
    f'dynamo_frontend_requests_total{{{GRAPH},status="success",error_type=""}}': 290,
    f'dynamo_frontend_requests_total{{{GRAPH},status="error",error_type="internal"}}': 5,
    f'dynamo_frontend_requests_total{{{GRAPH},status="error",error_type="validation"}}': 5,
}
# What the rules make of them; that they do is a test of the rules.
RECORDED = {
    f'dgdr_planner:sla_requests:increase5m{{{OWN},target="ttft"}}': 300,
    f'dgdr_planner:sla_requests:increase5m{{{OWN},target="itl"}}': 300,
    f'dgdr_planner:sla_requests_within:increase5m{{{OWN},target="ttft"}}': 285,
    f'dgdr_planner:sla_requests_within:increase5m{{{OWN},target="itl"}}': 300,
    'dgdr_planner:failed_requests:increase5m{namespace="demo",dynamo_namespace="demo_q_dgd"}': 5,
}
STEPS = WINDOWS_S["7 d"] // STEP_S


@dataclass
class Week:
    """A page with the samples of a week, the last of them at ``end_s``."""

    end_s: int

    def page(self) -> str:
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        # In the order of time: Prometheus takes nothing much older than what it has.
        for step in range(STEPS + 1):
            at_ms = 1000 * (self.end_s - STEP_S * (STEPS - step))
            yield f"dgdr_planner_sla_objective_ratio{{{OWN}}} 0.95 {at_ms}"
            for series, each in PER_STEP.items():
                yield f"{series} {each * step} {at_ms}"
            for series, each in RECORDED.items():
                yield f"{series} {each} {at_ms}"


@pytest.fixture(scope="module")
def end_s() -> int:
    return int(time.time()) // STEP_S * STEP_S - STEP_S


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, end_s: int) -> Iterator[LivePrometheus]:
    with (
        served(Week(end_s)) as address,
        prometheus(tmp_path_factory.mktemp("slo"), {address: {}}, 30.0) as running,
    ):
        asked = {"query": "dgdr_planner_sla_objective_ratio", "time": str(end_s)}
        until(lambda: bool(running.ask("query", **asked)["result"]), 120, "the week is there")
        yield running


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("window", ["1 h", "1 d", "7 d"])
def test_a_window_counts_what_was_in_it(
    server: LivePrometheus, end_s: int, window: str, recorded: bool
) -> None:
    seconds = WINDOWS_S[window]
    asked = query(PLANNER, seconds, recorded=recorded)
    told = kept(window, PLANNER, server.ask("query", query=asked, time=str(end_s))["result"])
    assert told.requests == pytest.approx(seconds, rel=0.01)
    assert told.failed == pytest.approx(seconds / 60, rel=0.01)
    assert told.known_s == pytest.approx(seconds, rel=0.01)
    assert told.ttft is not None
    assert told.itl is not None
    # Of 300 requests 15 may be late: 15 were, and 5 failed.
    assert told.ttft.within == pytest.approx(280 / 300, rel=0.001)
    assert told.ttft.left == pytest.approx(1 - 20 / 15, rel=0.02)
    assert told.itl.left == pytest.approx(1 - 5 / 15, rel=0.02)


def test_a_month_of_which_a_week_is_known_says_so(server: LivePrometheus, end_s: int) -> None:
    asked = query(PLANNER, WINDOWS_S["30 d"], recorded=True)
    told = kept("30 d", PLANNER, server.ask("query", query=asked, time=str(end_s))["result"])
    assert told.known_s == pytest.approx(WINDOWS_S["7 d"], rel=0.01)
