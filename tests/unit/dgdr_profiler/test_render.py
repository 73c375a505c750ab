from typing import Any

import pytest
import yaml

from dgdr_api.effective import effective
from dgdr_api.graph import Role
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_api.names import profile_data_config_map
from dgdr_profiler.core.cells import decode_cell, prefill_cell
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.options import DecodeOption, PrefillOption
from dgdr_profiler.core.override import override
from dgdr_profiler.core.pick import Selection
from dgdr_profiler.core.render import (
    Setting,
    candidate_graph,
    final_config,
    final_graph,
    planner_targets_ms,
    subject_of,
)
from dgdr_profiler.core.sizing import Replicas
from dgdr_profiler.core.targets import Targets
from dgdr_profiler.engines.vllm import Vllm
from support.profiling import TP1, TP2, point

ENGINE = Vllm(image="images.test/vllm-runtime:1", model="org/model")
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


def test_the_router_is_switched_by_the_environment_of_the_frontend() -> None:
    graph = candidate_graph(ENGINE, setting(features={"kvRouter": {"enabled": True}}), TP1)
    assert graph.components[0].env == ({"name": "DYN_ROUTER_MODE", "value": "kv"},)
    assert graph.components[1].env == ()


def dgd(*components: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": metadata,
        "spec": {"components": list(components)},
    }


def decode_with(**main: Any) -> dict[str, Any]:
    containers = [{"name": "main", **main}]
    return {"name": "decode", "podTemplate": {"spec": {"containers": containers}}}


def test_an_override_appends_arguments_and_merges_by_name() -> None:
    partial = dgd(
        decode_with(args=["--max-model-len", "8192"], env=[{"name": "A", "value": "1"}]),
        labels={"team": "x"},
        name="mine",
    )
    of = setting(overrides={"dgd": partial})
    graph = final_graph(ENGINE, of, CHOSEN, Replicas())
    (worker,) = graph.with_role(Role.DECODE)
    assert worker.args[-4:] == ("--max-model-len", "8192", "--tensor-parallel-size", "1")
    assert worker.env == ({"name": "A", "value": "1"},)
    assert (graph.name, graph.labels) == ("mine", {"team": "x"})


def test_a_candidate_keeps_its_own_name_under_an_override() -> None:
    of = setting(overrides={"dgd": dgd(name="mine")})
    assert candidate_graph(ENGINE, of, TP1).name == "q-p-tp1"


def test_an_override_cannot_take_the_parallelism_away() -> None:
    partial = dgd(decode_with(args=["--tensor-parallel-size=8"]))
    graph = candidate_graph(ENGINE, setting(overrides={"dgd": partial}), TP2)
    (worker,) = graph.with_role(Role.DECODE)
    assert worker.args.count("--tensor-parallel-size") == 1
    assert worker.args[-1] == "2"


@pytest.mark.parametrize(
    ("partial", "words"),
    [
        pytest.param(
            {"apiVersion": "nvidia.com/v1alpha1", "kind": "DynamoGraphDeployment"},
            "nvidia.com/v1alpha1 cannot be merged yet",
            id="other version",
        ),
        pytest.param(
            dgd({"name": "VllmDecodeWorker"}),
            "'VllmDecodeWorker' is none of the generated components frontend, prefill, decode",
            id="unknown component",
        ),
        pytest.param(dgd({"name": "decode", "type": "cook"}), "type", id="unreadable"),
    ],
)
def test_an_override_that_cannot_be_merged_is_refused(partial: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        override(ENGINE.template("q"), partial)


def test_the_subject_of_a_candidate_is_what_its_engines_run() -> None:
    one, two = (
        subject_of(candidate_graph(ENGINE, setting(), c), ENGINE, "NVIDIA-H200") for c in (TP1, TP2)
    )
    assert one != two
    assert one.model == "org/model"
    assert "--disaggregation-mode" in one.prefill_args
