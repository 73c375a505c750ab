from collections.abc import Mapping as MappingOf
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_api.points import PointKind, Source
from dgdr_profiler.core.candidate import Candidate, EngineFacts
from dgdr_profiler.core.cells import Cell, call_of, decode_cell, decode_osl, prefill_cell
from dgdr_profiler.core.demand import (
    MAX_CONCURRENCY,
    SHORTEST_ISL,
    Demand,
    curve_isls,
    decode_isl,
    most_in_flight,
)
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.evidence import Evidence
from dgdr_profiler.core.grid import decode_cells, levels
from dgdr_profiler.core.ladder import Ladder, crossing, estimate, judging_cells, ladder
from dgdr_profiler.core.patience import patient_call
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.core.targets import Workload
from support.profiling import FACTS, TP1, demand, evidence_of, point


def over(ranks: int) -> Candidate:
    """A pair whose engines have so many attention ranks."""
    return Candidate.of(Shape.pair(Mapping.data_expert(ranks)))


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


def spoiled(factors: MappingOf[Cell, float], *again: Cell) -> Evidence:
    """Measure the first rungs, and some of them again, while something else slows them down."""
    cells = (*judging_cells(demand(), evidence_of()), *again)
    points = [point(TP1, c) for c in cells]
    slow = [
        p.model_copy(update={"itl_ms": p.itl_ms and factors.get(c, 1.0) * p.itl_ms})
        for p, c in zip(points, cells, strict=True)
    ]
    return evidence_of(TP1, *slow)


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
        pytest.param({}, {"osl": 4096}, 10, id="a whole answer, and not the short one measured"),
        pytest.param(
            {"max_kv_tokens": 10**8, "max_batch": None}, {}, MAX_CONCURRENCY, id="the load tool"
        ),
    ],
)
def test_in_flight_is_bounded_by(
    facts: dict[str, int], workload: dict[str, float], most: int
) -> None:
    load = replace(Workload(isl=2048, osl=96), **workload)
    assert most_in_flight(replace(FACTS, **facts), load) == most


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


REASONING = demand(isl=500, osl=8000, itl=60, prefill_points=6)


def test_decode_is_judged_at_the_mean_context_of_the_requests_by_longer_prompts() -> None:
    assert decode_isl(REASONING.workload) == 500 + (8000 - 128) // 2
    prefill, *decode = judging_cells(REASONING, evidence_of())
    assert prefill == prefill_cell(500)
    assert {(c.isl, c.osl) for c in decode} == {(4436, 128)}


@given(isl=st.integers(1, 10**6), osl=st.integers(1, 10**5))
def test_a_measured_context_is_that_of_the_request(isl: int, osl: int) -> None:
    measured = decode_isl(Workload(isl=isl, osl=osl)) + decode_osl(osl) / 2
    shortest = min(isl, SHORTEST_ISL) + decode_osl(osl) / 2
    assert measured == pytest.approx(max(isl + osl / 2, shortest), abs=0.5)
    assert measured >= isl + osl / 2


@given(isl=st.integers(64, 30000), osl=st.integers(32, 30000), spare=st.integers(0, 3000))
def test_a_measured_request_fits_where_the_workloads_fit(isl: int, osl: int, spare: int) -> None:
    load = Workload(isl=isl, osl=osl)
    facts = replace(FACTS, context_length=isl + osl + spare, max_kv_tokens=10**6)
    assert most_in_flight(facts, load) >= 1
    assert decode_isl(load) + decode_osl(osl) <= isl + osl


def test_the_decode_grid_covers_what_a_request_passes_through() -> None:
    contexts = sorted({c.isl + c.osl / 2 for c in decode_cells(REASONING, judged(REASONING))})
    assert contexts[0] <= 500
    assert 500 + 8000 / 2 in contexts
    assert contexts[-1] == 500 + 8000


def test_a_call_with_longer_prompts_for_decode_is_still_one_call() -> None:
    call = call_of(judging_cells(REASONING, evidence_of()))
    assert [phase.load.name for phase in call.phases()] == [
        "warm",
        "p500",
        "d4436c1",
        "f4436",
        "d4436c2",
        "d4436c7",
    ]


@given(
    ranks=st.sampled_from([1, 2, 8]),
    points=st.sampled_from([1, 2, 6]),
    isl=st.integers(1, 8000),
    osl=st.integers(1, 8000),
    kv_tokens=st.integers(1, 10**6),
    batch=st.none() | st.integers(1, 512),
    load=st.none() | st.floats(0.5, 500),
)
def test_concurrencies_fill_every_rank_alike_and_never_more_than_it_holds(
    ranks: int,
    points: int,
    isl: int,
    osl: int,
    kv_tokens: int,
    batch: int | None,
    load: float | None,
) -> None:
    wanted = demand(isl=isl, osl=osl, concurrency=load, decode_points=points)
    facts = replace(FACTS, max_kv_tokens=kv_tokens, max_batch=batch and batch * ranks)
    known = evidence_of(over(ranks), facts=facts)
    try:
        cells = (*judging_cells(wanted, known), *decode_cells(wanted, known))
    except CandidateFailed:
        return
    decode = [c for c in cells if c.kind is PointKind.DECODE]
    assert decode
    for cell in decode:
        assert cell.concurrency % ranks == 0
        assert 1 <= cell.concurrency <= kv_tokens // (cell.isl + cell.osl)
        assert batch is None or cell.concurrency <= batch * ranks
    judging = [c.concurrency for c in decode if c.isl == decode_isl(wanted.workload)]
    assert max(judging) <= kv_tokens // (isl + osl)


def test_ranks_get_a_burst_of_prompts_and_the_warmth_for_all_of_them() -> None:
    known = evidence_of(over(8), facts=replace(FACTS, max_kv_tokens=10**6))
    warm, burst, *rest = patient_call(judging_cells(demand(), known), known).phases()
    assert (warm.load.concurrency, warm.load.requests) == (8, 16)
    assert (burst.load.concurrency, burst.load.requests) == (32, 32)
    assert len(set(burst.prompts)) == 32
    assert all(len(phase.prompts) % 8 == 0 for phase in rest)


@given(ranks=st.sampled_from([1, 2, 3, 8]), each=st.lists(st.integers(1, 40), min_size=1))
def test_a_prompt_that_is_sent_again_meets_the_rank_that_knows_it(
    ranks: int, each: list[int]
) -> None:
    cells = [prefill_cell(64, ranks), *(decode_cell(64, 96, ranks * n) for n in each)]
    phases = call_of(cells, ranks).phases()
    sent = [ref for phase in phases for ref in phase.prompts]
    met = {(ref.number, place % ranks) for place, ref in enumerate(sent)}
    assert len(met) == len({ref.number for ref in sent})


def test_a_rung_that_is_slower_than_larger_batches_is_measured_again_before_the_others() -> None:
    wanted = demand(itl=30)
    known = spoiled({decode_cell(2048, 96, 1): 1.8})
    assert ladder(wanted, known) == Ladder(
        rungs=tuple(decode_cell(2048, 96, n) for n in (1, 8, 30)),
        again=(decode_cell(2048, 96, 1, repeat=1),),
    )
    assert judging_cells(wanted, known)[-1] == decode_cell(2048, 96, 1, repeat=1)


def test_two_rungs_that_contradict_only_each_other_are_both_measured_again() -> None:
    known = spoiled({decode_cell(2048, 96, 8): 1.6})
    assert [(c.concurrency, c.repeat) for c in ladder(demand(itl=30), known).again] == [
        (8, 1),
        (30, 1),
    ]


def test_what_was_measured_again_counts_and_the_doubt_is_over() -> None:
    wanted, again = demand(itl=30), decode_cell(2048, 96, 1, repeat=1)
    known = spoiled({decode_cell(2048, 96, 1): 1.8}, again)
    assert ladder(wanted, known).again == ()
    assert known.get(decode_cell(2048, 96, 1)) == known.get(again) == point(TP1, again)
    assert crossing(wanted, known) is None
    assert decode_cells(wanted, known) == decode_cells(wanted, judged(wanted))


def test_three_measurements_have_a_median_and_end_the_doubt() -> None:
    tries = [decode_cell(2048, 96, 1, repeat=n) for n in range(3)]
    known = spoiled({tries[0]: 2.0, tries[1]: 1.8, tries[2]: 1.9}, *tries[1:])
    found = known.get(tries[0])
    assert found is not None
    assert found.itl_ms == pytest.approx(1.9 * (point(TP1, tries[0]).itl_ms or 0.0))
    assert ladder(demand(itl=30), known).again == ()


def test_an_engine_that_really_is_slower_alone_keeps_its_grid() -> None:
    wanted, tries = demand(itl=30), [decode_cell(2048, 96, 1, repeat=n) for n in range(3)]
    known = spoiled(dict.fromkeys(tries, 1.8), *tries[1:])
    assert ladder(wanted, known).again == ()
    assert crossing(wanted, known) is None
    assert decode_cells(wanted, known) == decode_cells(wanted, judged(wanted))


def test_a_few_percent_are_no_contradiction() -> None:
    assert ladder(demand(itl=30), spoiled({decode_cell(2048, 96, 1): 1.2})).again == ()


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
