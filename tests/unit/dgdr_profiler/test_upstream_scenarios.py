"""The requests that upstream's profiler is tested with, from the mounted request to the plan.

Numbers are those of upstream's matrix; what happens after the plan has tests of its own, which
``tests/unit/house/test_upstream_checklist.py`` names for each.
"""

from typing import Any

import pytest

from dgdr_api.codec_v1beta1 import encode
from dgdr_api.gpus import graph_gpus, least
from dgdr_api.graph import Graph
from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_api.request import ProfilingRequest
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.known_model import FactsSource, KnownModel
from dgdr_profiler.prepare import Prepared, prepare
from support.model_configs import model

MIB = {"h200_sxm": 143_771, "l40s": 48_000, "b200_sxm": 183_359}
QWEN = {"model": "Qwen/Qwen3-32B", "backend": "trtllm"}
SMALL = {"model": "Qwen/Qwen2.5-0.5B", "backend": "vllm"}
LONG = {"--mem-fraction-static": "0.75", "--watchdog-timeout": "3600"}


def asked(spec: dict[str, Any], sku: str, total: int, node: int) -> ProfilingRequest:
    backend = spec["backend"]
    image = "vllm" if backend == "auto" else "tensorrtllm" if backend == "trtllm" else backend
    return ProfilingRequest.model_validate(
        {
            "dgdrName": "q",
            "namespace": "ns",
            "uid": "uid-1",
            "spec": {"image": f"r.test/{image}-runtime:1.6.1", **spec},
            "hardware": {
                "gpuSku": sku,
                "gpusPerNode": node,
                "totalGpus": total,
                "vramMib": MIB[sku],
            },
            "images": {"dynamoMocker": "images.test/mocker:dev"},
            "ownerReference": {
                "apiVersion": "nvidia.com/v1beta1",
                "kind": "DynamoGraphDeploymentRequest",
                "name": "q",
                "uid": "uid-1",
            },
        }
    )


def laid_out(
    spec: dict[str, Any], sku: str, total: int, node: int, known: str | None = "qwen3-32b"
) -> Prepared:
    read = KnownModel(facts=model(known), sources=(FactsSource.HUB,)) if known else None
    return prepare(asked(spec, sku, total, node), None, read)


def engines(graph: Graph) -> list[Any]:
    return [component for component in graph.components if component.role.serves_model]


def labels(prepared: Prepared) -> set[str]:
    return {candidate.shape.largest.label for candidate in prepared.plan.candidates}


@pytest.mark.parametrize("strategy", ["rapid", "thorough"])
@pytest.mark.parametrize("total", [8, 64])
def test_a_dense_model_is_measured_on_every_part_of_a_node(strategy: str, total: int) -> None:
    spec = {**QWEN, "searchStrategy": strategy, "workload": {"requestRate": 5}}
    prepared = laid_out(spec, "h200_sxm", total, 8)
    assert labels(prepared) == {"TP=1", "TP=2", "TP=4", "TP=8"}
    assert all(least(graph_gpus(graph)) <= total for graph in prepared.graphs.values())


def test_every_candidate_reads_the_model_from_the_claim() -> None:
    cache = {"pvcName": "model-cache", "pvcModelPath": "Qwen3-32B", "pvcMountPath": "/model"}
    prepared = laid_out({**QWEN, "modelCache": cache}, "h200_sxm", 64, 8)
    for engine in (e for graph in prepared.graphs.values() for e in engines(graph)):
        assert engine.args[:2] == ("--model-path", "/model/Qwen3-32B")
        assert any(mount["mountPath"] == "/model" for mount in engine.volume_mounts)


def test_a_target_for_the_whole_answer_replaces_both_others() -> None:
    sla = {"e2eLatency": 35000, "ttft": None, "itl": None}
    targets = laid_out({**QWEN, "sla": sla}, "h200_sxm", 64, 8).plan.demand.targets
    assert targets.e2e_ms == 35000


def test_a_load_that_is_given_twice_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="requestRate and concurrency exclude each other"):
        laid_out({**QWEN, "workload": {"concurrency": 50, "requestRate": 5}}, "h200_sxm", 64, 8)


@pytest.mark.parametrize("mocker", [False, True])
@pytest.mark.parametrize("sweep", ["rapid", "thorough"])
def test_with_a_planner_the_curves_are_measured_whatever_the_sweep(
    sweep: str, mocker: bool
) -> None:
    planner = {"optimization_target": "sla", "pre_deployment_sweeping_mode": sweep}
    features = {"planner": planner, "mocker": {"enabled": mocker}}
    prepared = laid_out({**QWEN, "features": features}, "h200_sxm", 8, 8)
    # The planner's pair must have room on the eight GPUs.
    assert labels(prepared) == {"TP=1", "TP=2", "TP=4"}
    assert prepared.plan.demand.prefill_points >= 4


@pytest.mark.parametrize(
    ("planner", "measured"),
    [
        (None, {"TP=1", "TP=2", "TP=4"}),
        # A planner's pair must have room on the four GPUs.
        ("enable_load_scaling", {"TP=1", "TP=2"}),
        ("enable_throughput_scaling", {"TP=1", "TP=2"}),
    ],
)
def test_a_model_that_no_database_knows_is_measured_like_any_other(
    planner: str | None, measured: set[str]
) -> None:
    features = {"planner": {planner: True}} if planner else {}
    prepared = laid_out({**SMALL, "features": features}, "l40s", 4, 4, known=None)
    assert labels(prepared) == measured


def test_a_model_that_no_gpu_holds_is_refused_before_the_first_pod() -> None:
    spec = {
        "model": "deepseek-ai/DeepSeek-R1",
        "backend": "sglang",
        "searchStrategy": "thorough",
        "workload": {"requestRate": 1},
        "sla": {"ttft": 5000, "itl": 100},
    }
    with pytest.raises(InvalidRequest, match=r"no candidate is feasible: .*TP=1: .* do not fit"):
        laid_out(spec, "l40s", 1, 1, known="deepseek-r1")


def test_long_arguments_of_an_override_are_in_every_candidate() -> None:
    args = [item for pair in LONG.items() for item in pair]
    service = {"extraPodSpec": {"mainContainer": {"workingDir": "/workspace", "args": args}}}
    override = {
        "apiVersion": "nvidia.com/v1alpha1",
        "kind": "DynamoGraphDeployment",
        "spec": {"services": {"decode": service, "prefill": service}},
    }
    spec = {
        "model": "deepseek-ai/DeepSeek-R1",
        "backend": "sglang",
        "overrides": {"dgd": override},
    }
    prepared = laid_out(spec, "h200_sxm", 16, 8, known="deepseek-r1")
    assert {"TEP=8", "DEP=8"} <= labels(prepared)
    for graph in prepared.graphs.values():
        for engine in (e for e in engines(graph) if e.name in ("prefill", "decode")):
            for name, value in LONG.items():
                assert engine.args[engine.args.index(name) + 1] == value


@pytest.mark.parametrize("version", ["v1alpha1", "v1beta1"])
def test_pull_secrets_beside_the_components_are_those_of_all_pods(version: str) -> None:
    """Neither version of a deployment has a field for them there."""
    override = {
        "apiVersion": f"nvidia.com/{version}",
        "kind": "DynamoGraphDeployment",
        "spec": {"imagePullSecrets": [{"name": "mine"}]},
    }
    prepared = laid_out({**QWEN, "overrides": {"dgd": override}}, "h200_sxm", 8, 8)
    assert prepared.graphs
    for graph in prepared.graphs.values():
        assert {len(c.pod["imagePullSecrets"]) for c in graph.components} == {1}
        assert all({"name": "mine"} in c.pod["imagePullSecrets"] for c in graph.components)
        assert "imagePullSecrets" not in encode(graph)["spec"]


@pytest.mark.parametrize("given", ["mine", ["mine"], [{"secret": "mine"}]])
def test_pull_secrets_of_another_shape_are_refused_by_name(given: object) -> None:
    override = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "spec": {"imagePullSecrets": given},
    }
    with pytest.raises(InvalidRequest, match=r"dgd\.spec\.imagePullSecrets: .*mine"):
        laid_out({**QWEN, "overrides": {"dgd": override}}, "h200_sxm", 8, 8)


def test_pull_secrets_of_a_components_pods_are_in_every_candidate() -> None:
    pod = {"spec": {"imagePullSecrets": [{"name": "mine"}]}}
    override = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "spec": {"components": [{"name": "decode", "podTemplate": pod}]},
    }
    prepared = laid_out({**QWEN, "overrides": {"dgd": override}}, "h200_sxm", 8, 8)
    found = [graph.component("decode") for graph in prepared.graphs.values()]
    decoders = [component for component in found if component is not None]
    assert decoders
    for component in decoders:
        assert {"name": "mine"} in component.pod["imagePullSecrets"]


def test_auto_lets_every_backend_compete() -> None:
    prepared = laid_out({**QWEN, "backend": "auto"}, "h200_sxm", 8, 8)
    competing = {candidate.backend for candidate in prepared.plan.candidates}
    assert competing == {Backend.VLLM, Backend.SGLANG, Backend.TRTLLM}


def test_a_mixture_is_measured_with_its_experts_spread() -> None:
    spec = {
        "model": "Qwen/Qwen3-30B-A3B",
        "backend": "sglang",
        "searchStrategy": "thorough",
    }
    found = labels(laid_out(spec, "b200_sxm", 16, 8, known="qwen3-30b-a3b"))
    assert {"TP=1", "TEP=4", "DEP=4", "TEP=8", "DEP=8"} <= found
