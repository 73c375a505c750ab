"""The whole run, with an engine whose times are known in place of a cluster."""

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import yaml

from dgdr_api.codec_v1beta1 import decode
from dgdr_api.effective import effective
from dgdr_api.fingerprint import fingerprint_of
from dgdr_api.graph import Graph, Role
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.names import MAX_DGD_AND_COMPONENT_CHARS, PROFILE_DATA_MOUNT
from dgdr_api.points import MAX_POINT_BYTES, Source
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_load.results import Percentiles
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.sizing import Targets, Workload, size_decode, size_prefill
from dgdr_profiler.core.cells import Call
from dgdr_profiler.core.errors import CandidateFailed, InvalidRequest
from dgdr_profiler.core.known_model import KnownModel
from dgdr_profiler.core.measured import Measured
from dgdr_profiler.engines.args import value_of
from dgdr_profiler.engines.registry import final_engine
from dgdr_profiler.engines.vllm import MAX_CONTEXT
from dgdr_profiler.prepare import prepare
from dgdr_profiler.report.result import result
from dgdr_profiler.run import NothingMeasured
from support.model_configs import model
from support.profiler_ports import FakeDeployments, FakeLoad, MemoryRecords
from support.profiler_runs import GRAPHS, PROFILES, finished, request, run_of
from support.profiling import FACTS, TP2


async def test_a_finished_run_has_everything_that_is_promised() -> None:
    done = await finished()
    assert set(done.texts) == {
        "final_config.yaml",
        "prefill_raw_data.json",
        "decode_raw_data.json",
        "report.json",
    }
    assert set(done.binaries) == {
        "selected_prefill_interpolation.npz",
        "selected_decode_interpolation.npz",
        "prefill_curve.png",
        "decode_curve.png",
    }
    prefill = np.load(io.BytesIO(done.binaries["selected_prefill_interpolation.npz"]))
    surface = np.load(io.BytesIO(done.binaries["selected_decode_interpolation.npz"]))
    assert len(prefill["prefill_isl"]) >= 30
    assert len(surface["z_itl"]) >= 400


async def test_mockers_that_replay_what_engines_measured_get_its_tables() -> None:
    asked = request({"image": "r.test/vllm-runtime:1.6.1"}, candidateEngine="backend")
    done = await finished(asked)
    tables = np.load(io.BytesIO(done.binaries["mocker.npz"]))
    assert tables["decode_itl"].min() > 0
    assert "/workspace/profiling_results/mocker.npz" in done.texts["final_config.yaml"]


async def test_the_result_is_a_planner_and_a_deployment_of_what_was_measured() -> None:
    done = await finished(request(mocker={"speedupRatio": 0.25}))
    planner, dgd = yaml.safe_load_all(done.texts["final_config.yaml"])
    assert SLAPlanner.parse(planner).spec.target_ref.name == "q-dgd"
    worker = next(c for c in dgd["spec"]["components"] if c["type"] == "decode")
    (main,) = worker["podTemplate"]["spec"]["containers"]
    args = main["args"]
    assert args[args.index("--planner-profile-data") + 1] == "/profiles/tp-2.npz"
    assert args[args.index("--speedup-ratio") + 1] == "0.25"
    assert int(args[args.index("--num-gpu-blocks-override") + 1]) * 64 == FACTS.max_kv_tokens


def test_mockers_in_place_of_engines_replay_the_curves_and_hold_no_gpus() -> None:
    asked = request(candidateEngine="backend")
    engine = final_engine(asked, effective(asked.spec), 65536)
    graph = engine.template("q", TP2.shape)
    (worker,) = (one for one in graph.components if one.role is Role.DECODE)
    data = worker.args[worker.args.index("--planner-profile-data") + 1]
    assert data == f"{PROFILE_DATA_MOUNT}/mocker.npz"
    assert worker.args[worker.args.index("--speedup-ratio") + 1] == "1"
    assert worker.gpus == 0


async def test_a_context_that_fits_is_deployed_as_it_was_measured_and_is_said() -> None:
    spec = {"image": "i:1", "features": {}}
    asked = request(spec, candidateEngine="backend", maxGpusPerEngine=1)
    small = asked.hardware.model_copy(update={"vram_mib": 23_034.0})
    asked = asked.model_copy(update={"hardware": small})
    prepared = prepare(asked, None, KnownModel(facts=model("llama-3.1-8b")))
    run = run_of(prepared)
    chosen = await run.measure_all()
    done = result(asked, prepared.setting, prepared.plan, run.state, chosen, run.ledger())
    (dgd,) = yaml.safe_load_all(done.texts["final_config.yaml"])
    measured = prepared.graphs[chosen.decode.candidate.id]
    lengths = {
        value_of(one.args, MAX_CONTEXT)
        for graph in (decode(dgd), measured)
        for one in graph.components
        if one.role.serves_model
    }
    assert lengths == {"25856"}
    notes = json.loads(done.texts["report.json"])["notes"]
    assert any("25856 tokens at most (--max-model-len)" in note for note in notes)


async def test_the_curves_name_the_deployed_engines_and_their_batch_limit() -> None:
    done = await finished()
    _, dgd = yaml.safe_load_all(done.texts["final_config.yaml"])
    prefill = PrefillData.from_json(done.texts["prefill_raw_data.json"])
    decode_curve = DecodeData.from_json(done.texts["decode_raw_data.json"])
    assert decode_curve.max_num_seqs == FACTS.max_batch
    for role, data in ((Role.PREFILL, prefill), (Role.DECODE, decode_curve)):
        (component,) = decode(dgd).with_role(role)
        assert data.provenance.fingerprint is not None
        assert data.provenance.fingerprint.differences(fingerprint_of(component)) == ()
        assert data.fitted.provenance.source is Source.MEASURED


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        pytest.param({}, True, id="the model of the image"),
        pytest.param({"model": "model"}, False, id="asked for by its name"),
        pytest.param({"modelCache": {"pvcName": "weights"}}, False, id="the claim's files"),
    ],
)
async def test_a_model_that_mockers_serve_by_another_name_is_said(
    spec: dict[str, Any], said: bool
) -> None:
    done = await finished(request(spec))
    assert ("served as model, not as Qwen/Qwen3-8B" in done.message) is said


async def test_a_named_load_gives_the_first_replicas_by_the_planners_sizing() -> None:
    done = await finished(request({"workload": {"isl": 2048, "osl": 96, "requestRate": 8}}))
    _, dgd = yaml.safe_load_all(done.texts["final_config.yaml"])
    profile = EngineProfile.from_json(
        done.texts["prefill_raw_data.json"], done.texts["decode_raw_data.json"]
    )
    load, asked = Workload(rate_per_s=8, isl=2048, osl=96), Targets(ttft_ms=300, itl_ms=24)
    (prefill,), (decoding,) = (decode(dgd).with_role(r) for r in (Role.PREFILL, Role.DECODE))
    assert prefill.replicas == size_prefill(profile, load, asked).replicas
    assert decoding.replicas == size_decode(profile, load, asked).replicas


async def test_the_report_names_time_and_gpus_of_every_candidate() -> None:
    report = json.loads((await finished()).texts["report.json"])
    assert report["slaReachable"] is True
    assert report["shortage"] is None
    assert [c["label"] for c in report["candidates"]] == ["TP=1", "TP=2", "TP=4"]
    assert all(c["points"] >= 4 and c["meanSPerPoint"] > 0 for c in report["candidates"])
    assert all(p["source"] == "measured" for p in report["points"])
    assert report["selection"]["decode"]["point"] in [p["key"] for p in report["points"]]


async def test_unreachable_targets_are_said_in_message_and_report() -> None:
    done = await finished(request({"sla": {"ttft": 1, "itl": 1}}))
    assert "targets NOT reached" in done.message
    assert json.loads(done.texts["report.json"])["slaReachable"] is False


async def test_a_restarted_run_takes_the_stored_points_and_the_standing_candidate() -> None:
    records, first, again = MemoryRecords(), FakeLoad(), FakeLoad()
    await finished(records=records, load=first)
    await finished(records=records, load=again)
    assert first.calls
    assert again.calls == []


async def test_what_an_earlier_pod_left_standing_is_adopted_and_taken_down() -> None:
    deployments = FakeDeployments(left={"q-p-tp2"})
    await finished(deployments=deployments)
    assert deployments.log[0] == "deploy q-p-tp2"
    assert deployments.log.count("deploy q-p-tp2") == 1
    assert deployments.up == set()


async def test_a_candidate_that_does_not_come_up_is_taken_down_and_reported() -> None:
    deployments = FakeDeployments(broken={"q-p-tp2": "pod d-1: CrashLoopBackOff (OOMKilled)"})
    done = await finished(deployments=deployments)
    assert "retire q-p-tp2" in deployments.log
    report = json.loads(done.texts["report.json"])
    tp2 = next(c for c in report["candidates"] if c["label"] == "TP=2")
    assert tp2["rejected"] == "pod d-1: CrashLoopBackOff (OOMKilled)"
    assert any("OOMKilled" in note for note in report["notes"])


async def test_a_lost_request_does_not_retire_an_engine_that_answers() -> None:
    load, deployments = FakeLoad(failures=1), FakeDeployments()
    await finished(load=load, deployments=deployments)
    assert load.calls[1].cells == load.calls[0].cells
    assert deployments.log.count("deploy q-p-tp1") == 1
    assert deployments.log[1] == "deploy q-p-tp2"


async def test_a_call_that_hung_the_engine_is_made_again_on_a_fresh_deployment() -> None:
    load, deployments = FakeLoad(failures=1), FakeDeployments(hang={"q-p-tp1"})
    await finished(load=load, deployments=deployments)
    assert load.calls[1].cells == load.calls[0].cells
    assert deployments.log[:3] == ["deploy q-p-tp1", "retire q-p-tp1", "deploy q-p-tp1"]


@dataclass
class Nonsense(FakeLoad):
    """A load tool whose first call has figures that are none."""

    spoil: Mapping[str, object] = field(default_factory=dict)

    async def measure(self, graph: Graph, model: str, call: Call) -> Measured:
        measured = await super().measure(graph, model, call)
        if len(self.calls) > 1:
            return measured
        results = [replace(r, **self.spoil) for r in measured.results]  # type: ignore[arg-type]
        return replace(measured, results=results)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param({"isl_mean": 0.0}, "must end with usage", id="no usage"),
        pytest.param({"isl_mean": math.nan}, "nan tokens", id="NaN"),
        pytest.param({"osl_mean": math.inf}, "inf tokens", id="infinite"),
        pytest.param(
            {"ttft_ms": Percentiles(avg=0, p50=-1.0, p90=0, p99=0, min=0)}, "-1.0 as", id="negative"
        ),
    ],
)
async def test_a_call_with_figures_that_are_none_is_said_and_made_again(
    spoil: dict[str, object], words: str
) -> None:
    records, load = MemoryRecords(), Nonsense(spoil=spoil)
    report = json.loads((await finished(load=load, records=records)).texts["report.json"])
    assert any(words in note for note in report["notes"])
    assert {c.phase for c in load.calls[0].cells} <= {
        c.phase for call in load.calls[1:] for c in call.cells
    }
    assert all(p.isl > 0 and p.ttft_ms for p in records.stored)


async def test_a_stored_point_without_a_prompt_does_not_stop_the_next_pod() -> None:
    records = MemoryRecords()
    await finished(records=records)
    records.stored = [p.model_copy(update={"isl": 0}) for p in records.stored]
    again = FakeLoad()
    assert (await finished(records=records, load=again)).texts
    assert again.calls


async def test_nothing_measured_is_a_failure_with_the_reasons() -> None:
    down: dict[str, str | CandidateFailed] = dict.fromkeys(GRAPHS, "no node has GPUs")
    down["q-p-tp2"] = "OOMKilled"
    with pytest.raises(NothingMeasured, match=r"; TP=1, TP=4: no node has GPUs; TP=2: OOMKilled$"):
        await finished(deployments=FakeDeployments(broken=down))


async def test_a_reason_that_all_candidates_share_comes_first_and_once() -> None:
    down: dict[str, str | CandidateFailed] = dict.fromkeys(GRAPHS, "no node has GPUs")
    told = r"^no node has GPUs; no candidate could be measured \(TP=1, TP=2, TP=4\)$"
    with pytest.raises(NothingMeasured, match=told):
        await finished(deployments=FakeDeployments(broken=down))


async def test_a_new_pod_gets_no_new_deadline() -> None:
    records = MemoryRecords(spent_by_earlier_pods_s=3601)
    with pytest.raises(NothingMeasured, match=r"^the deadline of 3600 s has passed; no cand"):
        await finished(request(deadline="1h"), records=records)
    records.spent_by_earlier_pods_s = 0
    assert (await finished(request(deadline="1h"), records=records)).texts


async def test_progress_counts_candidates_and_points() -> None:
    records = MemoryRecords()
    await finished(records=records)
    messages = [p.message for p in records.shown]
    assert messages[0] == "3 of 3 shapes are possible"
    assert "candidate 1 of 3: TP=1: deploying 2 GPUs" in messages
    assert "candidate 2 of 3: TP=2, 0 of 4 points" in messages
    assert any(m.startswith("curves of TP=") for m in messages)


async def test_points_fit_into_their_place() -> None:
    records = MemoryRecords()
    await finished(records=records)
    assert all(len(p.to_text().encode()) <= MAX_POINT_BYTES for p in records.stored)
    assert len({p.key for p in records.stored}) == len(records.stored)


UNTRANSLATABLE = {
    "apiVersion": "nvidia.com/v1alpha1",
    "kind": "DynamoGraphDeployment",
    "spec": {"services": {"decode": {"ingress": {}}}},
}


@pytest.mark.parametrize(
    ("spec", "policy", "words"),
    [
        pytest.param(
            {"overrides": {"dgd": UNTRANSLATABLE}},
            {},
            "spec.overrides.dgd.spec.services.decode.ingress: Forbidden: has no place",
            id="override, refused before anything is measured",
        ),
        pytest.param({}, {"minGpusPerEngine": 8, "maxGpusPerEngine": 4}, "minGpus", id="limits"),
        pytest.param(
            {"features": {"planner": {"max_gpu_budget": 0}}, "image": "i"},
            {},
            "max_gpu_budget",
            id="planner",
        ),
        pytest.param(
            {}, {"mocker": {"modelName": "tiny"}}, "must be the end of modelPath", id="model name"
        ),
        pytest.param(
            {},
            {"gpusAtOnce": 1, "minGpusPerEngine": 2},
            "no candidate is feasible: TP=2: an engine of 2 GPUs",
            id="no room",
        ),
    ],
)
def test_what_cannot_be_served_is_refused_at_the_start(
    spec: dict[str, Any], policy: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        prepare(request(spec, **policy), PROFILES)


def test_candidates_of_the_longest_name_keep_the_budget_of_names() -> None:
    longest = request().model_copy(update={"dgdr_name": "q" * 50})
    graphs = prepare(longest, PROFILES).graphs
    assert graphs
    for graph in graphs.values():
        most = max(len(graph.name) + len(component.name) for component in graph.components)
        assert most <= MAX_DGD_AND_COMPONENT_CHARS


def test_a_mapping_without_performance_data_is_infeasible_with_the_reason() -> None:
    prepared = prepare(request(), {"tp-1.npz": "digest"})
    assert [c.label for c in prepared.plan.candidates] == ["TP=1"]
    assert [e.reason for e in prepared.plan.infeasible] == [
        "ConfigMap mocker-profiles has no tp-2.npz",
        "ConfigMap mocker-profiles has no tp-4.npz",
    ]


def test_a_candidate_that_an_override_makes_too_large_is_infeasible_with_the_reason() -> None:
    main = {"name": "main", "args": ["--data-parallel-size", "8"]}
    decode = {"name": "decode", "podTemplate": {"spec": {"containers": [main]}}}
    override = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "spec": {"components": [decode]},
    }
    prepared = prepare(request({"overrides": {"dgd": override}}), PROFILES)
    assert [c.label for c in prepared.plan.candidates] == ["TP=1"]
    assert [e.reason for e in prepared.plan.infeasible] == [
        "with overrides.dgd it asks for 18 GPUs, 16 may be held at once",
        "with overrides.dgd it asks for 36 GPUs, 16 may be held at once",
    ]


def test_a_candidate_with_a_claim_is_left_to_the_operator_to_count() -> None:
    claim = {"name": "channel", "resourceClaimTemplateName": "compute-domain-channel"}
    decode = {"name": "decode", "podTemplate": {"spec": {"resourceClaims": [claim]}}}
    override = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "spec": {"components": [decode]},
    }
    plain = prepare(request(), PROFILES).plan
    claiming = prepare(request({"overrides": {"dgd": override}}), PROFILES).plan
    assert [c.label for c in claiming.candidates] == [c.label for c in plain.candidates]
    assert [c.gpus for c in claiming.candidates] == [c.gpus for c in plain.candidates]


def test_a_mocker_without_an_image_is_refused() -> None:
    bare = request().model_copy(
        update={"images": request().images.model_copy(update={"dynamo_mocker": None})}
    )
    with pytest.raises(InvalidRequest, match="no image with Dynamo's mocker"):
        prepare(bare, PROFILES)
