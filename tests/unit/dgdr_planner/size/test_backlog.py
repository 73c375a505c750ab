"""What queues beyond the plan asks for replicas that end it in a window: bounded, then none."""

from dataclasses import replace
from datetime import datetime

import pytest

from dgdr_api.graph import Role
from dgdr_perf.queueing import Dispatch
from dgdr_planner.forecast import Forecast
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.startup import RoleStarts, Starts
from dgdr_planner.observe.value import Unknown, Value
from dgdr_planner.size.backlog import MOST, Backlog, backlog
from dgdr_planner.size.curves import size_role
from support.planning import PROFILE, at, load, policy

NOW = at(600)
POLICY = policy(interval_s=60)
FORECAST = Forecast(rate_per_s=9.4, planned_rate_per_s=9.4, isl=2048, osl=128, horizon_s=100)


def seen(queued: float, in_flight: float | None = None, rate_per_s: float = 9.4) -> LoadSeen:
    return replace(
        load(rate_per_s),
        queued=Value(queued),
        in_flight=Value(queued + 20 if in_flight is None else in_flight),
    )


def found(
    what: LoadSeen,
    role: Role = Role.PREFILL,
    ready: int = 3,
    waiting: tuple[datetime, ...] = (),
    before: Backlog | None = None,
    dispatch: Dispatch = Dispatch.ROUND_ROBIN,
) -> Backlog | None:
    known = RoleStarts(replicas=ready + len(waiting), ready=ready, since=at(0), waiting=waiting)
    starts = Starts(roles={role: known}, took_s=(100.0,))
    here = replace(POLICY, dispatch=dispatch)
    sized = size_role(role, PROFILE, FORECAST, what, here, 1.0)
    return backlog(role, sized, PROFILE, what, FORECAST, here, starts, NOW, before)


def need(what: LoadSeen, **given: object) -> float:
    one = found(what, **given)  # type: ignore[arg-type]
    assert one is not None
    return one.need


def test_what_waits_in_time_is_no_backlog() -> None:
    assert found(seen(queued=3)) is None


def test_a_queue_that_is_gone_when_replicas_come_needs_none_of_them() -> None:
    assert need(seen(queued=40), ready=3) < 3.0


def test_a_queue_that_grows_needs_more_than_the_load() -> None:
    few, many = need(seen(queued=30), ready=2), need(seen(queued=300), ready=2)
    assert few < 2.0 < many


def test_prompts_that_are_cached_are_served_sooner() -> None:
    queued = seen(queued=30)
    cached = replace(queued, cached_share=Value(0.5))
    assert need(cached, ready=2) < 0.7 * need(queued, ready=2)


def test_replicas_that_start_count_from_when_they_serve() -> None:
    late = need(seen(queued=100), ready=2, waiting=(at(599),))
    soon = need(seen(queued=100), ready=2, waiting=(at(510),))
    assert soon < late <= need(seen(queued=100), ready=2)


def test_a_queue_stays_at_the_replicas_where_it_began() -> None:
    begun = found(seen(queued=200), ready=1)
    assert begun is not None
    assert begun.holders == 1
    later = found(seen(queued=200), ready=3, before=begun)
    assert later is not None
    assert later.holders == 1
    assert later.need > need(seen(queued=200), ready=3)


def test_a_shared_queue_is_served_by_all() -> None:
    begun = Backlog(requests=200.0, need=3.0, holders=1)
    shared = need(seen(queued=200), ready=3, before=begun, dispatch=Dispatch.SHARED)
    assert shared < need(seen(queued=200), ready=3, before=begun)


@pytest.mark.parametrize("role", [Role.PREFILL, Role.DECODE])
def test_no_queue_makes_a_need_more_than_twice_as_large(role: Role) -> None:
    what = seen(queued=1e6, in_flight=2e6)
    sized = size_role(role, PROFILE, FORECAST, what, POLICY, 1.0)
    assert sized is not None
    assert need(what, role=role, ready=1) == pytest.approx(MOST * sized.need.grow)


def test_batches_beyond_those_in_time_need_more_decode() -> None:
    assert found(seen(queued=0, in_flight=20), role=Role.DECODE) is None
    more = found(seen(queued=0, in_flight=1000), role=Role.DECODE)
    assert more is not None
    assert more.requests > 900


@pytest.mark.parametrize("name", ["queued", "in_flight", "rate_per_s"])
def test_nobody_knows_of_a_backlog_that_is_not_counted(name: str) -> None:
    what = replace(seen(queued=1000), **{name: Unknown("NotCounted", "no")})
    assert found(what, ready=1) is None
