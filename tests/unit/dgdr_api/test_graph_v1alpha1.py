"""DynamoGraphDeployment v1alpha1: what its fields mean, and that a manifest survives."""

from contextlib import suppress
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgdr_api.conversion import BETA, converted
from dgdr_api.graph import Component, Graph, Role
from dgdr_api.graph_v1alpha1 import read_graph
from dgdr_api.reading import CodecError
from support.alpha import dgd, in_main, only, service, through

CLAIM = {"name": "c", "persistentVolumeClaim": {"claimName": "c"}}
ENTRY = {"name": "A", "value": "1"}


def decode(manifest: dict[str, Any]) -> Graph:
    graph, _ = read_graph(manifest)
    return graph


def component_of(**fields: Any) -> Component:
    return only(decode(dgd(w=service(**fields))))


def test_an_ordinary_service_is_understood() -> None:
    component = component_of(
        replicas=2,
        resources={"limits": {"gpu": "8", "memory": "8Gi"}, "requests": {"cpu": "2"}},
        multinode={"nodeCount": 2},
        scalingAdapter={"enabled": True},
        sharedMemory={"size": "80Gi"},
        envFromSecret="token",
        envs=[ENTRY],
        extraPodMetadata={"annotations": {"b": "2"}},
        extraPodSpec={
            "nodeSelector": {"pool": "gpu"},
            "tolerations": [{"key": "gpu"}],
            "mainContainer": {"image": "i", "command": ["c"], "args": ["-a"], "workingDir": "/w"},
        },
    )
    assert component == Component(
        name="w",
        role=Role.WORKER,
        replicas=2,
        image="i",
        command=("c",),
        args=("-a",),
        working_dir="/w",
        gpus=8,
        nodes=2,
        env=(ENTRY,),
        env_from=({"secretRef": {"name": "token"}},),
        tolerations=({"key": "gpu"},),
        shared_memory_size="80Gi",
        scaling_adapter=True,
        annotations={"b": "2"},
        container={
            "resources": {
                "limits": {"nvidia.com/gpu": "8", "memory": "8Gi"},
                "requests": {"cpu": "2"},
            }
        },
        pod={"nodeSelector": {"pool": "gpu"}},
    )


def test_the_graphs_own_fields_are_understood() -> None:
    manifest = dgd(
        backendFramework="vllm",
        envs=[ENTRY],
        labels={"a": "1"},
        annotations={"b": "2"},
        priorityClassName="high",
        topologyConstraint={"topologyProfile": "t", "packDomain": "rack"},
    )
    graph = decode(manifest)
    assert (graph.name, graph.backend, graph.env) == ("g", "vllm", (ENTRY,))
    assert (graph.pod_labels, graph.pod_annotations) == ({"a": "1"}, {"b": "2"})
    assert graph.extra == {
        "spec": {
            "priorityClassName": "high",
            "topologyConstraint": {"clusterTopologyName": "t", "packDomain": "rack"},
        }
    }
    assert through(manifest) == manifest


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        pytest.param({"sharedMemory": {"disabled": True}}, "0", id="disabled"),
        pytest.param({"sharedMemory": {"size": "2Gi"}}, "2Gi", id="size"),
        pytest.param({"sharedMemory": {}}, None, id="nothing said"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_shared_memory_has_a_size(fields: dict[str, Any], wanted: str | None) -> None:
    assert component_of(**fields).shared_memory_size == wanted


@pytest.mark.parametrize(
    ("adapter", "wanted"),
    [(None, False), ({}, False), ({"enabled": False}, False), ({"enabled": True}, True)],
)
def test_an_adapter_is_there_only_when_it_is_enabled(adapter: Any, wanted: bool) -> None:
    assert component_of(scalingAdapter=adapter).scaling_adapter is wanted


def test_a_number_of_nodes_that_is_not_given_is_two() -> None:
    assert component_of(multinode={}).nodes == 2


def test_entries_of_the_main_container_win_in_the_services_order() -> None:
    above = [{"name": "C", "value": "c"}, {"name": "B", "value": "above"}]
    component = component_of(envs=[ENTRY, {"name": "B", "value": "below"}], **in_main(env=above))
    assert component.env == (ENTRY, above[1], above[0])


def test_resources_of_the_main_container_win_key_by_key() -> None:
    component = component_of(
        resources={"limits": {"gpu": "1", "custom": {"rdma/ib": "2"}}, "claims": [{"name": "a"}]},
        **in_main(resources={"limits": {"nvidia.com/gpu": "4"}}),
    )
    assert component.gpus == 4
    assert component.container["resources"] == {
        "limits": {"nvidia.com/gpu": "4", "rdma/ib": "2"},
        "claims": [{"name": "a"}],
    }


def test_other_gpus_are_a_resource_of_that_name() -> None:
    limits = {"gpu": "2", "gpuType": "gpu.intel.com/xe"}
    component = component_of(resources={"limits": limits})
    assert component.gpus == 0
    assert component.container["resources"] == {"limits": {"gpu.intel.com/xe": "2"}}


def test_probes_of_the_main_container_win() -> None:
    flat = {"livenessProbe": {"periodSeconds": 1}, "readinessProbe": {"periodSeconds": 2}}
    component = component_of(**flat, **in_main(livenessProbe={"periodSeconds": 9}))
    assert component.container == {
        "livenessProbe": {"periodSeconds": 9},
        "readinessProbe": {"periodSeconds": 2},
    }


def test_a_mounted_claim_is_a_volume() -> None:
    own = {"name": "own", "emptyDir": {}}
    component = component_of(
        volumeMounts=[{"name": "c", "mountPoint": "/c"}],
        extraPodSpec={
            "volumes": [own],
            "mainContainer": {"volumeMounts": [{"name": "own", "mountPath": "/own"}]},
        },
    )
    assert component.volumes == (own, CLAIM)
    assert component.volume_mounts == (
        {"name": "own", "mountPath": "/own"},
        {"name": "c", "mountPath": "/c"},
    )


def test_a_volume_of_the_pod_wins_over_a_claim_of_its_name() -> None:
    own = {"name": "c", "hostPath": {"path": "/c"}}
    mounts = [{"name": "c", "mountPoint": "/c"}]
    assert component_of(volumeMounts=mounts, extraPodSpec={"volumes": [own]}).volumes == (own,)


@pytest.mark.parametrize(
    ("place", "path"), [({"mountPoint": "/cache"}, {"mountPath": "/cache"}), ({}, {})]
)
def test_a_compilation_cache_is_that_of_v1beta1(
    place: dict[str, str], path: dict[str, str]
) -> None:
    mounts = [{"name": "c", "useAsCompilationCache": True, **place}]
    component = component_of(volumeMounts=mounts)
    assert component.extra == {"compilationCache": {"pvcName": "c", **path}}
    assert component.volumes == component.volume_mounts == ()


def test_a_frontend_beside_an_engine_is_a_container() -> None:
    sidecar = {"image": "i", "args": ["-m", "x"], "envs": [ENTRY], "envFromSecret": "token"}
    component = component_of(frontendSidecar=sidecar, extraPodSpec={"containers": [{"name": "a"}]})
    assert component.extra == {"frontendSidecar": "sidecar-frontend"}
    assert component.pod["containers"] == [
        {"name": "a"},
        {
            "name": "sidecar-frontend",
            "image": "i",
            "args": ["-m", "x"],
            "env": [ENTRY],
            "envFrom": [{"secretRef": {"name": "token"}}],
        },
    ]


def test_labels_of_a_service_are_its_pods_and_the_pods_own_win() -> None:
    component = component_of(
        labels={"a": "service", "b": "service"},
        extraPodMetadata={"labels": {"b": "pod"}, "generateName": "x"},
    )
    assert component.labels == {"a": "service", "b": "pod"}
    assert component.pod_meta == {"generateName": "x"}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="type only"),
        pytest.param({"componentType": None}, id="nothing"),
        pytest.param({"componentType": "main"}, id="another type"),
        pytest.param({"componentType": "decode"}, id="a role as a type"),
        pytest.param({"subComponentType": "encode"}, id="another sub type"),
        pytest.param({"replicas": 0}, id="no replicas is a number"),
        pytest.param({"resources": {"limits": {"gpu": 2}}}, id="GPUs as a number"),
        pytest.param({"resources": {"limits": {"nvidia.com/gpu": "2"}}}, id="GPUs by their name"),
        pytest.param({"resources": {"limits": {"gpu": "1", "gpuType": "x/y"}}}, id="GPU type"),
        pytest.param(
            {"resources": {"requests": {"gpu": "1", "custom": {"rdma/ib": "1"}}}}, id="requests"
        ),
        pytest.param(in_main(resources={"limits": {"cpu": 1}}), id="resources of the container"),
        pytest.param(in_main(name="engine", image=""), id="name of the main container"),
        pytest.param({"envs": [ENTRY], **in_main(env=[ENTRY])}, id="entries twice"),
        pytest.param(
            {"envFromSecret": "s", **in_main(envFrom=[{"configMapRef": {"name": "c"}}])},
            id="secret and map",
        ),
        pytest.param({"livenessProbe": {}, **in_main(livenessProbe={"x": 1})}, id="probes"),
        pytest.param({"volumeMounts": [{"name": "c", "mountPoint": "/c"}]}, id="claim"),
        pytest.param(
            {
                "extraPodSpec": {
                    "volumes": [CLAIM],
                    "mainContainer": {"volumeMounts": [{"name": "c", "mountPath": "/c"}]},
                }
            },
            id="claim in full",
        ),
        pytest.param(
            {
                "volumeMounts": [
                    {"name": "c", "useAsCompilationCache": True},
                    {"name": "d", "mountPoint": "/d", "useAsCompilationCache": True},
                ]
            },
            id="two caches",
        ),
        pytest.param({"sharedMemory": {"disabled": True, "size": "1Gi"}}, id="memory, both"),
        pytest.param({"multinode": {"nodeCount": 1}}, id="one node"),
        pytest.param({"scalingAdapter": {"enabled": False}}, id="adapter switched off"),
        pytest.param({"labels": {"a": "b"}, "annotations": {"c": "d"}}, id="labels"),
        pytest.param({"extraPodSpec": {"containers": [{"name": "a"}]}}, id="sidecar"),
        pytest.param({"extraPodSpec": {"containers": [{"name": "main"}]}}, id="main elsewhere"),
        pytest.param({"frontendSidecar": {"image": "i"}}, id="frontend beside it"),
        pytest.param({"eppConfig": {"a": 1}, "modelRef": {"name": "m"}}, id="fields of both"),
        pytest.param(
            {"dynamoNamespace": "d", "autoscaling": {"enabled": True}, "ingress": {"host": "h"}},
            id="fields of v1alpha1",
        ),
        pytest.param({"serviceName": "x", "pvc": {"name": "c"}, "into": 1}, id="unknown fields"),
    ],
)
def test_a_services_spelling_survives(fields: dict[str, Any]) -> None:
    manifest = dgd(w=service(**fields))
    assert through(manifest) == manifest


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"services": None}, id="no services"),
        pytest.param({"services": {"w": None}}, id="no service"),
        pytest.param({"services": {"w": {}}}, id="empty service"),
        pytest.param({"pvcs": [{"name": "c", "create": True, "size": "1Gi"}]}, id="claim to make"),
        pytest.param({"pvcs": [{"size": "1Gi"}, {"name": "c"}]}, id="claim without a name"),
        pytest.param({"graphs": [{"name": "x"}]}, id="unknown field"),
        pytest.param({"restart": {"id": "1"}, "providerOverride": {"a": 1}}, id="fields of both"),
    ],
)
def test_a_graphs_spelling_survives(spec: dict[str, Any]) -> None:
    manifest = dgd(w=service()) | {"spec": {"services": {"w": service()}, **spec}}
    assert through(manifest) == manifest


def test_what_needs_no_note_has_none() -> None:
    manifest = dgd(w=service(replicas=1, **in_main(image="i")))
    assert "annotations" not in converted(manifest, BETA)["metadata"]


def test_fields_without_a_place_are_listed() -> None:
    found = service(ingress={}, serviceName="x", replicas=1, resources={"gpu": "1"})
    assert read_graph(dgd(w=found, graphs=[]))[1] == (
        "spec.graphs",
        "spec.services.w.ingress",
        "spec.services.w.resources.gpu",
    )


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        pytest.param(
            {"apiVersion": "nvidia.com/v1beta1", "kind": "DynamoGraphDeployment"},
            "apiVersion, kind: 'nvidia.com/v1beta1 DynamoGraphDeployment' is not "
            "nvidia.com/v1alpha1 DynamoGraphDeployment",
            id="another version",
        ),
        pytest.param(
            dgd(w=service(replicas="two")),
            "spec.services.w.replicas: 'two' is not a whole number from 0",
            id="a word for a number",
        ),
        pytest.param(
            dgd(w=service(extraPodSpec=[])),
            "spec.services.w.extraPodSpec: [] is not an object",
            id="an array for a pod",
        ),
        pytest.param(dgd(w=[]), "spec.services.w: [] is not an object", id="an array"),
        pytest.param(
            dgd(w=service(resources={"limits": {"gpu": "half"}})),
            "spec.services.w.resources.limits.gpu: 'half' is not a whole number of GPUs, of at "
            "most 10 digits",
            id="half a GPU",
        ),
        pytest.param(
            dgd(w=service(**in_main(args=["--tp", 2]))),
            "spec.services.w.extraPodSpec.mainContainer.args: ['--tp', 2] is not an array of "
            "strings; quote numbers",
            id="a number among the arguments",
        ),
        pytest.param(
            dgd(w=service(componentType=["worker"])),
            "spec.services.w.componentType: ['worker'] is not a string",
            id="types",
        ),
        pytest.param(
            dgd(w=service(volumeMounts=[{"name": "c"}])),
            "spec.services.w.volumeMounts[0]: {'name': 'c'} is not a mount with name and "
            "mountPoint",
            id="a mount without a place",
        ),
        pytest.param(
            dgd(w=service(), W=service()),
            "spec.services: 'W' is not a name that differs from 'w' in more than upper and lower "
            "case",
            id="a name twice",
        ),
        pytest.param(
            dgd(**{"": service()}),
            "spec.services: '' is not the name of a service; quote numbers",
            id="no name",
        ),
        pytest.param(
            dgd(w=service(labels={1: "a"}, **{})) | {"spec": {1: 2}},
            "spec: {1: 2} is not an object with strings for keys; quote numbers",
            id="a number for a key",
        ),
    ],
)
def test_what_cannot_be_read_is_named(manifest: dict[str, Any], text: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode(manifest)
    assert str(caught.value) == text


# No deadline: on a busy machine the time of one example says nothing about the code.
ANY = settings(max_examples=200, deadline=None)

WRONG = st.one_of(
    *(st.sampled_from([None, "", "two", -1, 2, 1.5, True, [], {}, [{}], [None], {"a": []}]),),
    st.dictionaries(st.sampled_from(["name", "limits", "enabled", "custom"]), st.integers()),
)
PLACES = [
    *(("metadata",), ("metadata", "name"), ("metadata", "annotations"), ("spec",)),
    *(("spec", key) for key in ("services", "pvcs", "envs", "labels", "topologyConstraint")),
    *(
        ("spec", "services", "w", key)
        for key in (
            *("componentType", "subComponentType", "replicas", "resources", "multinode", "envs"),
            *("envFromSecret", "sharedMemory", "scalingAdapter", "volumeMounts", "livenessProbe"),
            *("extraPodSpec", "extraPodMetadata", "frontendSidecar", "labels", "eppConfig"),
        )
    ),
    *(
        ("spec", "services", "w", "extraPodSpec", key)
        for key in ("mainContainer", "containers", "volumes", "tolerations")
    ),
    *(
        ("spec", "services", "w", "extraPodSpec", "mainContainer", key)
        for key in ("image", "command", "args", "env", "envFrom", "resources", "volumeMounts")
    ),
    ("spec", "services", "w", "resources", "limits"),
    ("spec", "services", "w", "resources", "limits", "gpu"),
    ("spec", "services", "w", "resources", "limits", "custom"),
]


def put(manifest: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for key in path[:-1]:
        inner = manifest.setdefault(key, {})
        if not isinstance(inner, dict):
            return
        manifest = inner
    manifest[path[-1]] = deepcopy(value)


@ANY
@given(st.lists(st.tuples(st.sampled_from(PLACES), WRONG), max_size=4))
def test_whatever_is_written_is_read_or_refused_in_words(
    wrong: list[tuple[tuple[str, ...], Any]],
) -> None:
    manifest = dgd(w=service(), v=service(envs=[ENTRY]))
    for path, value in wrong:
        put(manifest, path, value)
    with suppress(CodecError):
        decode(manifest)
    assert through(manifest).get("spec") == manifest["spec"]
