from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_api.points import PointKind
from dgdr_profiler.core.candidate import EngineFacts
from dgdr_profiler.core.cells import Cell, calls, decode_cell, prefill_cell
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.evidence import Evidence
from dgdr_profiler.core.plan import (
    MAX_CONCURRENCY,
    Demand,
    crossing,
    curve_isls,
    decode_cells,
    levels,
    most_in_flight,
    selection_cells,
)
from dgdr_profiler.core.targets import Workload
from support.profiling import FACTS, TP1, demand, evidence_of, point


def judged(wanted: Demand, facts: EngineFacts = FACTS) -> Evidence:
    """Measure what judges a candidate until nothing new is asked for."""
    known = evidence_of(facts=facts)
    while missing := known.missing(selection_cells(wanted, known)):
        done = [*known.points.values(), *(point(TP1, cell, facts) for cell in missing)]
        known = evidence_of(TP1, *done, facts=facts)
    return known


def concurrencies(cells: tuple[Cell, ...]) -> list[int]:
    return [c.concurrency for c in cells if c.kind is PointKind.DECODE]


@pytest.mark.parametrize(
    ("top", "count", "expected"),
    [
        (30, 3, (1, 5, 30)),
        (256, 3, (1, 16, 256)),
        (2, 3, (1, 2)),
        (1, 3, (1,)),
        (0, 3, (1,)),
        (9, 1, (9,)),
        (10, 4, (1, 2, 5, 10)),
    ],
)
def test_levels_are_spaced_by_ratio(top: int, count: int, expected: tuple[int, ...]) -> None:
    assert levels(top, count) == expected


@given(top=st.integers(0, 3000), count=st.integers(1, 12))
def test_levels_stay_within_what_the_engine_holds(top: int, count: int) -> None:
    found = levels(top, count)
    assert found
    assert all(1 <= n <= max(1, top) for n in found)


@pytest.mark.parametrize(
    ("facts", "workload", "most"),
    [
        pytest.param({}, {}, 30, id="KV cache"),
        pytest.param({"max_batch": 8}, {}, 8, id="the engine's own limit"),
        pytest.param({}, {"concurrency": 3.5}, 4, id="no more than the whole load"),
        pytest.param(
            {"max_kv_tokens": 10**8, "max_batch": None}, {}, MAX_CONCURRENCY, id="the load tool"
        ),
    ],
)
def test_in_flight_is_bounded_by(
    facts: dict[str, int], workload: dict[str, float], most: int
) -> None:
    load = replace(Workload(isl=2048, osl=96), **workload)
    assert most_in_flight(replace(FACTS, **facts), load, 2048) == most


def test_the_first_look_is_prefill_and_a_ladder_of_batches() -> None:
    assert selection_cells(demand(), evidence_of()) == (
        prefill_cell(2048),
        *(decode_cell(2048, 96, n) for n in (1, 8, 30)),
    )


def test_a_ladder_within_the_target_needs_no_closer_look() -> None:
    wanted = demand(itl=40)
    assert concurrencies(selection_cells(wanted, judged(wanted))) == [1, 8, 30]
    assert crossing(wanted, judged(wanted)) is None


def test_a_ladder_that_crosses_the_target_is_measured_near_the_crossing() -> None:
    wanted = demand(itl=24)
    *_, edge = selection_cells(wanted, judged(wanted))
    found = point(TP1, edge)
    assert found.itl_ms is not None
    assert 0.95 * 24 <= found.itl_ms <= 24


def test_a_ladder_beyond_the_target_is_not_searched_for_an_edge() -> None:
    wanted = demand(itl=5)
    assert concurrencies(selection_cells(wanted, judged(wanted))) == [1, 8, 30]
    assert crossing(wanted, judged(wanted)) == 1


def test_a_ladder_that_holds_to_its_top_grows_until_the_target_or_the_engines_limit() -> None:
    roomy = replace(FACTS, max_kv_tokens=1_000_000)
    wanted = demand(itl=60)
    # 60 ms are reached at 115 in flight; the ladder starts with 64.
    found = concurrencies(selection_cells(wanted, judged(wanted, roomy)))
    assert found[:3] == [1, 16, 64]
    assert found[3] == pytest.approx(0.95 * 119, abs=3)
    endless = demand(itl=10_000)
    assert max(concurrencies(selection_cells(endless, judged(endless, roomy)))) == 256


def test_a_ladder_does_not_grow_where_the_prefill_engine_no_longer_feeds_it() -> None:
    roomy = replace(FACTS, max_kv_tokens=1_000_000)
    wanted = demand(itl=60)
    first = selection_cells(wanted, evidence_of(facts=roomy))
    hungry = [
        p.model_copy(update={"effective_concurrency": 0.5 * p.concurrency})
        for p in (point(TP1, cell, roomy) for cell in first)
    ]
    assert selection_cells(wanted, evidence_of(TP1, *hungry, facts=roomy)) == first


def test_a_target_for_the_whole_answer_leaves_the_rest_to_the_tokens() -> None:
    # 199 ms to the first of 96 tokens: 24 ms for each other one.
    wanted = demand(ttft=None, itl=None, e2e=199 + 95 * 24)
    *_, edge = selection_cells(wanted, judged(wanted))
    assert edge.concurrency == pytest.approx(16, abs=1)


def test_prompt_lengths_surround_the_workloads() -> None:
    assert curve_isls(demand(prefill_points=4), FACTS) == (256, 738, 2048, 6144)


def test_prompt_lengths_leave_room_for_template_and_answer() -> None:
    facts = replace(FACTS, context_length=4096)
    assert max(curve_isls(demand(), facts)) == 4096 - 512 - 96


@given(
    isl=st.integers(1, 30000),
    points=st.integers(4, 64),
    context=st.integers(700, 65536),
)
def test_prompt_lengths_are_as_many_as_asked_for_and_hold_the_workloads(
    isl: int, points: int, context: int
) -> None:
    found = curve_isls(
        demand(isl=isl, prefill_points=points), replace(FACTS, context_length=context)
    )
    assert isl in found
    assert len(found) <= points + 1
    assert list(found) == sorted(set(found))


def test_the_decode_grid_has_its_points_over_three_contexts() -> None:
    wanted = demand(itl=24)
    cells = decode_cells(wanted, judged(wanted))
    assert len(cells) >= 9
    assert {c.isl for c in cells} == {256, 2048, 6144}


def test_an_engine_that_holds_one_request_at_a_time_still_gets_a_grid() -> None:
    wanted = demand()
    known = replace(judged(wanted), facts=replace(FACTS, max_batch=1))
    assert len(decode_cells(wanted, known)) >= 4


def test_an_engine_without_room_for_a_curve_is_given_up_before_it_is_measured() -> None:
    with pytest.raises(CandidateFailed, match="no room for 4 prompt lengths around 64"):
        selection_cells(demand(isl=64), evidence_of(facts=replace(FACTS, context_length=640)))


def test_every_line_of_the_grid_reaches_just_beyond_the_target() -> None:
    wanted = demand(itl=24)
    for isl in (2048, 6144):
        line = [c for c in decode_cells(wanted, judged(wanted)) if c.isl == isl]
        slowest = point(TP1, max(line, key=lambda c: c.concurrency))
        assert slowest.itl_ms is not None
        assert slowest.itl_ms >= 24 * 0.97


def test_the_plan_does_not_change_while_it_is_carried_out() -> None:
    wanted = demand()
    known = judged(wanted)
    before = decode_cells(wanted, known)
    more = [point(TP1, c) for c in known.missing(before)]
    assert decode_cells(wanted, evidence_of(TP1, *known.points.values(), *more)) == before


def test_cells_of_one_prompt_length_share_a_call() -> None:
    cells = [prefill_cell(2048), decode_cell(2048, 96, 30), decode_cell(2048, 96, 1)]
    (call,) = calls(cells)
    assert [p.name for p in call.phases()] == ["alone", "fill", "c30"]
    assert call.dataset_entries == 30


def test_every_prompt_was_sent_once_before_the_largest_batch() -> None:
    (call,) = calls([prefill_cell(64)] + [decode_cell(64, 96, n) for n in (1, 8, 30)])
    *before, last = call.phases()
    assert sum(p.requests or 0 for p in before) >= call.dataset_entries
    assert last.name == "c30"


def test_a_prefill_point_alone_is_a_short_call() -> None:
    (call,) = calls([prefill_cell(512)])
    assert (call.osl, [p.name for p in call.phases()]) == (8, ["alone"])
    assert call.dataset_entries >= (call.phases()[0].requests or 0)


def test_prompt_lengths_have_a_call_each() -> None:
    assert [c.isl for c in calls([prefill_cell(512), prefill_cell(64)])] == [64, 512]
