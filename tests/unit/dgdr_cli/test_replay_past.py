"""Past hours of a planner's target, from what Prometheus answers to a rehearsal's questions."""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from dgdr_cli.app import app
from dgdr_cli.errors import CliError
from dgdr_cli.planner.case import CaseError
from dgdr_cli.planner.past import MOST_MOMENTS, Span, lengths_query, load_query, past
from dgdr_cli.prometheus import Prometheus
from support.planner_status import FakeSource, found, planner

END_S = 1_767_268_800.0
HOUR_S = 3600.0
SPAN = Span.of(END_S, HOUR_S, 60.0)
Result = list[dict[str, Any]]


def series(step_s: float, values: list[float | None], **labels: str) -> dict[str, Any]:
    """Values whose last is of the end; None is a moment without one."""
    begin_s = END_S - step_s * (len(values) - 1)
    told = [[begin_s + step_s * n, str(one)] for n, one in enumerate(values) if one is not None]
    return {"metric": labels, "values": told}


def rates(*values: float | None) -> Result:
    return [series(60.0, list(values), of="rate")]


def lengths(**buckets: tuple[float, float]) -> Result:
    """Half of each length up to a bound, half up to another, in each quarter of an hour."""
    told = []
    for of, (low, high) in buckets.items():
        for bound, count in ((low, 50.0), (high, 100.0), (float("inf"), 100.0)):
            le = "+Inf" if bound == float("inf") else f"{bound:g}"
            told.append(series(900.0, [count] * 4, of=of, le=le))
    return told


LENGTHS = lengths(isl=(1024, 2048), osl=(64, 128))


def test_requests_come_at_the_rates_of_their_minutes() -> None:
    seen = past(rates(*[2.0] * 30, *[10.0] * 30), LENGTHS, SPAN, seed=1)
    assert seen.duration_s == HOUR_S
    early = int((seen.requests.arrival_s < 1800).sum())
    assert early == pytest.approx(3600, rel=0.06)
    assert len(seen.requests) - early == pytest.approx(18_000, rel=0.03)
    assert seen.unknown == 0


def test_minutes_of_which_nobody_knows_are_told_and_hold_no_request() -> None:
    seen = past(rates(*[5.0] * 20, *[None] * 15, *[5.0] * 25), LENGTHS, SPAN, seed=1)
    at_s = seen.requests.arrival_s
    assert seen.unknown == 0.25
    assert not ((at_s > 1200) & (at_s < 2100)).any()
    assert (at_s > 2100).any()


def test_lengths_are_spread_as_the_buckets_say() -> None:
    requests = past(rates(*[10.0] * 60), LENGTHS, SPAN, seed=1).requests
    assert np.quantile(requests.isl, [0.5, 1.0]) == pytest.approx([1024, 2048], rel=0.05)
    assert (requests.osl <= 64).mean() == pytest.approx(0.5, abs=0.02)
    assert requests.isl.std() > 300


def test_the_mean_of_lengths_is_that_of_their_sum() -> None:
    told = [*LENGTHS, series(900.0, [1500.0] * 4, of="isl")]
    requests = past(rates(*[10.0] * 60), told, SPAN, seed=1).requests
    assert requests.isl.mean() == pytest.approx(1500, rel=0.02)


@pytest.mark.parametrize("hours", [0.1, 1, 24, 24 * 30])
def test_prometheus_is_asked_for_no_more_moments_than_it_answers(hours: float) -> None:
    span = Span.of(END_S, HOUR_S * hours, 15.0)
    assert span.step_s >= 60
    for step_s in (span.step_s, span.lengths_s):
        moments = round((span.end_s - span.begin_s(step_s)) / step_s) + 1
        assert 1 <= moments <= MOST_MOMENTS
        assert moments * step_s <= max(span.span_s, step_s) + 1e-6


@pytest.mark.parametrize(
    ("told", "spread", "said"),
    [
        ([], LENGTHS, "remembers no request of this planner's target"),
        (rates(*[0.0] * 60), LENGTHS, "remembers no request of this planner's target"),
        (rates(*[1.0] * 60), lengths(isl=(8, 16)), "remembers no OSL of this planner's target"),
    ],
)
def test_no_load_is_no_rehearsal(told: Result, spread: Result, said: str) -> None:
    with pytest.raises(CaseError, match=said):
        past(told, spread, SPAN, seed=1)


@dataclass
class WithPast(FakeSource):
    """A cluster whose Prometheus remembers the last three minutes, and lengths."""

    asked_for: list[dict[str, str]] = field(default_factory=list)

    def prometheus(self, url: str | None) -> Prometheus:
        return Prometheus(url or "http://prometheus:9090", self.get)

    def get(self, path: str, params: Any) -> tuple[int, Any]:
        assert path == "api/v1/query_range"
        self.asked_for.append(dict(params))
        end_s, step_s = float(params["end"]), float(params["step"])
        told = LENGTHS if "_bucket" in params["query"] else rates(4.0, 4.0, 4.0)
        last_s = max(float(one["values"][-1][0]) for one in told)
        shift_s = end_s - last_s
        moved = [
            one | {"values": [[float(at_s) + shift_s, text] for at_s, text in one["values"][-3:]]}
            for one in told
        ]
        assert step_s in (60.0, 900.0)
        return 200, {"data": {"result": moved}}


def test_a_planner_of_the_cluster_is_replayed_under_its_own_load() -> None:
    source = WithPast(found(interval="60s"))
    typed = ["replay", "slap/q-dgd", "--from", "5m", "--against", "static", "-o", "json"]
    ran = CliRunner().invoke(app, typed, obj=source)
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert told["planner"] == "demo/q-dgd"
    assert told["duration_s"] == 300
    assert told["load"]["unknown_share"] == pytest.approx(0.4)
    assert told["requests"] == pytest.approx(720, rel=0.15)
    # Measured there, and so are the GPUs of its replicas.
    assert {one["start_up_s"] for one in told["runs"]} == {82}
    assert told["to_set"][0]["budget_gpus"] % 2 == 0
    assert [one["step"] for one in source.asked_for] == ["60", "900"]


def test_a_question_is_about_the_frontends_of_the_target() -> None:
    for query in (load_query(planner(), SPAN), lengths_query(planner(), SPAN)):
        assert 'namespace="demo",dynamo_namespace=~"demo' in query


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["replay"], "--trace is missing: give the NAME of a planner, or --spec, --profile and"),
        (["replay", "q-dgd", "--from", "1s"], "--from is 1s: give at least 5m"),
        (["replay", "q-dgd", "--from", "soon"], "--from: "),
    ],
)
def test_what_is_missing_is_one_line(typed: list[str], said: str) -> None:
    ran = CliRunner().invoke(app, typed, obj=WithPast(found()))
    assert isinstance(ran.exception, CliError), ran.output
    assert said in str(ran.exception)
    assert "\n" not in str(ran.exception)
