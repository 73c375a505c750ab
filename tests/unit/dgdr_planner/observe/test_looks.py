"""A look counts what came in the last seconds, never too much, and says nothing where in doubt."""

from dataclasses import replace

import pytest

from dgdr_planner.observe.glance import glance
from dgdr_planner.observe.looks import Look, kept, lately, look_s, looks_help
from dgdr_planner.observe.snapshot import NoSnapshot, graph_key, read
from support.planning import DYNAMO_NAMESPACE, NAMESPACE, frontend

GRAPH = graph_key(NAMESPACE, DYNAMO_NAMESPACE)
SCRAPES = (988.0, 993.0, 998.0)


def seen(entries: list[dict[str, object]], frontends: int | None = 1) -> Look | None:
    snapshot = read(entries, at_s=1000.0, window_s=15.0)
    return glance(snapshot, GRAPH, at_s=5000.0, frontends=frontends)


def look(at_s: float) -> Look:
    return Look(at_s=at_s, window_s=15.0, rate_per_s=1.0)


def test_a_look_counts_between_its_own_scrapes() -> None:
    found = seen(frontend(SCRAPES, rate_per_s=9.0, in_flight=lambda _: 7.0))
    assert found is not None
    assert (found.at_s, found.window_s, found.rate_per_s) == (5000.0, 10.0, pytest.approx(9.0))
    assert found.in_flight == 7.0
    assert found.queued is None  # this frontend does not say


def test_requests_that_are_still_inside_came_too() -> None:
    found = seen(frontend(SCRAPES, in_flight=lambda at_s: 20.0 * (at_s - 988.0)))
    assert found is not None
    assert found.rate_per_s == pytest.approx(20.0)


def test_a_frontend_that_is_new_does_not_read_as_more_load() -> None:
    old = frontend(SCRAPES, rate_per_s=10.0, pod="old")
    new = frontend(SCRAPES[1:], rate_per_s=10.0, pod="new", since_s=993.0, served_before=0.0)
    found = seen([*old, *new], frontends=2)
    assert found is not None
    assert found.rate_per_s <= 20.0


@pytest.mark.parametrize(
    ("scrapes", "frontends"),
    [
        pytest.param((), 1, id="no series"),
        pytest.param((960.0, 965.0), 1, id="old samples"),
        pytest.param((998.0,), 1, id="one sample"),
        pytest.param(SCRAPES, 2, id="a frontend that is not scraped"),
    ],
)
def test_in_doubt_a_look_says_nothing(scrapes: tuple[float, ...], frontends: int) -> None:
    assert seen(frontend(scrapes, rate_per_s=9.0) if scrapes else [], frontends) is None


def test_without_samples_a_look_says_nothing() -> None:
    assert glance(NoSnapshot("PrometheusUnreachable", "away"), GRAPH, at_s=0.0) is None


def test_a_look_that_failed_ends_what_was_seen_before() -> None:
    assert kept((look(0), look(15)), look(30)) == (look(0), look(15), look(30))
    assert kept((look(0), look(15)), None) == ()
    assert len(kept(tuple(look(at_s) for at_s in range(50)), look(50))) == 8


def test_only_looks_that_lead_up_to_now_count() -> None:
    assert lately((look(0), look(45), look(60)), 62.0) == (look(45), look(60))
    assert lately((look(0), look(15)), 100.0) == ()


def test_looks_at_slow_scrapes_are_as_far_apart_as_they_see() -> None:
    assert (look_s(5.0), look_s(10.0)) == (15.0, 30.0)
    slow = tuple(replace(look(at_s), span_s=30.0) for at_s in (0, 30, 60))
    assert lately(slow, 62.0) == slow
    assert lately(slow, 120.0) == ()


def test_looks_as_far_apart_as_they_see_count_no_request_twice() -> None:
    """A burst of 60 requests between two scrapes, 10 s apart: one look sees it."""

    def burst(at_s: float) -> float:
        return 60.0 if at_s > 985.0 else 0.0

    def found(at_s: float) -> Look | None:
        scrapes = [float(one) for one in range(int(at_s) - 28, int(at_s), 10)]
        entries = frontend(scrapes, in_flight=burst)
        snapshot = read(entries, at_s=at_s, window_s=look_s(10.0))
        return glance(snapshot, GRAPH, at_s=at_s, frontends=1)

    first, later = found(1000.0), found(1000.0 + look_s(10.0))
    assert first is not None
    assert later is not None
    assert (first.span_s, first.window_s) == (30.0, 20.0)
    assert first.rate_per_s > 0.0
    assert later.rate_per_s == 0.0


def test_looks_help_where_they_come_twice_between_ticks() -> None:
    assert looks_help(60.0, 15.0)
    assert not looks_help(60.0, 45.0)  # scraped every 15 s
    assert not looks_help(20.0, 15.0)
