from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_api.points import PointKind, Source
from dgdr_profiler.core.candidate import EngineFacts
from dgdr_profiler.core.cells import Cell, call_of, decode_cell, prefill_cell
from dgdr_profiler.core.demand import MAX_CONCURRENCY, Demand, curve_isls, most_in_flight
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.evidence import Evidence
from dgdr_profiler.core.grid import decode_cells, levels
from dgdr_profiler.core.ladder import crossing, estimate, judging_cells, ladder
from dgdr_profiler.core.targets import Workload
from support.profiling import FACTS, TP1, demand, evidence_of, point


def judged(wanted: Demand, facts: EngineFacts = FACTS) -> Evidence:
    """Measure the whole ladder, each further rung included."""
    known = evidence_of(facts=facts)
    while missing := known.missing(wanted_cells(wanted, known)):
        done = [*known.points.values(), *(point(TP1, cell, facts) for cell in missing)]
        known = evidence_of(TP1, *done, facts=facts)
    return known


def wanted_cells(wanted: Demand, known: Evidence) -> tuple[Cell, ...]:
    another = ladder(wanted, known).another
    return (*judging_cells(wanted, known), *([another] if another else []))


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
    assert judging_cells(demand(), evidence_of()) == (
        prefill_cell(2048),
        *(decode_cell(2048, 96, n) for n in (1, 8, 30)),
    )


def test_a_ladder_within_the_target_needs_no_closer_look() -> None:
    wanted = demand(itl=40)
    assert concurrencies(judging_cells(wanted, judged(wanted))) == [1, 8, 30]
    assert crossing(wanted, judged(wanted)) is None


def test_a_ladder_that_crosses_the_target_is_measured_near_the_crossing() -> None:
    wanted = demand(itl=24)
    *_, edge = judging_cells(wanted, judged(wanted))
    found = point(TP1, edge)
    assert found.itl_ms is not None
    assert 0.9 * 24 <= found.itl_ms <= 24


def test_a_ladder_beyond_the_target_is_not_searched_for_an_edge() -> None:
    wanted = demand(itl=5)
    assert concurrencies(judging_cells(wanted, judged(wanted))) == [1, 8, 30]
    assert crossing(wanted, judged(wanted)) == 1


def test_a_ladder_that_holds_to_its_top_grows_until_the_target_or_the_engines_limit() -> None:
    roomy = replace(FACTS, max_kv_tokens=1_000_000)
    wanted = demand(itl=60)
    # 60 ms are reached at 115 in flight; the ladder starts with 64.
    found = concurrencies(judging_cells(wanted, judged(wanted, roomy)))
    assert found[:3] == [1, 16, 64]
    assert found[3] == pytest.approx(0.9 * 119, abs=3)
    endless = demand(itl=10_000)
    assert max(concurrencies(judging_cells(endless, judged(endless, roomy)))) == 256


def test_a_ladder_does_not_grow_where_the_prefill_engine_no_longer_feeds_it() -> None:
    roomy = replace(FACTS, max_kv_tokens=1_000_000)
    wanted = demand(itl=60)
    first = judging_cells(wanted, evidence_of(facts=roomy))
    hungry = [
        p.model_copy(update={"effective_concurrency": 0.5 * p.concurrency})
        for p in (point(TP1, cell, roomy) for cell in first)
    ]
    assert judging_cells(wanted, evidence_of(TP1, *hungry, facts=roomy)) == first


def test_a_target_for_the_whole_answer_leaves_the_rest_to_the_tokens() -> None:
    # 199 ms to the first of 96 tokens: 24 ms for each other one.
    wanted = demand(ttft=None, itl=None, e2e=199 + 95 * 24)
    *_, edge = judging_cells(wanted, judged(wanted))
    assert edge.concurrency == pytest.approx(15, abs=1)


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
        judging_cells(demand(isl=64), evidence_of(facts=replace(FACTS, context_length=640)))


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


def test_an_estimated_rung_lies_on_the_line_between_its_neighbours() -> None:
    wanted = demand(itl=24)
    first = [point(TP1, c) for c in judging_cells(wanted, evidence_of())]
    known = evidence_of(TP1, *first)
    another = ladder(wanted, known).another
    assert another is not None
    guess = estimate(wanted, known, another)
    assert guess is not None
    assert guess.source is Source.ESTIMATED
    truth = point(TP1, another)
    assert guess.itl_ms == pytest.approx(truth.itl_ms, rel=0.01)
    assert guess.output_tokens_per_s == pytest.approx(truth.output_tokens_per_s, rel=0.01)


def names(*cells: Cell) -> list[str]:
    return [phase.load.name for phase in call_of(cells).phases()]


def test_one_call_measures_all_prompt_lengths_smallest_batch_first() -> None:
    cells = [decode_cell(64, 96, n) for n in (30, 1)]
    assert names(prefill_cell(512), prefill_cell(64), *cells) == [
        "warm",
        "p64",
        "d64c1",
        "f64",
        "d64c30",
        "p512",
    ]


def test_prefill_meets_prompts_that_nothing_has_sent() -> None:
    warm, first, *_ = call_of([prefill_cell(64), decode_cell(64, 96, 4)]).phases()
    assert warm.load.warmup
    assert first.load.name == "p64"
    assert len(set(first.prompts)) == len(first.prompts) == 15
    assert not {p.number for p in warm.prompts} & {p.number for p in first.prompts}


@pytest.mark.parametrize(("isl", "requests"), [(64, 15), (2048, 15), (4096, 8), (32_000, 5)])
def test_more_prompts_are_sent_where_each_is_soon_answered(isl: int, requests: int) -> None:
    *_, only = call_of([prefill_cell(isl)]).phases()
    assert only.load.requests == len(set(only.prompts)) == requests


@pytest.mark.parametrize("prefill", [True, False])
def test_batches_only_meet_prompts_that_were_sent_before(prefill: bool) -> None:
    cells = [decode_cell(64, 96, n) for n in (1, 8, 64)]
    phases = call_of([*cells, *([prefill_cell(64)] if prefill else [])]).phases()
    seen: list[int] = []
    for phase in phases:
        if phase.load.name in ("d64c8", "d64c64"):
            assert {ref.number for ref in phase.prompts} <= set(seen)
        seen += [ref.number for ref in phase.prompts]


def test_no_prompt_is_filled_in_that_was_sent_already() -> None:
    phases = call_of([prefill_cell(64), decode_cell(64, 96, 1), decode_cell(64, 96, 30)]).phases()
    fill = next(p for p in phases if p.load.name == "f64")
    assert [ref.number for ref in fill.prompts] == list(range(15, 30))


@given(n=st.integers(1, 300))
def test_no_prompt_is_twice_in_flight(n: int) -> None:
    (*_, last) = call_of([decode_cell(64, 96, n)]).phases()
    numbers = [ref.number for ref in last.prompts]
    assert all(len(set(numbers[i : i + n])) == n for i in range(len(numbers) - n + 1))
    assert last.load.requests == len(numbers) >= 2 * n


def test_answers_are_short_where_only_the_first_token_counts() -> None:
    phases = call_of([prefill_cell(64), decode_cell(64, 96, 30)]).phases()
    assert {p.load.name: p.prompts[0].osl for p in phases} == {
        "warm": 4,
        "p64": 4,
        "f64": 2,
        "d64c30": 96,
    }
