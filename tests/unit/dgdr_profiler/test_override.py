"""A user's partial DGD over a generated one, in both versions of the DGD."""

from typing import Any

import pytest

from dgdr_api.effective import EffectiveModelCache
from dgdr_api.graph import Component, Graph
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.override import override
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.engines.source import ModelSource
from dgdr_profiler.engines.vllm import Vllm
from support.engines import engine_of

ENGINE = Vllm(image="images.test/vllm-runtime:1", source=ModelSource(model="org/model"))
PAIR = Shape.pair(Mapping.tensor(1))
GRAPH = ENGINE.template("q", PAIR)


def dgd(*components: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": metadata,
        "spec": {"components": list(components)},
    }


def alpha(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "nvidia.com/v1alpha1", "kind": "DynamoGraphDeployment", "spec": spec}


def decode_with(name: str = "decode", **main: Any) -> dict[str, Any]:
    containers = [{"name": "main", **main}]
    return {"name": name, "podTemplate": {"spec": {"containers": containers}}}


def main_service(**main: Any) -> dict[str, Any]:
    return {"extraPodSpec": {"mainContainer": main}}


def decode_of(partial: dict[str, Any], graph: Graph = GRAPH) -> Component:
    return engine_of(override(graph, partial))


def test_arguments_replace_in_v1beta1_and_entries_merge_by_name() -> None:
    own = ["--max-model-len", "8192"]
    partial = dgd(decode_with(args=own, env=[{"name": "A", "value": "1"}]), labels={"team": "x"})
    graph = override(GRAPH, partial)
    worker = engine_of(graph)
    assert worker.args == tuple(own)
    assert worker.env == ({"name": "A", "value": "1"},)
    assert graph.labels == {"team": "x"}
    assert engine_of(graph, "prefill").args == engine_of(GRAPH, "prefill").args


def test_arguments_append_to_a_workers_in_v1alpha1_and_replace_a_frontends() -> None:
    own = ["--max-model-len", "8192"]
    services = {"decode": main_service(args=own), "Frontend": main_service(args=["-m", "x"])}
    graph = override(GRAPH, alpha(services=services))
    assert engine_of(graph).args == (*engine_of(GRAPH).args, *own)
    assert engine_of(graph, "frontend").args == ("-m", "x")


def test_ranks_in_an_override_ask_for_their_gpus() -> None:
    own = ["--data-parallel-size", "8"]
    overrides = (
        dgd(decode_with(args=own)),
        alpha(services={"VllmDecodeWorker": main_service(args=own)}),
    )
    for partial in overrides:
        worker = engine_of(ENGINE.with_shape(override(GRAPH, partial), PAIR))
        assert worker.gpus == 8
        assert worker.args[worker.args.index("--data-parallel-size") + 1] == "8"
        assert worker.args[worker.args.index("--model") + 1] == "org/model"


def test_what_is_said_of_another_shapes_engine_has_no_effect() -> None:
    partial = dgd(decode_with("worker", args=["--x"]), decode_with(args=["--y"]))
    assert decode_of(partial).args == ("--y",)
    aggregated = ENGINE.template("q", Shape(worker=Mapping.tensor(1)))
    assert engine_of(override(aggregated, partial), "worker").args == ("--x",)


def test_an_engine_of_its_own_takes_what_is_said_of_it_in_a_pair() -> None:
    alone = ENGINE.template("q", Shape(decode=Mapping.tensor(1)))
    assert decode_of(dgd(decode_with(args=["--y"])), alone).args == ("--y",)


@pytest.mark.parametrize("name", ["VllmDecodeWorker", "SGLangDecodeWorker", "DECODE"])
def test_upstreams_earlier_names_are_known(name: str) -> None:
    assert decode_of(dgd(decode_with(name, args=["--y"]))).args == ("--y",)
    assert decode_of(alpha(services={name: {"replicas": 3}})).replicas == 3


def test_every_field_of_a_v1alpha1_service_has_its_place() -> None:
    service = {
        "componentType": "worker",
        "subComponentType": "decode",
        "replicas": 2,
        "resources": {
            "limits": {"gpu": "4", "memory": "8Gi", "custom": {"rdma/ib": "1"}},
            "requests": {"cpu": "2"},
        },
        "envs": [{"name": "A", "value": "1"}],
        "envFromSecret": "token",
        "sharedMemory": {"size": "80Gi"},
        "multinode": {"nodeCount": 2},
        "scalingAdapter": {"enabled": True},
        "volumeMounts": [{"name": "weights", "mountPoint": "/w"}],
        "labels": {"a": "1"},
        "extraPodMetadata": {"annotations": {"b": "2"}},
        "livenessProbe": {"periodSeconds": 9},
        "extraPodSpec": {
            "nodeSelector": {"pool": "gpu"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "containers": [{"name": "sidecar", "image": "s"}],
            "mainContainer": {"workingDir": "/workspace", "env": [{"name": "B", "value": "2"}]},
        },
    }
    worker = decode_of(alpha(pvcs=[{"name": "weights"}], services={"decode": service}))
    assert (worker.replicas, worker.nodes, worker.gpus) == (2, 2, 4)
    assert worker.shared_memory_size == "80Gi"
    assert worker.scaling_adapter
    assert worker.working_dir == "/workspace"
    assert [entry["name"] for entry in worker.env] == ["A", "B"]
    assert worker.env_from == ({"secretRef": {"name": "token"}},)
    claim = {"name": "weights", "persistentVolumeClaim": {"claimName": "weights"}}
    assert claim in worker.volumes
    assert {"name": "weights", "mountPath": "/w"} in worker.volume_mounts
    assert (worker.labels, worker.annotations) == ({"a": "1"}, {"b": "2"})
    assert worker.container["livenessProbe"] == {"periodSeconds": 9}
    assert worker.container["resources"]["limits"]["rdma/ib"] == "1"
    assert worker.pod["nodeSelector"] == {"pool": "gpu"}
    assert worker.tolerations == ({"key": "gpu", "operator": "Exists"},)
    assert [c["name"] for c in worker.pod["containers"]] == ["main", "sidecar"]
    assert worker.command == engine_of(GRAPH).command


def test_a_mounted_name_of_v1alpha1_is_the_generated_volume_where_there_is_one() -> None:
    claim = EffectiveModelCache(pvc_name="weights", mount_path="/m", model_path=None)
    source = ModelSource(model="org/model", cache=claim)
    graph = Vllm(image="i", source=source).template("q", PAIR)
    mounts = [{"name": name, "mountPoint": f"/{name}"} for name in ("model-cache", "scratch")]
    worker = decode_of(alpha(services={"decode": {"volumeMounts": mounts}}), graph)
    claims = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in worker.volumes}
    assert claims == {"model-cache": "weights", "scratch": "scratch"}


def test_resource_claims_of_v1alpha1_reach_the_container() -> None:
    claims = [{"name": "gpu"}]
    worker = decode_of(alpha(services={"decode": {"resources": {"claims": claims}}}))
    assert worker.container["resources"]["claims"] == claims


def test_shared_memory_that_v1alpha1_disables_has_no_size() -> None:
    partial = alpha(services={"decode": {"sharedMemory": {"disabled": True}}})
    assert decode_of(partial).shared_memory_size == "0"


def test_the_graphs_own_fields_of_v1alpha1_have_their_place() -> None:
    env = [{"name": "A", "value": "b"}]
    graph = override(GRAPH, alpha(envs=env, labels={"a": "1"}, backendFramework="vllm"))
    assert (graph.env, graph.pod_labels, graph.backend) == (tuple(env), {"a": "1"}, "vllm")


@pytest.mark.parametrize(
    ("partial", "words"),
    [
        pytest.param(
            {"apiVersion": "nvidia.com/v1", "kind": "DynamoGraphDeployment"},
            "apiVersion: nvidia.com/v1 is none of nvidia.com/v1beta1, nvidia.com/v1alpha1",
            id="other version",
        ),
        pytest.param(
            dgd({"name": "dcode"}),
            "'dcode' is none of the generated components frontend, prefill, decode, worker",
            id="unknown component",
        ),
        pytest.param(alpha(services={"Planner": {}}), "'Planner' is none of", id="unknown service"),
        pytest.param(dgd({"name": "decode", "type": "cook"}), "type", id="unreadable"),
        pytest.param(
            alpha(services={"decode": {"ingress": {}}}),
            "spec.services.decode.ingress: has no place",
            id="field without a place",
        ),
        pytest.param(alpha(cook=1), "spec.cook: has no place", id="spec without a place"),
        pytest.param(
            alpha(services={"decode": {"replicas": "two"}}),
            "spec.overrides.dgd.spec.services.decode.replicas: 'two' is not a whole number",
            id="a word for a number",
        ),
        pytest.param(
            alpha(services={"decode": []}), "decode: \\[\\] is not an object", id="no object"
        ),
        pytest.param(alpha(services=[]), "services: \\[\\] is not an object", id="no map"),
    ],
)
def test_an_override_that_cannot_be_merged_is_refused(partial: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        override(GRAPH, partial)
