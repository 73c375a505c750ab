from dataclasses import replace
from typing import Any

import pytest
import yaml

from dgdr_api.effective import effective
from dgdr_api.gpus import graph_gpus
from dgdr_api.graph import Role
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_api.names import profile_data_config_map
from dgdr_api.releases import Release
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.cells import decode_cell, prefill_cell
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.options import DecodeOption, PrefillOption
from dgdr_profiler.core.pick import Selection
from dgdr_profiler.core.render import (
    Setting,
    candidate_graph,
    final_config,
    final_graph,
    planner_targets_ms,
    subject_of,
)
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.core.sizing import Replicas
from dgdr_profiler.core.targets import Targets
from dgdr_profiler.engines.source import ModelSource
from dgdr_profiler.engines.trtllm import Trtllm
from dgdr_profiler.engines.vllm import Vllm
from support.profiling import TP1, TP2, point

ENGINE = Vllm(image="images.test/vllm-runtime:1", source=ModelSource(model="org/model"))
CHOSEN = Selection(
    prefill=PrefillOption(candidate=TP2, point=point(TP2, prefill_cell(2048))),
    decode=DecodeOption(candidate=TP1, point=point(TP1, decode_cell(2048, 96, 8))),
    sla_reachable=True,
    reason="",
)


def setting(**spec: Any) -> Setting:
    wanted = effective(DGDRSpec.model_validate({"model": "org/model", **spec}))
    return Setting(dgdr="q", namespace="ns", uid="uid-1", wanted=wanted, pull_secrets=("reg",))


def documents(of: Setting, replicas: Replicas | None = None) -> list[dict[str, Any]]:
    graph = final_graph(ENGINE, of, CHOSEN, replicas or Replicas())
    return list(yaml.safe_load_all(final_config(of, graph, CHOSEN)))


def test_a_candidate_is_a_pair_of_the_same_mapping_that_nobody_waits_for() -> None:
    graph = candidate_graph(ENGINE, setting(), TP2)
    assert (graph.name, graph.namespace) == ("q-p-tp2", "ns")
    assert graph.labels == {"dgdr.dev/run": "uid-1", "dgdr.dev/candidate": "p-tp2"}
    assert [(c.name, c.gpus, c.replicas) for c in graph.components] == [
        ("frontend", 0, 1),
        ("prefill", 2, 1),
        ("decode", 2, 1),
    ]
    assert {c.pod["terminationGracePeriodSeconds"] for c in graph.components} == {1}
    assert graph.components[0].pod["imagePullSecrets"] == [{"name": "reg"}]


def test_pods_are_pulled_with_the_secrets_of_an_override_and_of_the_installation() -> None:
    pod = {"spec": {"imagePullSecrets": [{"name": "mine"}, {"name": "reg"}]}}
    override = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "spec": {
            "imagePullSecrets": [{"name": "all"}],
            "components": [{"name": "decode", "podTemplate": pod}],
        },
    }
    of = setting(overrides={"dgd": override})
    for graph in (candidate_graph(ENGINE, of, TP1), final_graph(ENGINE, of, CHOSEN, Replicas())):
        secrets = {c.name: [s["name"] for s in c.pod["imagePullSecrets"]] for c in graph.components}
        assert secrets == {
            "frontend": ["all", "reg"],
            "prefill": ["all", "reg"],
            "decode": ["all", "mine", "reg"],
        }


def test_each_role_of_the_result_has_its_own_mapping_and_replicas() -> None:
    graph = final_graph(ENGINE, setting(), CHOSEN, Replicas(prefill=2, decode=3))
    workers = {c.role: (c.gpus, c.replicas) for c in graph.components if c.role.serves_model}
    assert workers == {Role.PREFILL: (2, 2), Role.DECODE: (1, 3)}
    assert graph.name == "q-dgd"
    assert all("terminationGracePeriodSeconds" not in c.pod for c in graph.components)


def test_without_a_planner_the_deployment_stands_alone() -> None:
    (dgd,) = documents(setting())
    assert dgd["kind"] == "DynamoGraphDeployment"
    assert all("scalingAdapter" not in c for c in dgd["spec"]["components"])


def test_a_planner_comes_first_and_its_workers_can_be_scaled() -> None:
    of = setting(sla={"ttft": 500, "itl": 40}, features={"planner": {"max_gpu_budget": 16}})
    planner, dgd = documents(of)
    assert planner["kind"] == "SLAPlanner"
    assert planner["metadata"] == {"name": "q-dgd", "namespace": "ns"}
    assert planner["spec"]["sla"] == {"ttftMs": 500, "itlMs": 40}
    assert planner["spec"]["profile"]["configMapRef"]["name"] == profile_data_config_map("uid-1")
    adapters = [c["name"] for c in dgd["spec"]["components"] if "scalingAdapter" in c]
    assert adapters == ["prefill", "decode"]


def test_a_planner_without_room_for_one_pair_is_refused() -> None:
    of = setting(features={"planner": {"max_gpu_budget": 2}})
    with pytest.raises(InvalidRequest, match="2 GPUs do not hold"):
        documents(of)


def test_a_target_for_the_whole_answer_is_split_as_the_engines_split_it() -> None:
    targets = Targets(osl=96, e2e_ms=4000)
    ttft_ms, itl_ms = planner_targets_ms(targets, CHOSEN)
    assert targets.e2e(ttft_ms, itl_ms) == pytest.approx(4000)


def test_the_result_has_no_anchors() -> None:
    of = setting()
    text = final_config(of, final_graph(ENGINE, of, CHOSEN, Replicas()), CHOSEN)
    assert "&id" not in text


def test_engines_get_onto_the_nodes_that_the_job_tolerates() -> None:
    tolerations = [{"key": "gpu", "operator": "Exists"}]
    job = {"template": {"spec": {"containers": [], "tolerations": tolerations}}}
    graph = candidate_graph(ENGINE, setting(overrides={"profilingJob": job}), TP1)
    assert all(c.tolerations == tuple(tolerations) for c in graph.components)


PRODUCT = {"nvidia.com/gpu.product": "NVIDIA-H200"}


def pinned(**spec: Any) -> Setting:
    return replace(setting(**spec), gpu_product="NVIDIA-H200")


def test_engines_stay_on_the_product_that_is_measured_and_so_does_the_result() -> None:
    graphs = (
        candidate_graph(ENGINE, pinned(), TP1),
        final_graph(ENGINE, pinned(), CHOSEN, Replicas()),
    )
    for graph in graphs:
        frontend, *workers = graph.components
        assert "nodeSelector" not in frontend.pod
        assert [c.pod["nodeSelector"] for c in workers] == [PRODUCT, PRODUCT]


def test_an_unknown_product_selects_no_nodes() -> None:
    graph = candidate_graph(ENGINE, setting(), TP1)
    assert all("nodeSelector" not in c.pod for c in graph.components)


@pytest.mark.parametrize(
    "choice",
    [
        pytest.param({"nodeSelector": {"pool": "b"}}, id="selector"),
        pytest.param({"affinity": {"nodeAffinity": {"x": []}}}, id="affinity"),
    ],
)
def test_who_selects_nodes_is_not_overruled(choice: dict[str, Any]) -> None:
    partial = override_of([])
    (decode,) = partial["spec"]["components"]
    decode["podTemplate"]["spec"] = {**choice, "containers": []}
    graph = candidate_graph(ENGINE, pinned(overrides={"dgd": partial}), TP1)
    (prefill,), (decoding,) = graph.with_role(Role.PREFILL), graph.with_role(Role.DECODE)
    assert prefill.pod["nodeSelector"] == PRODUCT
    assert decoding.pod.get("nodeSelector") == choice.get("nodeSelector")


def test_the_router_is_switched_by_the_environment_of_the_frontend() -> None:
    graph = candidate_graph(ENGINE, setting(features={"kvRouter": {"enabled": True}}), TP1)
    assert graph.components[0].env == ({"name": "DYN_ROUTER_MODE", "value": "kv"},)
    assert graph.components[1].env == ()


def test_a_router_predicts_what_engines_do_not_tell() -> None:
    wanted = setting(features={"kvRouter": {"enabled": True}})
    source = ModelSource(model="m")
    old = Trtllm(image="i:1", source=source, release=Release(1, 0))
    env = candidate_graph(old, wanted, TP1).components[0].env
    assert {one["name"]: one["value"] for one in env} == {
        "DYN_ROUTER_MODE": "kv",
        "DYN_ROUTER_USE_KV_EVENTS": "false",
        "DYN_KV_EVENTS": "false",
    }
    new = Trtllm(image="i:1", source=source)
    assert len(candidate_graph(new, wanted, TP1).components[0].env) == 1


def override_of(args: list[str], **metadata: Any) -> dict[str, Any]:
    containers = [{"name": "main", "args": args}]
    decode = {"name": "decode", "podTemplate": {"spec": {"containers": containers}}}
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": metadata,
        "spec": {"components": [decode]},
    }


def test_an_override_names_the_result_and_reaches_it() -> None:
    partial = override_of(["--max-model-len", "8192"], name="mine")
    graph = final_graph(ENGINE, setting(overrides={"dgd": partial}), CHOSEN, Replicas())
    (worker,) = graph.with_role(Role.DECODE)
    assert worker.args[:2] == ("--max-model-len", "8192")
    assert graph.name == "mine"


def test_a_candidate_keeps_its_own_name_under_an_override() -> None:
    of = setting(overrides={"dgd": override_of([], name="mine")})
    assert candidate_graph(ENGINE, of, TP1).name == "q-p-tp1"


def test_an_override_cannot_take_the_parallelism_away() -> None:
    partial = override_of(["--tensor-parallel-size=8"])
    graph = candidate_graph(ENGINE, setting(overrides={"dgd": partial}), TP2)
    (worker,) = graph.with_role(Role.DECODE)
    assert worker.args[:2] == ("--tensor-parallel-size", "2")
    assert worker.gpus == 2


def test_ranks_of_an_override_are_counted_in_every_candidate() -> None:
    partial = override_of(["--data-parallel-size", "8"])
    of = setting(overrides={"dgd": partial})
    assert graph_gpus(candidate_graph(ENGINE, of, TP1)) == 1 + 8
    assert graph_gpus(candidate_graph(ENGINE, of, TP2)) == 2 + 16


def test_an_engine_that_is_measured_alone_is_one_replica() -> None:
    shape = Shape(decode=Mapping.data_expert(8))
    graph = candidate_graph(ENGINE, setting(), Candidate.of(shape))
    assert (graph.name, graph.labels["dgdr.dev/candidate"]) == ("q-dec-dep8", "dec-dep8")
    assert [(c.name, c.role, c.gpus, c.replicas) for c in graph.components] == [
        ("frontend", Role.FRONTEND, 0, 1),
        ("decode", Role.WORKER, 8, 1),
    ]


def test_the_subject_of_a_candidate_is_what_its_engines_run() -> None:
    one, two = (
        subject_of(candidate_graph(ENGINE, setting(), c), ENGINE, "NVIDIA-H200") for c in (TP1, TP2)
    )
    assert one != two
    assert one.model == "org/model"
    assert ["--disaggregation-mode" in e.command for e in one.engines] == [True, True]
