"""What a candidate does about a Lease, from what it has seen and when."""

from datetime import UTC, datetime
from typing import Any

from dgdr_kube.lease import Claim, Seen, Timing, Wait, claimed, next_move, released, seen_after
from dgdr_kube.ports import Manifest

TIMING = Timing()
ME, OTHER = "me_1", "other_1"


def found(holder: str, version: int = 1, **spec: Any) -> Manifest:
    record = {"holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 4, **spec}
    return {"metadata": {"name": "l", "resourceVersion": str(version)}, "spec": record}


def looks(*told: tuple[float, Manifest | None]) -> Seen:
    seen = None
    for now_s, manifest in told:
        seen = seen_after(seen, manifest, now_s, TIMING)
    assert seen is not None
    return seen


def test_a_lease_that_is_not_there_is_created() -> None:
    assert next_move(looks((0, None)), 0, ME, TIMING) == Claim("", 0)


def test_a_lease_of_another_is_left_to_him() -> None:
    assert next_move(looks((0, found(OTHER))), 0, ME, TIMING) == Wait(TIMING.look_s)


def test_the_last_look_is_when_the_lease_runs_out() -> None:
    assert next_move(looks((0, found(OTHER))), 14.75, ME, TIMING) == Wait(0.25)


def test_a_lease_that_was_seen_unchanged_for_its_duration_is_taken() -> None:
    seen = looks(*((float(s), found(OTHER, 7)) for s in range(16)))
    assert next_move(seen, 15, ME, TIMING) == Claim("7", 5)


def test_a_renewal_begins_its_duration_anew() -> None:
    seen = looks((0, found(OTHER, 7)), (5, found(OTHER, 8, renewTime="later")))
    assert next_move(seen, 19.5, ME, TIMING) == Wait(0.5)


def test_a_label_is_no_renewal() -> None:
    seen = looks(*((float(s), found(OTHER, 7 + s)) for s in range(16)))
    assert next_move(seen, 15, ME, TIMING) == Claim("22", 5)


def test_what_another_clock_says_counts_for_nothing() -> None:
    for year in ("1970", "2999"):
        seen = looks((0, found(OTHER, renewTime=f"{year}-01-01T00:00:00.000000Z")))
        assert next_move(seen, 14, ME, TIMING) == Wait(1)


def test_a_holder_has_the_duration_that_he_asked_for() -> None:
    seen = looks((0, found(OTHER, leaseDurationSeconds=60)))
    assert next_move(seen, 30, ME, TIMING) == Wait(TIMING.look_s)


def test_a_lease_that_was_given_up_is_taken_at_once() -> None:
    seen = looks((0, found(OTHER)), (1, found("", 9) | {"spec": {**released()}}))
    assert next_move(seen, 1, ME, TIMING) == Claim("9", 1)


def test_what_is_mine_is_renewed_whenever() -> None:
    assert next_move(looks((0, found(ME, 3))), 500, ME, TIMING) == Claim("3", 4, renews=True)


def test_who_held_a_lease_that_is_gone_has_his_time() -> None:
    seen = looks((0, found(OTHER)), (5, None))
    assert next_move(seen, 14, ME, TIMING) == Wait(1)
    assert next_move(seen, 15, ME, TIMING) == Claim("", 5)


def test_after_a_long_time_without_sight_the_holder_comes_first() -> None:
    seen = looks((0, found(OTHER)), (100, found(OTHER)))
    assert next_move(seen, 100, ME, TIMING) == Wait(1)
    assert next_move(seen, 104, ME, TIMING) == Claim("1", 5)


def test_a_look_that_failed_now_and_then_delays_nothing() -> None:
    seen = looks((0, found(OTHER)), (8, found(OTHER)), (15, found(OTHER)))
    assert next_move(seen, 15, ME, TIMING) == Claim("1", 5)


def test_a_renewal_keeps_since_when_it_is_held() -> None:
    now = datetime(2025, 1, 1, tzinfo=UTC)
    first = claimed(Claim("", 0), ME, now, TIMING)
    assert first["acquireTime"] == first["renewTime"] == "2025-01-01T00:00:00.000000Z"
    assert "acquireTime" not in claimed(Claim("1", 0, renews=True), ME, now, TIMING)


def test_nobody_writes_any_more_before_another_may() -> None:
    assert TIMING.retry_s + TIMING.try_s < TIMING.renew_s < TIMING.lease_s
