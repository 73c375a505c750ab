"""The whole run, with an engine whose times are known in place of a cluster."""

import io
import json
from typing import Any

import numpy as np
import pytest
import yaml

from dgdr_api.effective import effective
from dgdr_api.graph import Role
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.names import MAX_DGD_AND_COMPONENT_CHARS, PROFILE_DATA_MOUNT
from dgdr_api.points import MAX_POINT_BYTES
from dgdr_api.request import ProfilingRequest
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.engines.registry import final_engine
from dgdr_profiler.ports import Result
from dgdr_profiler.prepare import Prepared, prepare
from dgdr_profiler.report.result import result
from dgdr_profiler.run import NothingMeasured, Run
from support.profiler_ports import FakeDeployments, FakeLoad, MemoryRecords
from support.profiling import FACTS, TP2

PROFILES = frozenset({"tp-1.npz", "tp-2.npz", "tp-4.npz"})


def request(spec: dict[str, Any] | None = None, **policy: Any) -> ProfilingRequest:
    return ProfilingRequest.model_validate(
        {
            "dgdrName": "q",
            "namespace": "ns",
            "uid": "uid-1",
            "spec": {
                "model": "Qwen/Qwen3-8B",
                "backend": "vllm",
                "workload": {"isl": 2048, "osl": 96},
                "sla": {"ttft": 300, "itl": 24},
                "features": {"mocker": {"enabled": True}, "planner": {"max_gpu_budget": 16}},
                **(spec or {}),
            },
            "policy": {"candidateEngine": "mocker", "maxGpusPerEngine": 4, **policy},
            "hardware": {"gpuSku": "NVIDIA-H200", "gpusPerNode": 8, "totalGpus": 16},
            "images": {"dynamoMocker": "images.test/mocker:dev"},
            "ownerReference": {
                "apiVersion": "nvidia.com/v1beta1",
                "kind": "DynamoGraphDeploymentRequest",
                "name": "q",
                "uid": "uid-1",
            },
        }
    )


def run_of(prepared: Prepared, **parts: Any) -> Run:
    return Run(
        plan=prepared.plan,
        graphs=dict(prepared.graphs),
        model=prepared.engine.served_model,
        deployments=parts.get("deployments", FakeDeployments()),
        load=parts.get("load", FakeLoad()),
        records=parts.get("records", MemoryRecords()),
    )


async def finished(of: ProfilingRequest | None = None, **parts: Any) -> Result:
    asked = of or request()
    prepared = prepare(asked, PROFILES)
    run = run_of(prepared, **parts)
    chosen = await run.measure_all()
    return result(asked, prepared.setting, prepared.plan, run.state, chosen, run.ledger())


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
    decode = np.load(io.BytesIO(done.binaries["selected_decode_interpolation.npz"]))
    assert len(prefill["prefill_isl"]) >= 4
    assert len(decode["z_itl"]) >= 9


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
    assert worker.args[worker.args.index("--planner-profile-data") + 1] == PROFILE_DATA_MOUNT
    assert worker.args[worker.args.index("--speedup-ratio") + 1] == "1"
    assert worker.gpus == 0


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
    records, load = MemoryRecords(), FakeLoad(failures=99)
    with pytest.raises(NothingMeasured):
        await finished(records=records, load=load)
    first, again = FakeLoad(), FakeLoad()
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


async def test_a_call_that_failed_is_made_again_on_a_fresh_deployment() -> None:
    load, deployments = FakeLoad(failures=1), FakeDeployments()
    await finished(load=load, deployments=deployments)
    assert load.calls[1].cells == load.calls[0].cells
    assert deployments.log[:3] == ["deploy q-p-tp1", "retire q-p-tp1", "deploy q-p-tp1"]


async def test_nothing_measured_is_a_failure_with_the_reasons() -> None:
    down = dict.fromkeys(("q-p-tp1", "q-p-tp2", "q-p-tp4"), "no node has GPUs")
    with pytest.raises(NothingMeasured, match="TP=1: no node has GPUs"):
        await finished(deployments=FakeDeployments(broken=down))


async def test_a_new_pod_gets_no_new_deadline() -> None:
    records = MemoryRecords(spent_by_earlier_pods_s=3601)
    with pytest.raises(NothingMeasured, match="TP=1: the deadline of 3600 s has passed"):
        await finished(request(deadline="1h"), records=records)
    records.spent_by_earlier_pods_s = 0
    assert (await finished(request(deadline="1h"), records=records)).texts


async def test_progress_counts_candidates_and_points() -> None:
    records = MemoryRecords()
    await finished(records=records)
    messages = [p.message for p in records.shown]
    assert messages[0] == "reading what is already measured"
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
            "spec.overrides.dgd.spec.services.decode.ingress: has no place",
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
        pytest.param({}, {"gpusAtOnce": 1}, "no candidate is feasible: TP=1", id="no room"),
    ],
)
def test_what_cannot_be_served_is_refused_at_the_start(
    spec: dict[str, Any], policy: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        prepare(request(spec, **policy), PROFILES)


def test_candidates_of_the_longest_name_keep_the_budget_of_names() -> None:
    longest = request().model_copy(update={"dgdr_name": "q" * 33})
    graphs = prepare(longest, PROFILES).graphs
    assert graphs
    for graph in graphs.values():
        most = max(len(graph.name) + len(component.name) for component in graph.components)
        assert most <= MAX_DGD_AND_COMPONENT_CHARS


def test_a_mapping_without_performance_data_is_infeasible_with_the_reason() -> None:
    prepared = prepare(request(), frozenset({"tp-1.npz"}))
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


def test_a_mocker_without_an_image_is_refused() -> None:
    bare = request().model_copy(
        update={"images": request().images.model_copy(update={"dynamo_mocker": None})}
    )
    with pytest.raises(InvalidRequest, match="no image with Dynamo's mocker"):
        prepare(bare, PROFILES)
