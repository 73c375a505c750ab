"""From one version of a DynamoGraphDeployment into the other, and back."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgdr_api import codec_v1beta1 as beta
from dgdr_api.conversion import ALPHA, BETA, converted
from dgdr_api.graph import Component, Graph, Role
from support.alpha import dgd, in_main, service, services, through

ANY = settings(max_examples=50, deadline=None)
CLAIM = {"name": "c", "persistentVolumeClaim": {"claimName": "c"}}
ENTRY = {"name": "A", "value": "1"}
TOKEN = {"secretRef": {"name": "token"}}


def beta_of(**fields: Any) -> dict[str, Any]:
    """Return the component that a v1alpha1 service becomes."""
    (component,) = converted(dgd(w=service(**fields)), BETA)["spec"]["components"]
    assert isinstance(component, dict)
    return component


def with_main(**main: Any) -> dict[str, Any]:
    return {"podTemplate": {"spec": {"containers": [{"name": "main", **main}]}}}


def in_v1beta1(*components: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "g"},
        "spec": {**spec, "components": list(components)},
    }


# As upstream converts a service, where it converts it.
@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        pytest.param({"replicas": 2}, {"replicas": 2}, id="replicas"),
        pytest.param(
            {"componentType": "worker", "subComponentType": "decode"}, {"type": "decode"}, id="type"
        ),
        pytest.param({"componentType": "prefill"}, {"type": "prefill"}, id="a role as a type"),
        pytest.param(in_main(image="i", args=["a"]), with_main(image="i", args=["a"]), id="main"),
        pytest.param(
            {"resources": {"limits": {"gpu": "8", "custom": {"rdma/ib": "8"}}}},
            with_main(resources={"limits": {"nvidia.com/gpu": "8", "rdma/ib": "8"}}),
            id="resources",
        ),
        pytest.param(
            {"envs": [ENTRY], **in_main(env=[{"name": "B"}])},
            with_main(env=[ENTRY, {"name": "B"}]),
            id="environment",
        ),
        pytest.param({"envFromSecret": "token"}, with_main(envFrom=[TOKEN]), id="secret"),
        pytest.param({"livenessProbe": {"a": 1}}, with_main(livenessProbe={"a": 1}), id="probe"),
        pytest.param(in_main(startupProbe={"a": 1}), with_main(startupProbe={"a": 1}), id="start"),
        pytest.param({"sharedMemory": {"size": "2Gi"}}, {"sharedMemorySize": "2Gi"}, id="memory"),
        pytest.param({"sharedMemory": {"disabled": True}}, {"sharedMemorySize": "0"}, id="none"),
        pytest.param({"multinode": {"nodeCount": 4}}, {"multinode": {"nodeCount": 4}}, id="nodes"),
        pytest.param({"scalingAdapter": {"enabled": True}}, {"scalingAdapter": {}}, id="adapter"),
        pytest.param({"scalingAdapter": {"enabled": False}}, {}, id="no adapter"),
        pytest.param({"eppConfig": {"a": 1}}, {"eppConfig": {"a": 1}}, id="a field of both"),
        pytest.param({"dynamoNamespace": "x", "ingress": {"a": 1}}, {}, id="fields of one"),
        pytest.param(
            {"frontendSidecar": {"image": "i"}},
            {
                "frontendSidecar": "sidecar-frontend",
                "podTemplate": {
                    "spec": {"containers": [{"name": "sidecar-frontend", "image": "i"}]}
                },
            },
            id="a frontend beside it",
        ),
        pytest.param(
            {"extraPodMetadata": {"labels": {"a": "1"}}, "extraPodSpec": {"hostIPC": True}},
            {"podTemplate": {"metadata": {"labels": {"a": "1"}}, "spec": {"hostIPC": True}}},
            id="pod",
        ),
        # Upstream's own: the mount alone, whose volume its controller finds elsewhere.
        pytest.param(
            {"volumeMounts": [{"name": "c", "mountPoint": "/c"}]},
            {
                "podTemplate": {
                    "spec": {
                        "volumes": [CLAIM],
                        "containers": [
                            {"name": "main", "volumeMounts": [{"name": "c", "mountPath": "/c"}]}
                        ],
                    }
                }
            },
            id="claim",
        ),
        # Upstream adds a mount without a place to it.
        pytest.param(
            {"volumeMounts": [{"name": "c", "useAsCompilationCache": True}]},
            {"compilationCache": {"pvcName": "c"}},
            id="cache",
        ),
    ],
)
def test_a_service_becomes_a_component(fields: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert beta_of(**fields) == {"name": "w", "type": "worker", **wanted}


def test_the_graphs_fields_have_the_names_of_the_version() -> None:
    topology = {"topologyProfile": "t", "packDomain": "rack"}
    manifest = dgd(backendFramework="vllm", envs=[ENTRY], topologyConstraint=topology)
    assert converted(manifest, BETA)["spec"] == {
        "backendFramework": "vllm",
        "env": [ENTRY],
        "topologyConstraint": {"clusterTopologyName": "t", "packDomain": "rack"},
        "components": [],
    }


PREFILL = ["-m", "dynamo.vllm", "--is-prefill-worker"]


@pytest.mark.parametrize(
    ("found", "roles"),
    [
        pytest.param(
            {"a": service(subComponentType="prefill"), "b": service(subComponentType="decode")},
            ["prefill", "decode"],
            id="sub type",
        ),
        pytest.param(
            {
                "a": service(**in_main(args=PREFILL)),
                "b": service(**in_main(args=["--disaggregation-mode=decode"])),
            },
            ["prefill", "decode"],
            id="arguments",
        ),
        pytest.param(
            {"a": service(**in_main(command=["sh", "-c"], args=[" ".join(PREFILL)]))},
            ["prefill"],
            id="a shell's script",
        ),
        pytest.param(
            {"VllmPrefillWorker": service(**in_main(args=PREFILL)), "VllmDecodeWorker": service()},
            ["prefill", "decode"],
            id="one by its arguments, one by its name",
        ),
        pytest.param(
            {"TRTLLMPrefillWorker": service(), "TRTLLMDecodeWorker": {"componentType": "main"}},
            ["prefill", "decode"],
            id="names",
        ),
        pytest.param(
            {"Frontend": {}, "VllmDecodeWorker": service()}, ["frontend", "worker"], id="aggregated"
        ),
        pytest.param({"prefill": service()}, ["worker"], id="an engine of its own"),
        pytest.param(
            {"encode": service(**in_main(args=["--disaggregation-mode", "encode"]))},
            ["worker"],
            id="another mode",
        ),
        pytest.param(
            {"Frontend": {"componentType": "main"}, "Planner": {}, "x": {"componentType": "epp"}},
            ["frontend", "planner", "epp"],
            id="others",
        ),
        # Upstream writes a type that v1beta1 refuses, or none, and gives them no ports and probes.
        pytest.param(
            {"LocalRouter": {"componentType": "default"}, "GlobalRouter": {}, "x": {"a": 1}},
            ["", "", ""],
            id="no role at all",
        ),
        pytest.param(
            {
                "a": {"resources": {"limits": {"gpu": "1"}}},
                "b": in_main(args=["python3 -m dynamo.sglang"]),
                "VllmWorker": {"componentType": "default"},
                "c": {"resources": {"limits": {"gpu": "0"}}},
            },
            ["worker", "worker", "worker", ""],
            id="engines without a type",
        ),
    ],
)
def test_roles_are_told_by_type_arguments_or_name(
    found: dict[str, dict[str, Any]], roles: list[str]
) -> None:
    manifest = dgd(**found)
    components = converted(manifest, BETA)["spec"]["components"]
    types = {component["name"]: component.get("type", "") for component in components}
    assert [types[name] for name in found] == roles
    assert through(manifest) == manifest


def test_what_only_v1alpha1_says_survives_v1beta1() -> None:
    manifest = dgd(
        pvcs=[{"name": "c", "create": True, "size": "1Gi", "storageClass": "s"}],
        VllmPrefillWorker=service(
            **in_main(args=PREFILL, name="x"),
            dynamoNamespace="d",
            autoscaling={"enabled": True},
            labels={"a": "b"},
            envs=[ENTRY],
            resources={"limits": {"cpu": "1000m", "gpu": "1", "gpuType": "x/y"}},
        ),
        VllmDecodeWorker={"componentType": "decode", "volumeMounts": [{"name": "c"} | PLACE]},
    )
    assert through(manifest) == manifest


PLACE = {"mountPoint": "/c", "useAsCompilationCache": False}


def test_what_only_v1beta1_says_survives_v1alpha1() -> None:
    pod = {
        "metadata": {"labels": {"a": "b"}, "generateName": "x"},
        "spec": {
            "containers": [
                {"name": "first", "image": "i"},
                {
                    "name": "main",
                    "image": "i",
                    "resources": {"limits": {"nvidia.com/gpu": 2}},
                    "volumeMounts": [{"name": "c", "mountPath": "/c", "readOnly": True}],
                },
            ],
            "volumes": [CLAIM],
        },
    }
    manifest = in_v1beta1(
        {"name": "prefill", "type": "worker", "podTemplate": pod},
        {"name": "decode", "type": "worker", "experimental": {"a": 1}, "replicas": 1},
        {"name": "c", "type": "decode", "scalingAdapter": {"enabled": False}},
        {"name": "d", "type": "worker", "compilationCache": {"pvcName": "p", "x": 1}},
        unknown={"a": 1},
    )
    assert through(manifest) == manifest


def test_an_edit_of_the_other_version_wins_over_what_is_remembered() -> None:
    component = {
        "name": "w",
        "type": "worker",
        "experimental": {"a": 1},
        **with_main(args=["old"]),
    }
    component["podTemplate"]["spec"]["containers"].insert(0, {"name": "first"})
    manifest = converted(in_v1beta1(component), ALPHA)
    services(manifest)["w"]["extraPodSpec"]["mainContainer"]["args"] = ["new"]
    wanted = deepcopy(component)
    wanted["podTemplate"]["spec"]["containers"][1]["args"] = ["new"]
    assert converted(manifest, BETA)["spec"]["components"] == [wanted]


def test_a_generated_deployment_needs_a_note_for_its_order_alone() -> None:
    graph = Graph(
        name="g",
        components=(
            Component(name="frontend", role=Role.FRONTEND, image="i"),
            Component(
                name="prefill",
                role=Role.PREFILL,
                gpus=2,
                volumes=(CLAIM,),
                volume_mounts=({"name": "c", "mountPath": "/c"},),
            ),
            Component(name="decode", role=Role.DECODE, env=(ENTRY,), scaling_adapter=True),
        ),
    )
    manifest = converted(beta.encode(graph), ALPHA)
    assert manifest["spec"]["pvcs"] == [{"name": "c", "create": False}]
    # Services come in the order of names, and components do not.
    assert list(manifest["metadata"].get("annotations", {})) == ["nvidia.com/dgd-spec"]
    in_order = graph.with_(components=tuple(sorted(graph.components, key=lambda c: c.name)))
    assert "annotations" not in converted(beta.encode(in_order), ALPHA)["metadata"]


# Whatever a v1beta1 manifest says comes back from v1alpha1.
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
WORDS = st.text("abc-=/. {}\"'é", min_size=1, max_size=8)
MAPS = st.dictionaries(NAMES, WORDS, max_size=2)
OBJECTS = st.lists(st.fixed_dictionaries({"name": NAMES, "value": WORDS}), max_size=2).map(tuple)
MOUNTS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("cd"), "mountPath": WORDS}, optional={"readOnly": st.booleans()}
    ),
    max_size=3,
).map(tuple)
VOLUMES = st.lists(
    st.sampled_from([CLAIM, {"name": "d", "emptyDir": {}}]), unique_by=str, max_size=2
).map(tuple)
RESOURCES = st.fixed_dictionaries(
    {},
    optional={
        kind: st.dictionaries(
            st.sampled_from(["cpu", "memory", "rdma/ib", "x/y"]),
            st.sampled_from(["1", 2, "500m"]),
            min_size=1,
        )
        for kind in ("limits", "requests")
    },
)
COMPONENTS = st.builds(
    Component,
    name=NAMES | st.sampled_from(["prefill", "decode", "frontend"]),
    # A component without a type has no word in v1alpha1: Role.NONE is tried in conversion/.
    role=st.sampled_from([role for role in Role if role]),
    replicas=st.none() | st.integers(0, 9),
    image=st.none() | WORDS,
    command=st.just(()) | st.just(("python3",)),
    args=st.lists(st.sampled_from([*PREFILL, "x"]), max_size=3).map(tuple),
    gpus=st.integers(0, 8),
    nodes=st.integers(1, 4),
    env=OBJECTS,
    env_from=st.sampled_from([(), (TOKEN,), (TOKEN, TOKEN), ({"secretRef": {"optional": True}},)]),
    volumes=VOLUMES,
    volume_mounts=MOUNTS,
    tolerations=OBJECTS,
    shared_memory_size=st.none() | st.sampled_from(["0", "8Gi"]),
    scaling_adapter=st.booleans(),
    labels=MAPS,
    annotations=MAPS,
    container=st.builds(
        lambda resources, probe: {"resources": resources, "livenessProbe": probe}, RESOURCES, MAPS
    ),
    pod=st.sampled_from([{}, {"hostIPC": True}, {"containers": [{"name": "a"}]}]),
    extra=st.sampled_from([{}, {"experimental": {"a": 1}}, {"compilationCache": {"pvcName": "p"}}]),
)
GRAPHS = st.builds(
    Graph,
    name=NAMES,
    components=st.lists(COMPONENTS, max_size=3, unique_by=lambda c: c.name).map(tuple),
    env=OBJECTS,
    backend=st.none() | st.just("vllm"),
    annotations=MAPS,
    pod_labels=MAPS,
)


@ANY
@given(GRAPHS)
def test_every_v1beta1_manifest_comes_back_from_v1alpha1(graph: Graph) -> None:
    manifest = beta.encode(graph)
    assert through(manifest) == manifest


PLACES = [
    *(("replicas",), ("podTemplate",), ("multinode",), ("scalingAdapter",), ("compilationCache",)),
    *(("frontendSidecar",), ("topologyConstraint",), ("podTemplate", "metadata")),
    *(("podTemplate", "spec", key) for key in ("containers", "volumes", "nodeSelector")),
]
WRONG = st.sampled_from(
    [None, "", 2, True, [], {}, [{}], [{"name": 1}], {"pvcName": [], "nodeCount": 3}, {"a": {}}]
)
MAIN = st.dictionaries(
    st.sampled_from(["name", "image", "env", "envFrom", "resources", "volumeMounts", "into"]),
    WRONG | st.just({"limits": {"nvidia.com/gpu": 1}, "requests": "x"}),
)


@ANY
@given(st.lists(st.tuples(st.sampled_from(PLACES), WRONG), max_size=3), MAIN)
def test_whatever_v1beta1_says_comes_back(
    wrong: list[tuple[tuple[str, ...], Any]], main: dict[str, Any]
) -> None:
    component: dict[str, Any] = {"name": "w", "type": "worker", **with_main(**deepcopy(main))}
    for (key, *inner), value in wrong:
        place = component
        while inner and isinstance(place.get(key), dict):
            place, (key, *inner) = place[key], inner
        place[key] = deepcopy(value)
    manifest = in_v1beta1(component)
    assert through(manifest) == manifest
