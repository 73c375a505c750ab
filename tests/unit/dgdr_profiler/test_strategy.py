from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgdr_api.points import PointKind, Source
from dgdr_profiler.core.actions import (
    Deploy,
    Fail,
    Finish,
    Measure,
    Plan,
    Reject,
    Retire,
    RunState,
    Stage,
)
from dgdr_profiler.core.cells import Cell, decode_cell
from dgdr_profiler.core.evidence import MOST_REPEATS
from dgdr_profiler.core.strategy import curve_points, next_action, selection
from support.profiler_steps import run, selected, step
from support.profiling import (
    FACTS,
    TP1,
    TP2,
    TP4,
    Machine,
    demand,
    plan,
    point,
)


def test_every_candidate_is_deployed_once_and_the_winner_not_again() -> None:
    actions = run(Machine(plan()))
    deployed = [a.candidate for a in actions if isinstance(a, Deploy)]
    assert deployed == [TP1, TP2, TP4]


def test_nothing_is_left_deployed_at_the_end() -> None:
    machine = Machine(plan())
    run(machine)
    assert machine.state.deployed == {}


def test_the_winner_gets_both_curves_and_the_others_only_what_judges_them() -> None:
    machine = Machine(plan())
    chosen = selected(run(machine))
    assert chosen.prefill.candidate == TP1
    by = {c.id: [cell for name, cell in machine.measured if name == c.id] for c in (TP1, TP2, TP4)}
    prefill = [c for c in by[TP1.id] if c.kind is PointKind.PREFILL]
    assert len(prefill) >= 4
    loser = next(c for c in (TP2, TP4) if c != chosen.decode.candidate)
    assert len(by[loser.id]) <= 5


def test_no_cell_is_measured_twice() -> None:
    machine = Machine(plan())
    run(machine)
    assert len(machine.measured) == len(set(machine.measured))


@pytest.mark.parametrize("gpus", [8, 10, 12, 16, None])
def test_the_gpu_budget_is_never_exceeded(gpus: int | None) -> None:
    machine = Machine(plan(gpus_at_once=gpus))
    selected(run(machine))
    assert gpus is None or machine.most_gpus <= gpus


def test_a_tight_budget_costs_a_second_deployment_of_the_winner_not_the_run() -> None:
    actions = run(Machine(plan(gpus_at_once=8)))
    deployed = [a.candidate for a in actions if isinstance(a, Deploy)]
    assert deployed.count(TP4) == 1
    assert selected(actions).prefill.candidate == TP1


@settings(max_examples=30)
@given(dies_after=st.lists(st.integers(min_value=0, max_value=12), max_size=6))
def test_a_pod_that_dies_at_any_time_measures_nothing_twice(dies_after: list[int]) -> None:
    machine = Machine(plan())
    for steps in dies_after:
        for _ in range(steps):
            action = next_action(machine.plan, machine.state)
            if isinstance(action, Finish):
                break
            step(machine, action)
        machine.die()
    undisturbed = Machine(plan())
    assert selected(run(machine)) == selected(run(undisturbed))
    assert len(machine.measured) == len(set(machine.measured))
    assert set(machine.measured) == set(undisturbed.measured)


def test_a_run_that_was_finished_before_needs_no_deployment() -> None:
    machine = Machine(plan())
    run(machine)
    machine.die()
    assert isinstance(next_action(machine.plan, machine.state), Finish)


def test_another_image_is_another_engine_and_is_measured_again() -> None:
    machine = Machine(plan(TP1))
    run(machine)
    before = len(machine.measured)
    machine.die()
    machine.facts = replace(FACTS, image_digest="sha256:newer")
    machine.deploy(TP1)
    run(machine)
    assert len(machine.measured) == 2 * before


def test_a_candidate_that_cannot_be_measured_is_given_up_and_the_rest_goes_on() -> None:
    actions = run(Machine(plan()), broken=lambda c, _: c == TP2)
    rejected = [a for a in actions if isinstance(a, Reject)]
    assert [a.candidate for a in rejected] == [TP2]
    assert "failed 2 times: requests were lost" in rejected[0].reason
    assert selected(actions).prefill.candidate == TP1


def test_nothing_measured_is_a_failure_with_every_reason() -> None:
    actions = run(Machine(plan()), broken=lambda *_: True)
    last = actions[-1]
    assert isinstance(last, Fail)
    assert all(label in last.reason for label in ("TP=1", "TP=2", "TP=4"))


def test_a_curve_does_without_a_prompt_length_that_keeps_failing() -> None:
    machine = Machine(plan(TP1))
    actions = run(machine, broken=lambda _, call: 6144 in call.isls)
    tried = [a.call.isls for a in actions if isinstance(a, Measure) and 6144 in a.call.isls]
    assert tried == [(256, 738, 6144), (6144,)]
    selected(actions)
    assert {c.isl for _, c in machine.measured} == {256, 738, 2048}


def test_after_the_deadline_nothing_is_started_but_what_was_judged_counts() -> None:
    machine = Machine(plan(deadline_s=60))
    while not any(p.candidate == TP1.id for p in machine.state.points):
        step(machine, next_action(machine.plan, machine.state))
    machine.state = replace(machine.state, elapsed_s=61)
    actions = run(machine)
    assert [a.candidate for a in actions if isinstance(a, Reject)] == [TP2, TP4]
    assert selected(actions).decode.candidate == TP1


def test_after_the_deadline_no_engine_is_deployed_for_one_more_rung() -> None:
    """TP 1 looks like the winner at a batch that only a new deployment could confirm."""
    machine = Machine(plan(TP1, TP2, of=demand(itl=28), gpus_at_once=4, deadline_s=60))
    while not any(p.candidate == TP2.id for p in machine.state.points):
        step(machine, next_action(machine.plan, machine.state))
    assert TP1.id not in machine.state.deployed
    on_time = selection(machine.plan, machine.state)
    assert on_time is not None
    assert on_time.decode.point.source is Source.ESTIMATED
    machine.state = replace(machine.state, elapsed_s=61)
    late = selection(machine.plan, machine.state)
    assert late is not None
    assert late.decode.point.source is Source.MEASURED
    deployed = {a.candidate for a in run(machine) if isinstance(a, Deploy)}
    assert deployed <= {late.prefill.candidate, late.decode.candidate}, "only for their curves"


@pytest.mark.parametrize(
    ("cell", "factor"),
    [
        pytest.param(decode_cell(256, 96, 1), 2.5, id="a short context, slower than longer ones"),
        pytest.param(decode_cell(6144, 96, 10), 0.5, id="a long context, faster than shorter ones"),
    ],
)
def test_a_noisy_point_at_another_context_is_measured_again(cell: Cell, factor: float) -> None:
    undisturbed = Machine(plan(TP1))
    drawn = selected(run(undisturbed))
    assert (TP1.id, cell) in undisturbed.measured
    noisy = Machine(plan(TP1), spoiled={cell: factor})
    chosen = selected(run(noisy))
    assert (TP1.id, replace(cell, repeat=1)) in noisy.measured
    found, right = (
        curve_points(m.plan, m.state, c, PointKind.DECODE)
        for m, c in ((noisy, chosen), (undisturbed, drawn))
    )
    assert [p.itl_ms for p in found] == [p.itl_ms for p in right]


def test_gpus_of_pods_that_do_not_end_stay_counted() -> None:
    stuck = RunState(stuck=frozenset({TP2.id}), rejected={TP2.id: "OOMKilled"})
    machine = Machine(plan(gpus_at_once=8), state=stuck)
    actions = run(machine)
    (rejected,) = (a for a in actions if isinstance(a, Reject))
    assert rejected.candidate == TP4
    assert rejected.reason == "pods of TP=2 do not end and hold 4 GPUs"
    assert not rejected.lasting
    assert machine.most_gpus + TP2.gpus <= 8
    assert selected(actions).prefill.candidate == TP1


def test_a_failure_of_an_engine_that_answers_is_measured_again_where_it_stands() -> None:
    machine = Machine(plan(TP1))
    first = next_action(machine.plan, machine.state)
    step(machine, first)
    measure = next_action(machine.plan, machine.state)
    assert isinstance(measure, Measure)
    machine.fail(measure.candidate, measure.call)
    assert isinstance(next_action(machine.plan, machine.state), Retire)
    machine.state = replace(machine.state, suspect=frozenset())
    again = next_action(machine.plan, machine.state)
    assert isinstance(again, Measure)
    assert again.call.cells == measure.call.cells


def test_an_engine_that_cannot_hold_the_prompt_is_given_up() -> None:
    machine = Machine(plan(TP1), facts=replace(FACTS, max_kv_tokens=1024))
    actions = run(machine)
    rejected = next(a for a in actions if isinstance(a, Reject))
    assert "does not hold one request" in rejected.reason


def test_an_engine_that_does_not_say_its_capacity_is_given_up_with_the_reason() -> None:
    machine = Machine(plan(TP1), facts=replace(FACTS, max_kv_tokens=None))
    rejected = next(a for a in run(machine) if isinstance(a, Reject))
    assert "does not say how many tokens its KV cache holds" in rejected.reason


def test_unreachable_targets_are_a_pick_that_says_so() -> None:
    machine = Machine(plan(of=demand(ttft=1.0, itl=1.0)))
    chosen = selected(run(machine))
    assert not chosen.sla_reachable
    assert "nothing measured holds the targets (TTFT 1 ms, ITL 1 ms)" in chosen.reason


def test_a_candidate_is_judged_by_one_call_and_the_winner_drawn_by_another() -> None:
    calls = [a.candidate for a in run(Machine(plan())) if isinstance(a, Measure)]
    assert len(calls) <= 3 + 2 + 1


def test_a_rung_that_cannot_change_the_pick_is_not_measured() -> None:
    # At 12 ms TP 1 holds with 1 in flight only; whatever lies between 1 and 8 there cannot win.
    machine = Machine(plan(of=demand(itl=19)))
    run(machine)
    of_tp1 = [c for name, c in machine.measured if name == TP1.id and c.isl == 2048]
    assert len([c for c in of_tp1 if c.kind is PointKind.DECODE]) == 3


def test_the_pick_is_always_a_measured_point() -> None:
    for itl in (5, 12, 19, 24, 30, 60):
        chosen = selected(run(Machine(plan(of=demand(itl=itl)))))
        assert chosen.decode.point.source is Source.MEASURED


def test_selection_comes_before_curves() -> None:
    stages = [a.stage for a in run(Machine(plan())) if isinstance(a, Measure)]
    assert stages == sorted(stages, key=lambda s: s is Stage.CURVES)


@settings(max_examples=30)
@given(
    isl=st.integers(min_value=1, max_value=40000),
    osl=st.integers(min_value=1, max_value=4000),
    kv=st.integers(min_value=1, max_value=10**6),
    batch=st.integers(min_value=1, max_value=512),
    context=st.integers(min_value=64, max_value=65536),
    points=st.tuples(st.integers(4, 20), st.integers(9, 40)),
)
def test_a_run_ends_whatever_the_engine_is(
    isl: int, osl: int, kv: int, batch: int, context: int, points: tuple[int, int]
) -> None:
    wanted = demand(isl=isl, osl=osl, prefill_points=points[0], decode_points=points[1])
    facts = replace(FACTS, max_kv_tokens=kv, max_batch=batch, context_length=context)
    machine = Machine(plan(TP1, of=wanted), facts=facts)
    run(machine)
    for _, cell in machine.measured:
        assert cell.isl + cell.osl <= context
        assert cell.concurrency <= batch
        assert cell.concurrency * (cell.isl + cell.osl) <= kv


def test_a_noisy_rung_costs_a_measurement_and_changes_nothing() -> None:
    # 33 ms with one in flight, under a limit of 30 that 8 and 30 in flight hold.
    noisy = Machine(plan(TP1), spoiled={decode_cell(2048, 96, 1): 1.8})
    undisturbed = Machine(plan(TP1))
    assert selected(run(noisy)) == selected(run(undisturbed))
    extra = set(noisy.measured) - set(undisturbed.measured)
    assert extra == {(TP1.id, decode_cell(2048, 96, 1, repeat=1))}
    assert set(undisturbed.measured) <= set(noisy.measured)


def test_a_doubted_rung_is_measured_before_anything_is_picked_or_drawn() -> None:
    actions = run(Machine(plan(TP1), spoiled={decode_cell(2048, 96, 1): 1.8}))
    first, second, *_ = [a for a in actions if isinstance(a, Measure)]
    assert {c.repeat for c in first.call.cells} == {0}
    assert second.call.cells == (decode_cell(2048, 96, 1, repeat=1),)
    assert second.stage is Stage.SELECTION


@settings(max_examples=30)
@given(factors=st.lists(st.floats(0.3, 3), min_size=12, max_size=12))
def test_however_noisy_an_engine_is_the_run_ends_and_repeats_are_few(factors: list[float]) -> None:
    tries = [
        decode_cell(2048, 96, n, repeat=k) for n in (1, 8, 30, 14) for k in range(MOST_REPEATS + 1)
    ]
    machine = Machine(plan(TP1), spoiled=dict(zip(tries, factors, strict=True)))
    selected(run(machine))
    assert len(machine.measured) == len(set(machine.measured))
    assert max(cell.repeat for _, cell in machine.measured) <= MOST_REPEATS


def test_a_measured_again_point_leaves_the_first_out_of_the_curve() -> None:
    machine = Machine(plan(TP1), spoiled={decode_cell(2048, 96, 1): 1.8})
    chosen = selected(run(machine))
    drawn = curve_points(machine.plan, machine.state, chosen, PointKind.DECODE)
    alone = [p for p in drawn if p.concurrency == 1 and p.isl == 2057]
    assert alone == [point(TP1, decode_cell(2048, 96, 1, repeat=1))]


def test_a_pod_that_finds_a_nonsensical_point_measures_that_cell_again() -> None:
    machine = Machine(plan(TP1))
    before = selected(run(machine))
    broken = [
        p.model_copy(update={"isl": 0}) if n < 2 else p for n, p in enumerate(machine.state.points)
    ]
    machine.state = RunState(points=tuple(broken))
    machine.measured.clear()
    assert selected(run(machine)) == before
    assert len(machine.measured) == 2


def test_an_empty_plan_fails() -> None:
    nothing = Plan(demand=demand(), candidates=(), subjects={})
    assert isinstance(next_action(nothing, RunState()), Fail)
