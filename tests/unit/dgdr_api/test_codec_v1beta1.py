from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dgdr_api.codec_v1beta1 import decode, encode
from dgdr_api.gpus import graph_gpus
from dgdr_api.graph import Component, Graph, Role
from dgdr_api.pods import main_container, pod_template
from dgdr_api.reading import CodecError

MANIFESTS = Path(__file__).parents[2] / "golden" / "api" / "manifests"
STOCK: dict[str, Any] = yaml.safe_load((MANIFESTS / "valid" / "dgd.yaml").read_text())


def dgd(*components: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "g"},
        "spec": {"components": list(components), **spec},
    }


def worker(**fields: Any) -> dict[str, Any]:
    return {"name": "w", "type": "worker", **fields}


def in_pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return worker(podTemplate={"spec": {"containers": list(containers), **spec}})


def main(**fields: Any) -> dict[str, Any]:
    return {"name": "main", **fields}


def only(manifest: dict[str, Any]) -> Component:
    (component,) = decode(manifest).components
    return component


def test_a_stock_manifest_survives() -> None:
    assert encode(decode(STOCK)) == STOCK


def test_a_stock_manifest_is_understood() -> None:
    graph = decode(STOCK)
    frontend, prefill, decoder = graph.components
    assert (graph.name, graph.backend, graph.labels) == ("vllm-disagg", "vllm", {"team": "a"})
    assert graph.env == ({"name": "HF_HOME", "value": "/cache"},)
    assert (frontend.role, frontend.replicas, frontend.gpus) == (Role.FRONTEND, 1, 0)
    assert (prefill.role, prefill.replicas, prefill.gpus) == (Role.PREFILL, None, 1)
    assert prefill.shared_memory_size == "80Gi"
    assert prefill.working_dir == "/workspace"
    assert prefill.annotations == {"team": "a"}
    assert prefill.scaling_adapter
    assert decoder.scaling_adapter
    assert (decoder.replicas, decoder.gpus, decoder.nodes) == (0, 8, 2)
    assert decoder.image == "registry.test/vllm-runtime:1.0.2"


@pytest.mark.parametrize(
    "component",
    [
        pytest.param(worker(), id="nothing but a name"),
        pytest.param(worker(replicas=0), id="no replicas is a number"),
        pytest.param(worker(scalingAdapter={"enabled": False}), id="adapter switched off"),
        pytest.param(worker(compilationCache={"pvcName": "c"}), id="field without a place"),
        pytest.param(in_pod(main()), id="bare main"),
        pytest.param(in_pod({"name": "a"}, main(image="i"), {"name": "b"}), id="main in between"),
        pytest.param(in_pod({"name": "a"}), id="sidecar without main"),
        pytest.param(in_pod(main(image="i"), nodeSelector={"a": "b"}), id="field of the pod"),
        pytest.param(
            in_pod(main(resources={"limits": {"nvidia.com/gpu": 2}})), id="GPUs as a number"
        ),
        pytest.param(
            in_pod(main(resources={"requests": {"nvidia.com/gpu": "2", "cpu": 1}})),
            id="GPUs as a request",
        ),
        pytest.param(
            worker(podTemplate={"metadata": {"labels": {"a": "b"}, "generateName": "x"}}),
            id="metadata of the pod",
        ),
    ],
)
def test_spelling_survives(component: dict[str, Any]) -> None:
    assert encode(decode(dgd(component))) == dgd(component)


def test_what_the_server_wrote_is_left_behind() -> None:
    manifest = dgd(worker())
    stored = manifest | {
        "metadata": manifest["metadata"]
        | {"uid": "u", "resourceVersion": "1", "generation": 3, "managedFields": [{}]},
        "status": {"state": "successful"},
    }
    assert encode(decode(stored)) == manifest


def test_an_owner_stays() -> None:
    manifest = dgd(worker())
    manifest["metadata"]["ownerReferences"] = [{"kind": "X", "name": "x"}]
    assert encode(decode(manifest)) == manifest


@pytest.mark.parametrize(
    ("adapter", "wanted"),
    [(None, False), ({}, True), ({"enabled": True}, True), ({"enabled": False}, False)],
)
def test_an_adapter_is_wanted_once_it_is_there(adapter: Any, wanted: bool) -> None:
    component = worker() if adapter is None else worker(scalingAdapter=adapter)
    assert only(dgd(component)).scaling_adapter is wanted


def test_a_changed_adapter_wins_over_its_spelling() -> None:
    graph = decode(dgd(worker(scalingAdapter={"enabled": False})))
    (component,) = graph.components
    changed = encode(graph.with_component(component.with_(scaling_adapter=True)))
    assert changed["spec"]["components"][0]["scalingAdapter"] == {}
    again = encode(graph.with_component(component.with_(scaling_adapter=False)))
    assert again == dgd(worker(scalingAdapter={"enabled": False}))


@pytest.mark.parametrize(
    ("before", "gpus", "after"),
    [
        pytest.param({}, 2, {"limits": {"nvidia.com/gpu": "2"}}, id="new"),
        pytest.param(
            {"limits": {"nvidia.com/gpu": 1, "cpu": "4"}, "requests": {"cpu": "1"}},
            4,
            {"limits": {"nvidia.com/gpu": "4", "cpu": "4"}, "requests": {"cpu": "1"}},
            id="others stay",
        ),
        pytest.param(
            {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}},
            2,
            {"limits": {"nvidia.com/gpu": "2"}, "requests": {"nvidia.com/gpu": "2"}},
            id="limit and request stay equal",
        ),
        pytest.param({"limits": {"nvidia.com/gpu": "1"}}, 0, None, id="none left"),
    ],
)
def test_gpus_decide(before: dict[str, Any], gpus: int, after: dict[str, Any] | None) -> None:
    component = only(dgd(in_pod(main(image="i", resources=before))))
    assert main_container(component.with_(gpus=gpus)).get("resources") == after


def test_a_built_component_needs_no_spelling() -> None:
    component = Component(name="w", role=Role.WORKER, image="i", args=("-m",), gpus=1)
    assert pod_template(component) == {
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": "i",
                    "args": ["-m"],
                    "resources": {"limits": {"nvidia.com/gpu": "1"}},
                }
            ]
        }
    }


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        pytest.param(
            {"apiVersion": "nvidia.com/v1alpha1", "kind": "DynamoGraphDeployment"},
            "apiVersion, kind: 'nvidia.com/v1alpha1 DynamoGraphDeployment' is not "
            "nvidia.com/v1beta1 DynamoGraphDeployment",
            id="another version",
        ),
        pytest.param(
            dgd(worker(type="router")),
            "spec.components[0].type: 'router' is not one of frontend, worker, prefill, decode, "
            "planner, epp",
            id="unknown role",
        ),
        pytest.param(
            dgd({"type": "worker"}),
            "spec.components[0].name: None is not the component's name",
            id="no name",
        ),
        pytest.param(
            dgd(worker(replicas=-1)),
            "spec.components[0].replicas: -1 is not a whole number from 0",
            id="negative replicas",
        ),
        pytest.param(
            dgd(worker(replicas=True)),
            "spec.components[0].replicas: True is not a whole number from 0",
            id="boolean replicas",
        ),
        pytest.param(
            dgd(in_pod(main(args=["--tp", 2]))),
            "spec.components[0].podTemplate.spec.containers[main].args: ['--tp', 2] is not an "
            "array of strings; quote numbers",
            id="number among the arguments",
        ),
        pytest.param(
            dgd(in_pod(main(resources={"limits": {"nvidia.com/gpu": "half"}}))),
            "spec.components[0].podTemplate.spec.containers[main].resources.limits"
            "[nvidia.com/gpu]: 'half' is not a whole number of GPUs, of at most 10 digits",
            id="half a GPU",
        ),
        pytest.param(
            dgd(worker(podTemplate=[])),
            "spec.components[0].podTemplate: [] is not an object",
            id="array for an object",
        ),
        pytest.param(dgd(env={}), "spec.env: {} is not an array of objects", id="map for an array"),
        pytest.param(
            dgd(labels={"a": 1}),
            "spec.labels: {'a': 1} is not a map of strings; quote numbers and booleans",
            id="number for a label",
        ),
        pytest.param(
            dgd(in_pod(main(env=[{"value": "x"}]))),
            "spec.components[0].podTemplate.spec.containers[main].env[0].name: None is not a "
            "string",
            id="variable without a name",
        ),
        pytest.param(
            dgd(worker(), env=[{"name": "A", "value": 1}]),
            "spec.env[0].value: 1 is not a string; quote numbers and booleans",
            id="number for a variable",
        ),
        pytest.param(
            dgd(in_pod(main(), terminationGracePeriodSeconds="30s")),
            "spec.components[0].podTemplate.spec.terminationGracePeriodSeconds: '30s' is not a "
            "whole number from 0",
            id="duration for seconds",
        ),
        pytest.param(
            dgd(in_pod(main(livenessProbe=["x"]))),
            "spec.components[0].podTemplate.spec.containers[main].livenessProbe: ['x'] is not an "
            "object",
            id="list for a probe",
        ),
        pytest.param(
            dgd(in_pod(main(lifecycle="none"))),
            "spec.components[0].podTemplate.spec.containers[main].lifecycle: 'none' is not an "
            "object",
            id="word for a lifecycle",
        ),
        pytest.param(
            dgd(worker(compilationCache={})),
            "spec.components[0].compilationCache.pvcName: None is not the name of a "
            "PersistentVolumeClaim",
            id="cache without a claim",
        ),
    ],
)
def test_what_cannot_be_read_is_named(manifest: dict[str, Any], text: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode(manifest)
    assert str(caught.value) == text


# No deadline: on a busy machine the time of one example says nothing about the code.
ANY = settings(max_examples=50)

# Properties: any graph that rooms can build is written and read back as it was.
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
WORDS = st.text("abc-=/. {}\"'é", min_size=1, max_size=8)
MAPS = st.dictionaries(NAMES, WORDS, max_size=2)
OBJECTS = st.lists(st.fixed_dictionaries({"name": NAMES, "value": WORDS}), max_size=2).map(tuple)
MOUNTS = st.lists(st.fixed_dictionaries({"mountPath": WORDS}), max_size=2).map(tuple)
TEXTS = st.lists(st.text(max_size=6), max_size=3).map(tuple)
COMPONENTS = st.builds(
    Component,
    name=NAMES,
    role=st.sampled_from(Role),
    replicas=st.none() | st.integers(0, 9),
    image=st.none() | WORDS,
    command=TEXTS,
    args=TEXTS,
    working_dir=st.none() | WORDS,
    gpus=st.just(0),
    nodes=st.integers(1, 4),
    env=OBJECTS,
    env_from=OBJECTS,
    volumes=OBJECTS,
    volume_mounts=MOUNTS,
    tolerations=OBJECTS,
    shared_memory_size=st.none() | st.sampled_from(["0", "8Gi"]),
    scaling_adapter=st.booleans(),
    labels=MAPS,
    annotations=MAPS,
)
GRAPHS = st.builds(
    Graph,
    name=NAMES,
    namespace=st.none() | NAMES,
    components=st.lists(COMPONENTS, max_size=4, unique_by=lambda c: c.name).map(tuple),
    env=OBJECTS,
    backend=st.none() | st.sampled_from(["vllm", "sglang", "trtllm"]),
    labels=MAPS,
    annotations=MAPS,
    pod_labels=MAPS,
    pod_annotations=MAPS,
)


@ANY
@given(GRAPHS)
def test_a_graph_survives(graph: Graph) -> None:
    assert decode(encode(graph)) == graph


@ANY
@given(GRAPHS)
def test_a_manifest_survives(graph: Graph) -> None:
    manifest = encode(graph)
    assert encode(decode(manifest)) == manifest


@ANY
@given(GRAPHS, st.integers(1, 16))
def test_gpus_survive(graph: Graph, gpus: int) -> None:
    components = tuple(replace(component, gpus=gpus) for component in graph.components)
    back = decode(encode(graph.with_(components=components)))
    assert [component.gpus for component in back.components] == [gpus] * len(components)
    assert graph_gpus(back) == graph_gpus(graph.with_(components=components))
