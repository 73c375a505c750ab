"""Runs whose candidates are no pairs: one role at a time, aggregated engines, several backends."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from dgdr_api.codec_v1beta1 import decode
from dgdr_api.gpus import graph_gpus
from dgdr_api.graph import Role
from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_api.points import PointKind, Source
from dgdr_api.request import ProfilingRequest
from dgdr_api.run_verdict import read_verdict
from dgdr_profiler.core.actions import Deploy, Fail, Finish, Measure, Reject
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.grid import prefill_cells
from dgdr_profiler.core.lending import borrowed, lenders
from dgdr_profiler.core.pick import Selection
from dgdr_profiler.core.point_key import engine_key
from dgdr_profiler.core.report import Ledger
from dgdr_profiler.core.search import SUMMARY_CHARS
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.core.strategy import next_action, selection
from dgdr_profiler.prepare import Prepared, prepare
from dgdr_profiler.report.result import result
from support.profiler_ports import FakeLoad
from support.profiler_runs import PROFILES, finished, request
from support.profiler_steps import run, selected, step
from support.profiling import FACTS, Machine, demand, evidence_of, pair, plan

TP1 = Mapping.tensor(1)
PREFILL, DECODE = Candidate.of(Shape(prefill=TP1)), Candidate.of(Shape(decode=TP1))
WORKER = Candidate.of(Shape(worker=TP1))
LIGHT = demand(rate=0.2)


def ran(*candidates: Candidate, **limits: Any) -> tuple[Machine, Selection]:
    machine = Machine(plan(*candidates, **limits))
    return machine, selected(run(machine))


def test_one_gpu_at_once_measures_one_role_after_the_other() -> None:
    machine, chosen = ran(PREFILL, DECODE, gpus_at_once=1, total_gpus=2)
    assert machine.most_gpus == 1
    assert chosen.shape == Shape.pair(TP1)
    kinds = {name: {cell.kind for n, cell in machine.measured if n == name} for name in
             (PREFILL.id, DECODE.id)}  # fmt: skip
    assert kinds == {PREFILL.id: {PointKind.PREFILL}, DECODE.id: {PointKind.DECODE}}


def test_what_the_gpus_do_not_hold_together_is_never_picked() -> None:
    # The pair has more throughput per GPU, but two of them.
    _, chosen = ran(PREFILL, DECODE, WORKER, gpus_at_once=1)
    assert chosen.shape == Shape(worker=TP1)


def test_engines_that_no_deployment_can_have_are_a_failure_that_says_so() -> None:
    actions = run(Machine(plan(PREFILL, DECODE, gpus_at_once=1)))
    last = actions[-1]
    assert isinstance(last, Fail)
    assert last.reason == (
        "the smallest deployment with it has 2 GPUs, it may have 1; no candidate could be "
        "measured (prefill TP=1, decode TP=1)"
    )


def test_shapes_that_a_planners_budget_does_not_hold_are_not_tried() -> None:
    planner = {"max_gpu_budget": 4}
    prepared = prepare(
        request({"features": {"mocker": {"enabled": True}, "planner": planner}}), PROFILES
    )
    assert {c.id for c in prepared.plan.candidates} == {"p-tp1", "p-tp2"}
    (refused,) = prepared.plan.infeasible
    assert refused.reason.startswith("the smallest deployment with it has 5 GPUs, it may have 4")


def test_a_deployment_that_nothing_can_hold_is_refused_before_anything_is_measured() -> None:
    planner = {"max_gpu_budget": 1}
    with pytest.raises(InvalidRequest, match="do not hold 1 prefill of 1 and 1 decode of 1"):
        prepare(request({"features": {"mocker": {"enabled": True}, "planner": planner}}), PROFILES)


def scaled(**planner: int) -> dict[str, Any]:
    return {"features": {"mocker": {"enabled": True}, "planner": planner}}


def test_shapes_are_not_tried_whose_fewest_replicas_the_budget_does_not_hold() -> None:
    # Three of each role: 6 GPUs with TP 1, and 9 where one of the roles has TP 2.
    prepared = prepare(request(scaled(max_gpu_budget=8, min_endpoint=3)), PROFILES)
    assert {c.id for c in prepared.plan.candidates} == {"p-tp1"}
    assert prepared.plan.infeasible[0].reason.startswith(
        "the smallest deployment with it has 9 GPUs in 3 prefill and 3 decode replicas "
        "(min_endpoint), it may have 8"
    )


@pytest.mark.parametrize("budget", range(6, 17))
async def test_no_run_ends_with_a_deployment_that_its_planner_refuses(budget: int) -> None:
    # TP 4 alone is as fast as this asks for.
    strict = {"sla": {"ttft": 150, "itl": 12}, **scaled(max_gpu_budget=budget, min_endpoint=3)}
    result = await finished(request(strict))
    *_, deployed = yaml.safe_load_all(result.texts["final_config.yaml"])
    engines = [c for c in decode(deployed).components if c.role.serves_model]
    assert sum(c.gpus * c.nodes * (c.replicas or 0) for c in engines) <= budget
    assert all((c.replicas or 0) >= 3 for c in engines)


@pytest.mark.parametrize("backend", ["vllm", "sglang", "trtllm"])
def test_engines_that_are_measured_alone_have_records_of_their_own(backend: str) -> None:
    spec = {"backend": backend, "image": "r.test/vllm-runtime:1.0.2", "features": {}}
    asked = request(spec, candidateEngine="backend", maxGpusPerEngine=1, gpusAtOnce=1)
    subjects = prepare(asked, None).plan.subjects
    assert subjects.keys() == {"pre-tp1", "dec-tp1", "agg-tp1"}
    assert len({engine_key(subject, "digest") for subject in subjects.values()}) == 3


def test_prompts_of_a_prefill_engine_alone_fit_into_the_cache_of_one_rank() -> None:
    alone = Candidate.of(Shape(prefill=Mapping.data_expert(8)))
    known = evidence_of(alone, facts=replace(FACTS, max_kv_tokens=8 * 4000))
    assert max(c.isl for c in prefill_cells(demand(), known)) < 4000


def test_a_prefill_engine_without_room_for_a_curve_is_given_up_before_it_is_measured() -> None:
    wanted = demand(isl=64)
    machine = Machine(plan(PREFILL, DECODE, of=wanted), facts=replace(FACTS, context_length=670))
    rejected = [a for a in run(machine) if isinstance(a, Reject)]
    assert [a.candidate for a in rejected] == [PREFILL, DECODE]
    assert "leave no room for 4 prompt lengths" in rejected[0].reason
    assert not machine.measured


def test_a_light_load_gets_one_aggregated_engine_and_it_is_measured() -> None:
    machine, chosen = ran(pair(1), WORKER, of=LIGHT)
    assert chosen.shape == Shape(worker=TP1)
    assert chosen.decode.point.source is Source.MEASURED
    assert {name for name, _ in machine.measured} == {pair(1).id, WORKER.id}


def test_an_aggregated_engine_that_would_not_win_is_never_deployed() -> None:
    # Prompts of others would stop its tokens for longer than the target allows.
    machine, chosen = ran(pair(1), WORKER, of=demand(rate=40.0, ttft=300.0, itl=25.0))
    assert chosen.shape == Shape.pair(TP1)
    assert {name for name, _ in machine.measured} == {pair(1).id}


def test_an_aggregated_engine_alone_is_judged_by_itself() -> None:
    machine, chosen = ran(WORKER, of=LIGHT, gpus_at_once=1)
    assert (chosen.shape, machine.most_gpus) == (Shape(worker=TP1), 1)


def test_only_engines_of_the_same_mapping_and_backend_lend_their_points() -> None:
    other = Candidate.of(Shape.pair(TP1), Backend.SGLANG)
    assert lenders(WORKER, [pair(1)]) == (pair(1), pair(1))
    assert lenders(WORKER, [PREFILL, DECODE]) == (PREFILL, DECODE)
    assert lenders(WORKER, [PREFILL, pair(2), other]) == ()
    assert lenders(pair(1), [pair(1)]) == ()


def test_borrowed_points_are_estimates_under_the_borrowers_name() -> None:
    machine, _ = ran(pair(1))
    points = borrowed(WORKER, {pair(1): machine.state.points})
    assert {p.source for p in points} == {Source.ESTIMATED}
    assert {p.candidate for p in points} == {WORKER.id}
    assert {p.kind for p in points} == {*PointKind}


def test_roles_of_two_backends_are_never_paired() -> None:
    one, two = (
        Candidate.of(Shape.pair(TP1), backend) for backend in (Backend.VLLM, Backend.SGLANG)
    )
    _, chosen = ran(one, two)
    assert chosen.prefill.candidate == chosen.decode.candidate


def test_an_aggregated_engine_of_which_only_a_part_was_measured_is_measured_to_its_end() -> None:
    machine = Machine(plan(pair(1), WORKER, of=LIGHT))
    while WORKER.id not in machine.state.deployed:
        step(machine, next_action(machine.plan, machine.state))
    half = next_action(machine.plan, machine.state)
    assert isinstance(half, Measure)
    prefill = [c for c in half.call.cells if c.kind is PointKind.PREFILL]
    machine.measure(WORKER, replace(half.call, cells=tuple(prefill)))
    machine.die()
    assert selected(run(machine)).shape == Shape(worker=TP1)


def test_after_the_deadline_no_aggregated_engine_is_started() -> None:
    machine = Machine(plan(pair(1), WORKER, of=LIGHT, deadline_s=60))
    while not isinstance(action := next_action(machine.plan, machine.state), Deploy) or (
        action.candidate != WORKER
    ):
        step(machine, action)
    machine.state = replace(machine.state, elapsed_s=61)
    actions = run(machine)
    (given_up,) = (a for a in actions if isinstance(a, Reject))
    assert (given_up.candidate, given_up.lasting) == (WORKER, False)
    assert "the deadline of 60 s has passed" in given_up.reason
    assert selected(actions).shape == Shape.pair(TP1)


def auto(weight_gib: float) -> Prepared:
    """Three backends on one GPU of 80 GiB."""
    spec = {"backend": "auto", "image": "r.test/vllm-runtime:1.0.2", "features": {}}
    asked = request(spec, candidateEngine="backend", model={"weightGiB": weight_gib})
    hardware = asked.hardware.model_copy(update={"total_gpus": 1, "vram_mib": 80 * 1024})
    return prepare(asked.model_copy(update={"hardware": hardware}), None)


def test_each_backend_takes_its_own_share_of_a_gpus_memory() -> None:
    """Of 73.5 GiB of weights vLLM's 90 % of the GPU hold none; TensorRT-LLM takes what is left."""
    prepared = auto(73.5)
    assert {c.backend for c in prepared.plan.candidates} == {Backend.TRTLLM}


def test_a_backend_of_which_nothing_is_possible_is_said_beside_the_others() -> None:
    space = auto(73.5).plan.space
    assert space.startswith("trtllm: 1 of ")
    assert "vllm: no candidate is feasible: TP=1: " in space
    assert len(space) <= SUMMARY_CHARS
    assert auto(20.0).plan.space.count("shapes are possible") == 3


RIVALS = {
    f"{backend}-tp-{gpus}.npz": f"digest of {backend} {gpus}"
    for backend in ("vllm", "sglang")
    for gpus in (1, 2, 4)
}


def mocked_auto() -> ProfilingRequest:
    return request({"backend": "auto"}, mocker={"speedupRatio": 0.25})


def test_mockers_play_the_backends_of_auto_that_there_is_data_of_their_own_for() -> None:
    prepared = prepare(mocked_auto(), RIVALS | PROFILES)
    assert {c.backend for c in prepared.plan.candidates} == {Backend.VLLM, Backend.SGLANG}
    for candidate in prepared.plan.candidates:
        worker = next(c for c in prepared.graphs[candidate.id].components if c.role.serves_model)
        gpus = worker.gpus
        data = worker.args[worker.args.index("--planner-profile-data") + 1]
        assert data == f"/profiles/{candidate.backend}-tp-{gpus}.npz"
        assert ("sglang" in worker.args) is (candidate.backend is Backend.SGLANG)
        assert f"digest of {candidate.backend} {gpus}" in prepared.plan.subjects[candidate.id].data


def test_without_data_of_their_own_mockers_play_one_backend() -> None:
    prepared = prepare(mocked_auto(), PROFILES)
    assert {c.backend for c in prepared.plan.candidates} == {None}
    named = prepare(request(), RIVALS | PROFILES)
    assert {c.backend for c in named.plan.candidates} == {None}


async def test_the_deployment_plays_the_backend_that_was_better() -> None:
    done = await finished(mocked_auto(), RIVALS, load=FakeLoad(slowness={"vllm": 4.0}))
    _, dgd = yaml.safe_load_all(done.texts["final_config.yaml"])
    for role in (Role.PREFILL, Role.DECODE):
        (component,) = decode(dgd).with_role(role)
        assert component.args[component.args.index("--engine-type") + 1] == "sglang"


MIXTURE = {
    "parametersBillions": 30.5, "layers": 48, "attentionHeads": 32, "kvHeads": 4, "headSize": 128,
    "hiddenSize": 2048, "experts": 128, "expertsPerToken": 8, "moeIntermediateSize": 768,
}  # fmt: skip
DATA = {f"{kind}-{n}.npz": "digest" for kind in ("tp", "tep", "dep") for n in (1, 2, 4, 8)}


def mixture(total_gpus: int = 8, **more: Any) -> Prepared:
    asked = request(
        {"features": {"mocker": {"enabled": True}}}, model=MIXTURE, maxGpusPerEngine=8, **more
    )
    hardware = asked.hardware.model_copy(update={"total_gpus": total_gpus})
    return prepare(asked.model_copy(update={"hardware": hardware}), DATA)


def test_a_mixture_is_tried_with_its_experts_spread_one_role_at_a_time_where_gpus_are_few() -> None:
    names = {c.id for c in mixture(16, minGpusPerEngine=8, gpusAtOnce=8).plan.candidates}
    assert names == {
        *(f"{role}-{m}" for role in ("pre", "dec", "agg") for m in ("tep8", "dep8")),
        *(f"{role}-tp8" for role in ("pre", "dec", "agg")),
    }


def test_each_candidate_holds_what_its_graph_asks_for() -> None:
    prepared = mixture()
    assert all(graph_gpus(prepared.graphs[c.id]) == c.gpus for c in prepared.plan.candidates)


@pytest.mark.parametrize(("mode", "aggregated"), [("agg", True), ("disagg", False)])
def test_a_planner_says_for_which_kind_of_deployment_it_is(mode: str, aggregated: bool) -> None:
    asked = request({"features": {"mocker": {"enabled": True}, "planner": {"mode": mode}}})
    shapes = [c.shape for c in prepare(asked, PROFILES).plan.candidates]
    assert {shape.is_aggregated for shape in shapes} == {aggregated}


@pytest.mark.parametrize("mode", ["agg", "disagg"])
async def test_the_operator_reads_what_a_run_says_of_its_targets(mode: str) -> None:
    features = {"mocker": {"enabled": True}, "planner": {"mode": mode}}
    loose = {"ttft": 5000, "itl": 500}
    done = await finished(request({"features": features, "sla": loose}))
    verdict = read_verdict(done.texts["report.json"])
    assert verdict is not None
    assert str(verdict).startswith("targets hold: TTFT ")


async def test_an_aggregated_winner_is_handed_over_with_its_planner_and_curves() -> None:
    planner = {"mode": "agg", "max_gpu_budget": 8}
    done = await finished(request({"features": {"mocker": {"enabled": True}, "planner": planner}}))
    assert "type: worker" in done.texts["final_config.yaml"]
    assert "worker:\n" in done.texts["final_config.yaml"]
    assert "aggregated TP=" in done.message


def test_a_run_with_an_unmeasured_aggregated_favourite_deploys_it() -> None:
    machine = Machine(plan(pair(1), WORKER, of=LIGHT))
    while not isinstance(action := next_action(machine.plan, machine.state), Finish):
        if isinstance(action, Deploy) and action.candidate == WORKER:
            break
        step(machine, action)
    favourite = selection(machine.plan, machine.state)
    assert favourite is not None
    assert favourite.decode.point.source is Source.ESTIMATED


def test_each_rank_of_a_mocker_gets_its_share_of_the_measured_cache() -> None:
    machine, chosen = ran(Candidate.of(Shape.pair(Mapping.data_expert(2))))
    asked = request()
    setting = prepare(asked, PROFILES).setting
    done = result(asked, setting, machine.plan, machine.state, chosen, Ledger())
    _, dgd = yaml.safe_load_all(done.texts["final_config.yaml"])
    (worker,) = decode(dgd).with_role(Role.DECODE)
    flags = ("--data-parallel-size", "--num-gpu-blocks-override", "--block-size")
    ranks, blocks, tokens = (int(worker.args[worker.args.index(flag) + 1]) for flag in flags)
    assert (ranks, ranks * blocks * tokens) == (2, FACTS.max_kv_tokens)
