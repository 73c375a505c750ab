"""Which troubles become Events at once, and which only when they last."""

from datetime import timedelta

import pytest

from dgdr_api.conditions import condition, with_condition
from dgdr_api.models.sla_planner_status import Observed, SLAPlannerStatus
from dgdr_kube.manifests import ref
from dgdr_planner.tell.events import events_after
from support.planning import at, sla_planner

ABOUT = ref(sla_planner())
INTERVAL_S = 60.0


class Told:
    """A planner's MetricsAvailable over time, and the Events about it; each pass is written."""

    def __init__(self) -> None:
        self.status = SLAPlannerStatus()
        self.events: list[tuple[float, str]] = []

    def saw(self, seconds: float, reason: str) -> None:
        now = at(seconds)
        fresh = condition("MetricsAvailable", reason == "FreshSamples", reason, reason, now)
        conditions = with_condition(self.status.conditions, fresh, now)
        new = SLAPlannerStatus(observed=Observed(time=now), conditions=conditions)
        for event in events_after(ABOUT, self.status, new, INTERVAL_S):
            self.events.append((seconds, event.reason))
        self.status = new


@pytest.mark.parametrize("reason", ["NoSeries", "NoModel", "TooFewSamples", "FrontendsNotScraped"])
def test_what_is_usual_at_first_is_told_once_when_it_lasts(reason: str) -> None:
    told = Told()
    for seconds in range(0, 1200, 60):
        told.saw(seconds, reason)
    assert told.events == [(180, reason)]


def test_a_first_minute_of_scrapes_is_no_warning() -> None:
    told = Told()
    for seconds, reason in ((0, "NoSeries"), (60, "TooFewSamples"), (120, "FreshSamples")):
        told.saw(seconds, reason)
    assert told.events == [(120, "MetricsAvailable")]


def test_another_reason_after_the_wait_is_told_at_once() -> None:
    told = Told()
    for seconds in (0, 60, 120, 180):
        told.saw(seconds, "NoSeries")
    told.saw(240, "TooFewSamples")
    assert told.events == [(180, "NoSeries"), (240, "TooFewSamples")]


def test_any_other_trouble_is_told_at_once_and_its_aftermath_not() -> None:
    told = Told()
    told.saw(0, "FreshSamples")
    told.saw(60, "PrometheusUnreachable")
    told.saw(120, "TooFewSamples")
    told.saw(180, "FreshSamples")
    assert told.events == [(60, "PrometheusUnreachable"), (180, "MetricsAvailable")]


def test_passes_between_full_seconds_tell_it_once() -> None:
    """A status that was read back has lost the fractions of its times."""
    told = Told()
    for number in range(8):
        told.saw(0.4 + number * 60.0, "NoSeries")
        told.status = SLAPlannerStatus.model_validate(told.status.to_json())
    assert [reason for _, reason in told.events] == ["NoSeries"]


def test_a_planner_that_was_away_tells_it_when_it_is_back() -> None:
    told = Told()
    told.saw(0, "NoSeries")
    told.saw(timedelta(hours=2).total_seconds(), "NoSeries")
    assert told.events == [(7200, "NoSeries")]
