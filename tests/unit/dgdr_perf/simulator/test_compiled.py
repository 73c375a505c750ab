"""The compiled simulator against the plain one: the same, to the last bit."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgdr_api.graph import Role
from dgdr_perf.queueing import Dispatch
from dgdr_perf.simulator.arrivals import Requests, RequestsError
from dgdr_perf.simulator.engine import Engine
from dgdr_perf.simulator.options import Failure, Options
from dgdr_perf.simulator.outcome import Outcome, Settled, Tally
from dgdr_perf.simulator.run import simulate, simulate_chunks
from dgdr_perf.simulator.tick import Tick
from support import oracle
from support.simulated import h200

MODES = (
    (Role.PREFILL, Role.DECODE),
    (Role.WORKER,),
    (Role.PREFILL,),
    (Role.DECODE,),
)
PER_REQUEST = ("ttft_ms", "itl_ms", "finish_s", "failed", "alone_ttft_ms", "alone_itl_ms")
TIMELINE = ("at_s", "ready", "pending", "terminating")
DURATION_S = 90.0


@st.composite
def engines(draw: st.DrawFn) -> Engine:
    """Engines that are soon full: by batch, by KV cache, or by neither."""
    return (
        h200(
            max_batch=draw(st.sampled_from([1, 3, 70, 1024])),
            ranks=draw(st.sampled_from([1, 1, 3])),
        )
        if draw(st.booleans())
        else replace(h200(), max_kv_tokens=20_000.0)
    )


@st.composite
def requests(draw: st.DrawFn) -> Requests:
    """Bursts and lulls, some requests at the very same time, lengths with a long tail."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 400))
    times = np.cumsum(rng.gamma(draw(st.sampled_from([0.1, 1.0])), 1.0, count))
    times *= 0.9 * DURATION_S / times[-1]
    if draw(st.booleans()):
        times = np.floor(times)
    isl = np.ceil(rng.lognormal(7.0, 1.0, count))
    return Requests.of(times, np.minimum(isl, 30_000), np.ceil(rng.lognormal(4.0, 1.5, count)))


@st.composite
def worlds(draw: st.DrawFn) -> Options:
    return Options(
        duration_s=DURATION_S,
        interval_s=draw(st.sampled_from([5.0, 15.0])),
        start_up_s=draw(st.sampled_from([0.0, 7.0, 40.0])),
        drain_s=draw(st.sampled_from([float("inf"), 2.0])),
        dispatch=draw(st.sampled_from(Dispatch)),
        decode_dispatch=draw(st.sampled_from(Dispatch)),
        transfer_fixed_ms=draw(st.sampled_from([0.0, 20.0])),
        transfer_ms_per_token=draw(st.sampled_from([0.0, 0.01])),
    )


def planned(seed: int, seen: list[Any]) -> Any:
    """A plan that does anything, to no less than no replica at all."""
    rng = np.random.default_rng(seed)

    def plan(tick: Tick) -> Mapping[Role, int]:
        facts = {
            "started": list(tick.started),
            "first_tokens": list(tick.first_tokens),
            "completed": list(tick.completed),
            "failed": sorted(tick.failed),
            "in_flight": tick.in_flight,
            "roles": dict(tick.roles),
            "first_token_s": tick.records.of("first_token_s", tick.completed).tolist(),
            "isl": tick.records.of("isl", tick.first_tokens).tolist(),
        }
        seen.append(facts)
        return {role: int(rng.integers(0, 6)) for role in sorted(tick.roles) if rng.random() < 0.7}

    return plan


def same(one: Outcome, other: Outcome) -> None:
    for name in PER_REQUEST:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for role, timeline in one.timelines.items():
        for name in TIMELINE:
            theirs = getattr(other.timelines[role], name)
            np.testing.assert_array_equal(getattr(timeline, name), theirs, err_msg=name)
    assert one.actions == other.actions
    # Only their sum is made in another order.
    assert one.replica_s == pytest.approx(other.replica_s, rel=1e-12)


@settings(max_examples=300, deadline=None)
@given(
    engine=engines(),
    given_requests=requests(),
    options=worlds(),
    roles=st.sampled_from(MODES),
    replicas=st.integers(0, 3),
    failures=st.lists(st.floats(0.0, DURATION_S), max_size=2),
    seed=st.integers(0, 1000),
)
def test_every_request_and_replica_fares_as_in_the_plain_one(
    engine: Engine,
    given_requests: Requests,
    options: Options,
    roles: tuple[Role, ...],
    replicas: int,
    failures: list[float],
    seed: int,
) -> None:
    dying = tuple(Failure(at_s=at_s, role=roles[-1]) for at_s in failures)
    options = replace(options, failures=dying)
    outcomes, seen = [], []
    for run in (simulate, oracle.simulate):
        ticks: list[Any] = []
        outcomes.append(
            run(
                engine,
                given_requests,
                dict.fromkeys(roles, replicas),
                rng=np.random.default_rng(seed),
                plan=planned(seed, ticks),
                options=options,
            )
        )
        seen.append(ticks)
    assert seen[0] == seen[1]
    same(*outcomes)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_size_of_chunks_changes_nothing(size: int) -> None:
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.exponential(0.05, 1000))
    every = Requests.of(times, np.ceil(rng.lognormal(8, 1, 1000)), 100)
    initial = {Role.PREFILL: 2, Role.DECODE: 1}
    options = Options(duration_s=60.0, interval_s=5.0, start_up_s=10.0)
    whole_seen: list[Any] = []
    parts_seen: list[Any] = []
    whole = simulate(h200(), every, initial, rng=rng, plan=planned(1, whole_seen), options=options)
    parts: list[Settled] = []
    course = simulate_chunks(
        h200(),
        every.chunks(size),
        initial,
        parts.append,
        rng=rng,
        plan=planned(1, parts_seen),
        options=options,
    )
    assert parts_seen == whole_seen
    assert course.replica_s == whole.replica_s
    for name in PER_REQUEST:
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(joined, getattr(whole, name))


def test_what_has_settled_is_handed_over_while_the_run_goes_on() -> None:
    times = np.arange(0.0, 1000.0, 0.1)
    every = Requests.of(times, 100, 10)
    sizes: list[int] = []
    simulate_chunks(
        h200(),
        every.chunks(500),
        {Role.PREFILL: 1, Role.DECODE: 1},
        lambda settled: sizes.append(len(settled.requests)),
        rng=np.random.default_rng(1),
        options=Options(duration_s=1000.0),
    )
    assert sum(sizes) == len(every)
    assert max(sizes) <= 600


def test_a_tally_counts_what_an_outcome_holds() -> None:
    rng = np.random.default_rng(2)
    every = Requests.of(np.cumsum(rng.exponential(0.1, 3000)), rng.integers(1, 20_000, 3000), 50)
    outcome = simulate(h200(), every, {Role.PREFILL: 3, Role.DECODE: 1}, rng=rng)
    tally = Tally(ttft_ms=250.0, itl_ms=5.3)
    tally(outcome)
    possible = ~outcome.hopeless(250.0, 5.3)
    assert 0 < tally.within < tally.ttft_within < tally.possible == possible.sum() < 3000
    assert tally.share(tally.within) == outcome.within(250.0, 5.3)[possible].mean()


def test_chunks_out_of_order_are_refused() -> None:
    late, early = Requests.of([5.0], 10, 2), Requests.of([4.0], 10, 2)
    with pytest.raises(RequestsError, match=r"begins at 4\.0 s, before 5\.0 s"):
        simulate_chunks(
            h200(),
            iter([late, early]),
            {Role.DECODE: 1},
            lambda settled: None,
            rng=np.random.default_rng(1),
            options=Options(duration_s=10.0),
        )
