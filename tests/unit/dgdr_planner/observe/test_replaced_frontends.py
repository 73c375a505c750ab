"""The load of a deployment is the same while its frontends are replaced, added and taken away."""

from typing import Any

import pytest

from dgdr_planner.observe.glance import glance
from dgdr_planner.observe.load import measure
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.snapshot import graph_key, read
from dgdr_planner.observe.value import number
from support.planning import DYNAMO_NAMESPACE, MODEL, NAMESPACE, frontend

GRAPH = graph_key(NAMESPACE, DYNAMO_NAMESPACE)
NOW_S = 1000.0
WINDOW_S = 60.0
SCRAPE_S = 5.0
BEGUN_S = NOW_S - WINDOW_S

Entries = list[dict[str, Any]]


def pod(
    name: str,
    rate_per_s: float,
    *,
    phase_s: float = 0.0,
    since_s: float = 0.0,
    until_s: float = NOW_S,
    begun_s: float = BEGUN_S,
) -> Entries:
    """A frontend that serves from ``since_s`` to ``until_s``; one of time 0 served before."""
    times_s = [begun_s + phase_s + SCRAPE_S * one for one in range(12)]
    return frontend(
        [time for time in times_s if since_s <= time <= min(until_s, NOW_S)],
        rate_per_s=rate_per_s,
        since_s=since_s,
        served_before=0.0,
        pod=name,
    )


def seen(entries: Entries, frontends: int) -> LoadSeen:
    snapshot = read(entries, at_s=NOW_S, window_s=WINDOW_S)
    return measure(snapshot, GRAPH, WINDOW_S, MODEL, frontends)


def looked(entries: Entries, frontends: int) -> float:
    found = glance(read(entries, at_s=NOW_S, window_s=15.0), GRAPH, NOW_S, MODEL, frontends)
    assert found is not None
    return found.rate_per_s


ages = pytest.mark.parametrize("age_s", range(5, 60, 5))


@ages
def test_a_frontend_that_takes_anothers_place_serves_the_same_load(age_s: int) -> None:
    changed_s = NOW_S - age_s
    old = pod("old", 10.0, phase_s=3.0, until_s=changed_s)
    load = seen([*old, *pod("new", 10.0, phase_s=4.5, since_s=changed_s)], frontends=1)
    assert number(load.rate_per_s) == pytest.approx(10.0)
    assert number(load.completed_per_s) == pytest.approx(10.0)


@ages
def test_one_of_three_frontends_is_replaced(age_s: int) -> None:
    changed_s = NOW_S - age_s
    stay = pod("a", 10.0, phase_s=3.0) + pod("b", 10.0, phase_s=1.0)
    old = pod("old", 10.0, phase_s=3.0, until_s=changed_s)
    new = pod("new", 10.0, phase_s=4.5, since_s=changed_s)
    load = seen([*stay, *old, *new], frontends=3)
    assert number(load.rate_per_s) == pytest.approx(30.0, rel=0.05)


@pytest.mark.parametrize("age_s", range(10, 60, 5))
def test_a_gap_in_which_no_frontend_was_there_is_left_out(age_s: int) -> None:
    changed_s = NOW_S - age_s
    old = pod("old", 10.0, until_s=changed_s - 15.0)
    load = seen([*old, *pod("new", 10.0, phase_s=2.5, since_s=changed_s)], frontends=1)
    assert number(load.rate_per_s) == pytest.approx(10.0)


@ages
def test_frontends_that_share_the_load_of_one_are_not_more_load(age_s: int) -> None:
    changed_s = NOW_S - age_s

    def started(at_s: float) -> float:
        return 30.0 * min(at_s, changed_s) + 10.0 * max(at_s - changed_s, 0.0)

    times_s = [BEGUN_S + 3.0 + SCRAPE_S * one for one in range(12)]
    first = frontend(times_s, in_flight=started, pod="first")
    added = pod("b", 10.0, phase_s=4.5, since_s=changed_s) + pod("c", 10.0, since_s=changed_s)
    load = seen([*first, *added], frontends=3)
    assert number(load.rate_per_s) == pytest.approx(30.0, rel=0.05)


@pytest.mark.parametrize("age_s", [15, 25, 40])
def test_a_frontend_that_served_unseen_counts_with_its_own_time(age_s: int) -> None:
    unseen = pod("unseen", 10.0)
    for entry in unseen:
        entry["values"] = [one for one in entry["values"] if one[0] > NOW_S - age_s]
    load = seen([*pod("a", 10.0, phase_s=3.0), *unseen], frontends=2)
    assert number(load.rate_per_s) == pytest.approx(20.0)


@pytest.mark.parametrize("age_s", [25, 40, 55])
def test_a_lone_new_frontend_counts_with_its_own_time(age_s: int) -> None:
    load = seen(pod("new", 10.0, since_s=NOW_S - age_s), frontends=1)
    assert number(load.rate_per_s) == pytest.approx(10.0)


def test_first_requests_at_several_frontends_count() -> None:
    """Their counters are born with them, after they have been scraped for long."""
    since_s = NOW_S - 20.0
    load = seen(
        [
            one | {"values": [value for value in one["values"] if value[0] > since_s]}
            if one["metric"].get("status")
            else one
            for name, phase_s in (("a", 0.0), ("b", 2.5))
            for one in frontend(
                [BEGUN_S + phase_s + SCRAPE_S * one for one in range(12)],
                rate_per_s=10.0,
                since_s=since_s,
                served_before=0.0,
                pod=name,
            )
        ],
        frontends=2,
    )
    # 15 s and 17.5 s of 10/s, of the 57.5 s in which one of both was scraped.
    assert number(load.rate_per_s) == pytest.approx(20.0 * 16.25 / 55.0, rel=0.05)


def test_when_pods_are_scraped_changes_nothing() -> None:
    pods = [one for index in range(5) for one in pod(f"p{index}", 6.0, phase_s=1.1 * index)]
    assert number(seen(pods, frontends=5).rate_per_s) == pytest.approx(30.0)


@pytest.mark.parametrize("age_s", range(2, 20, 2))
def test_a_look_does_not_take_a_replaced_frontend_for_a_rise(age_s: int) -> None:
    """The new one is there before the old one goes."""
    begun_s, gone_s = NOW_S - 15.0, NOW_S - age_s
    old = pod("old", 10.0, phase_s=0.5, until_s=gone_s, begun_s=begun_s)
    new = frontend(
        [begun_s + 2.5 + SCRAPE_S * one for one in range(3)],
        rate_per_s=10.0,
        since_s=gone_s,
        served_before=0.0,
        pod="new",
    )
    stay = pod("a", 10.0, begun_s=begun_s) + pod("b", 10.0, phase_s=4.0, begun_s=begun_s)
    assert 25.0 < looked([*stay, *old, *new], frontends=3) < 33.0


def test_a_look_at_pods_that_are_scraped_at_other_moments_sees_all_of_their_load() -> None:
    begun_s = NOW_S - 15.0
    pods = [
        one
        for index in range(5)
        for one in pod(f"p{index}", 6.0, phase_s=1.1 * index, begun_s=begun_s)
    ]
    assert looked(pods, frontends=5) == pytest.approx(30.0)


# -- scrapes that are late or missing


def scraped(
    name: str, first_s: float, scrapes: int, *, begun_s: float, scrape_s: float = SCRAPE_S
) -> Entries:
    """A frontend of 10 requests/s, by its scrapes."""
    times_s = [begun_s + first_s + scrape_s * one for one in range(scrapes)]
    return frontend(times_s, rate_per_s=10.0, served_before=0.0, pod=name)


@pytest.mark.parametrize("others", [1, 3])
def test_a_look_that_lacks_one_scrape_of_a_frontend_sees_all_of_its_load(others: int) -> None:
    begun_s = NOW_S - 15.0
    pods = scraped("late", 0.0, 2, begun_s=begun_s)
    for index in range(others):
        pods += scraped(f"p{index}", 4.0, 3, begun_s=begun_s)
    assert looked(pods, frontends=1 + others) == pytest.approx(10.0 * (1 + others))


@pytest.mark.parametrize(
    ("scrape_s", "scrapes", "missed"), [(5.0, 12, 1), (5.0, 12, 2), (15.0, 4, 1), (15.0, 4, 2)]
)
def test_scrapes_that_one_of_two_frontends_lacks_are_no_less_load(
    scrape_s: float, scrapes: int, missed: int
) -> None:
    late = scraped("late", 0.0, scrapes - missed, begun_s=BEGUN_S, scrape_s=scrape_s)
    other = scraped("other", scrape_s - 1.0, scrapes, begun_s=BEGUN_S, scrape_s=scrape_s)
    load = seen([*late, *other], frontends=2)
    assert number(load.rate_per_s) == pytest.approx(20.0)
    assert number(load.completed_per_s) == pytest.approx(20.0)


def test_a_frontend_whose_place_another_has_taken_unscraped_goes_on() -> None:
    """Two are ready, and only the samples of one that has just gone stand for the new one."""
    gone_s = NOW_S - 10.0
    load = seen(pod("a", 10.0, phase_s=4.0) + pod("old", 10.0, until_s=gone_s), frontends=2)
    assert number(load.rate_per_s) == pytest.approx(20.0)
