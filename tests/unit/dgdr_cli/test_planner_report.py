"""A planner's page: what Prometheus remembers is drawn, and nothing else is needed to read it."""

import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from dgdr_api.models.sla_planner_status import DecisionRecord
from dgdr_cli.app import app
from dgdr_cli.errors import CliError
from dgdr_cli.planner.course import MOST_MOMENTS, course, moves, query, step_s
from dgdr_cli.planner.course_plot import course_svg
from dgdr_cli.planner.explained import explained
from dgdr_cli.planner.report_page import Told, report_page
from dgdr_cli.prometheus import Prometheus
from support.planner_status import STATUS, FakeSource, found, planner
from support.planning import at

STEP_S = 60.0
END_S = at(12 * 3600).timestamp()
START_S = END_S - 3600


def series(value: float, **labels: str) -> dict[str, Any]:
    """One value, of which nobody knows for ten minutes in the middle."""
    moments = [START_S + STEP_S * n for n in range(61) if not 25 <= n < 35]
    return {"metric": labels, "values": [[moment, str(value)] for moment in moments]}


def stepped(role: str, state: str, before: int, after: int, at_s: float) -> dict[str, Any]:
    values = [
        [START_S + STEP_S * n, str(before if START_S + STEP_S * n < at_s else after)]
        for n in range(61)
    ]
    return {"metric": {"role": role, "state": state}, "values": values}


RESULT = [
    series(18.4, of="observed"),
    series(22.5, of="planned"),
    # The decision of 11:57 is scraped a minute later; nobody decided the one of 11:20.
    stepped("prefill", "wanted", 5, 6, at(11 * 3600 + 58 * 60).timestamp()),
    stepped("decode", "wanted", 2, 4, at(11 * 3600 + 20 * 60).timestamp()),
    series(5, role="prefill", state="ready"),
    series(0.97, target="ttft"),
]


def page(result: list[dict[str, Any]], status: dict[str, Any] | None = None) -> str:
    one = planner(STATUS | (status or {}))
    seen = course(result, START_S, END_S, STEP_S)
    decided = [record.time for record in one.status.decisions]
    return report_page(
        Told(
            explanation=explained(one, at(12 * 3600)),
            decisions=one.status.decisions,
            seen=seen,
            svg=course_svg(seen, 0.95, decided, shadow=False) if seen.is_known else None,
            source="Prometheus at http://prometheus:9090",
            made=at(12 * 3600),
        )
    )


class Reader(HTMLParser):
    """Reads tags that are balanced; collects text and whatever would be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.fetched += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href")
        ]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in ("meta", "br"):
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_page_needs_nothing_from_elsewhere() -> None:
    reader = Reader()
    reader.feed(page(RESULT))
    assert reader.open == []
    assert "svg" in reader.tags
    assert not {"script", "link", "img", "iframe"} & reader.tags
    assert all(value.startswith("#") for value in reader.fetched)


def test_decisions_have_reasons_and_other_changes_are_told_apart() -> None:
    text = page(RESULT)
    assert text.count("prefill 5 → 6") == 1
    assert "22.5 requests/s of ISL 2048" in text
    assert "decode 2 → 4" in text
    assert text.count("none of the planner&#x27;s decisions") == 1


def test_reasons_that_are_no_longer_kept_are_said_to_be_gone() -> None:
    many = [STATUS["decisions"][0]] * 20
    assert "the status keeps no older reasons" in page(RESULT, {"decisions": many})


def test_a_time_without_series_says_so() -> None:
    text = page([], {"decisions": []})
    assert "has no series of this planner" in text
    assert "Nothing was changed in this time." in text


def test_what_others_wrote_is_text_and_no_markup() -> None:
    record = {**STATUS["decisions"][0], "message": "<script>alert(1)</script> & more"}
    assert DecisionRecord.model_validate(record)
    text = page(RESULT, {"decisions": [record]})
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in text


def test_a_gap_stays_a_gap() -> None:
    seen = course(RESULT, START_S, END_S, STEP_S)
    assert seen.load["observed"].shape == seen.at_s.shape == (61,)
    assert np.isnan(seen.load["observed"][25:35]).all()
    assert np.isfinite(seen.load["observed"]).sum() == 51


def test_changes_are_those_of_the_wanted_replicas() -> None:
    newest, oldest = moves(course(RESULT, START_S, END_S, STEP_S))
    assert (newest.changes, oldest.changes) == ({"prefill": (5, 6)}, {"decode": (2, 4)})


@pytest.mark.parametrize("hours", [1, 24, 24 * 30])
def test_a_picture_has_so_many_moments(hours: int) -> None:
    step = step_s(3600.0 * hours, 15.0)
    assert step >= 15.0
    assert math.ceil(3600 * hours / step) <= MOST_MOMENTS


def test_equal_courses_are_equal_pictures() -> None:
    seen = course(RESULT, START_S, END_S, STEP_S)
    assert course_svg(seen, 0.95, [], shadow=True) == course_svg(seen, 0.95, [], shadow=True)


def test_one_question_brings_everything() -> None:
    text = query(planner(), 60.0)
    for name in ("observed", "predicted", "planned", "dgdr_planner_replicas", "within_total"):
        assert name in text
    assert 'target_namespace="demo",planner="q-dgd"' in text


class Answers(FakeSource):
    def prometheus(self, url: str | None) -> Prometheus:
        def get(path: str, params: Any) -> tuple[int, Any]:
            assert path == "api/v1/query_range"
            start, step = float(params["start"]), float(params["step"])
            values = [[start + step * n, "3"] for n in range(20)]
            return 200, {"data": {"result": [{"metric": {"of": "observed"}, "values": values}]}}

        return Prometheus("http://prometheus:9090", get)


def test_the_command_writes_one_file(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    ran = CliRunner().invoke(
        app, ["report", "slap/q-dgd", "-o", str(file), "--last", "2h"], obj=Answers(found())
    )
    assert ran.exit_code == 0, ran.output
    assert file.read_text().startswith("<!doctype html>")
    assert "demo/q-dgd" in file.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dgdr/q", "-o", "x.html"), "dgdr/q is no SLAPlanner: give its name, as slap/q"),
        (("q", "-o", "x.html", "--last", "2d"), "--last: '2d' is not a duration"),
        (("q", "-o", "x.html", "--last", "10s"), "--last is 10s: give at least 5m"),
        (("q", "-o", "/nowhere/x.html"), "/nowhere/x.html cannot be written"),
    ],
)
def test_what_cannot_be_reported_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    ran = CliRunner().invoke(app, ["report", *arguments], obj=Answers(found()))
    assert isinstance(ran.exception, CliError)
    assert said in str(ran.exception)
