"""Whatever a raw field holds: it is used, or one error names it; nothing else comes out.

Each example is a manifest that works, in which one value was replaced by any JSON.
"""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dgdr_api import validate
from dgdr_api.codec_v1beta1 import decode
from dgdr_api.models.dgd_v1beta1 import DGDStatus
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_api.models.profiling_policy import ProfilingPolicySpec
from dgdr_api.reading import CodecError
from dgdr_api.request import OwnerReference, ProfilingRequest
from dgdr_operator.core.adapter import decide_copy, find_target, read_adapter, render_adapter
from dgdr_operator.core.final_config import (
    BadResult,
    applied_manifest,
    data_manifest,
    read_deployment,
)
from dgdr_operator.core.graph_status import GraphSeen, status_after
from dgdr_operator.core.job import JobImage, read_override, render_job
from dgdr_operator.core.lacks import ClusterFacts, lacks_of_graph
from dgdr_operator.core.observation import Output, Request
from dgdr_operator.core.observed_run import dgd_name_of, request_seen
from dgdr_operator.core.workloads import render_workloads
from support.dgdr_world import T0, dgdr, generated_dgd, sla_planner
from support.dgds import OWNER, PLANE, dgd

ANY = settings(max_examples=200)

CONTAINER: dict[str, Any] = {
    "name": "main",
    "image": "i",
    "command": ["python3"],
    "args": ["-m", "dynamo.vllm", "--model", "$(MODEL)"],
    "workingDir": "/w",
    "env": [{"name": "MODEL", "value": "m"}, {"name": "B", "valueFrom": {"fieldRef": {}}}],
    "envFrom": [{"secretRef": {"name": "s"}}],
    "ports": [{"name": "http", "containerPort": 1}],
    "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
    "livenessProbe": {"httpGet": {"path": "/"}},
    "resources": {"limits": {"nvidia.com/gpu": "1", "cpu": 1}, "requests": {"cpu": "1"}},
    "securityContext": {"runAsUser": 1},
    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
}
POD: dict[str, Any] = {
    "containers": [CONTAINER, {"name": "beside", "env": [{"name": "A"}]}],
    "initContainers": [{"name": "before"}],
    "volumes": [{"name": "v", "emptyDir": {}}],
    "tolerations": [{"key": "k"}],
    "imagePullSecrets": [{"name": "s"}],
    "securityContext": {"fsGroup": 1},
    "serviceAccountName": "a",
    "terminationGracePeriodSeconds": 30,
    "nodeSelector": {"a": "b"},
    "affinity": {},
}
TEMPLATE = {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}, "name": "n"}, "spec": POD}
GRAPH = dgd(
    {
        "name": "decode",
        "type": "decode",
        "replicas": 1,
        "scalingAdapter": {"enabled": True},
        "sharedMemorySize": "1Gi",
        "compilationCache": {"pvcName": "c", "mountPath": "/c"},
        "multinode": None,
        "podTemplate": TEMPLATE,
    },
    {"name": "f", "type": "frontend", "podTemplate": {"spec": {"containers": [CONTAINER]}}},
    env=[{"name": "X", "value": "y"}],
    labels={"a": "b"},
    annotations={"a": "b"},
    backendFramework="vllm",
)
JOB_TEMPLATE = {
    "metadata": TEMPLATE["metadata"],
    "spec": {**POD, "containers": [{**CONTAINER, "name": "profiler"}]},
}
SPEC: dict[str, Any] = dgdr(
    hardware={"gpuSku": "h200_sxm"},
    modelCache={"pvcName": "c"},
    workload={"isl": 1},
    sla={"ttft": 1, "itl": 1},
    features={"planner": {"max_gpu_budget": 8, "mode": "disagg"}, "mocker": {"enabled": False}},
    overrides={
        "profilingJob": {"backoffLimit": 1, "template": JOB_TEMPLATE},
        "dgd": {
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeployment",
            "metadata": {"name": "other"},
            "spec": {"components": [{"name": "decode", "podTemplate": TEMPLATE}]},
        },
    },
)["spec"]
FREE = ProfilingPolicySpec.model_validate(
    {"overrides": {"images": ["*"], "serviceAccounts": ["a"], "unrestricted": True}}
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["30s", "main", "profiler", "name", "-1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "value", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
Path = tuple[Any, ...]


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    if at:
        yield at
    children: Any = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    for key, child in children:
        yield from paths(child, (*at, key))


ODD = (None, True, 5, "30s", "", [], {}, ["x"], [{}], [None], {"name": ["x"]}, {"name": None})


def with_(whole: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    out = copy.deepcopy(whole)
    place: Any = out
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return out


def places(whole: dict[str, Any], below: Path) -> list[Path]:
    return [path for path in paths(whole) if path[: len(below)] == below and path != below]


def damaged(whole: dict[str, Any], below: Path = ()) -> st.SearchStrategy[dict[str, Any]]:
    """Return ``whole`` with one value replaced by another."""
    changes = st.tuples(st.sampled_from(places(whole, below)), JSON)
    return changes.map(lambda change: with_(whole, *change))


def all_odd(whole: dict[str, Any], below: Path = ()) -> Iterator[dict[str, Any]]:
    """Return ``whole`` with each value replaced by each of what people write by mistake."""
    return (with_(whole, path, odd) for path in places(whole, below) for odd in ODD)


def told(spec: DGDRSpec) -> ProfilingRequest:
    owner = OwnerReference(api_version="v", kind="DynamoGraphDeploymentRequest", name="q", uid="u")
    return ProfilingRequest(
        dgdr_name="q", namespace="ns", uid="u", spec=spec, owner_reference=owner
    )


def render(manifest: dict[str, Any]) -> None:
    try:
        graph = decode(manifest)
    except CodecError:
        return
    render_workloads(graph, OWNER, PLANE)
    seen = GraphSeen(graph=graph, generation=1, lacks=lacks_of_graph(graph, PLANE, ClusterFacts()))
    status_after(seen, DGDStatus(), T0).to_json()
    decide_copy(graph, (), frozenset())


@ANY
@given(damaged(GRAPH, ("spec",)))
def test_a_graph_renders_or_names_its_field(manifest: dict[str, Any]) -> None:
    render(manifest)


def test_no_common_mistake_in_a_graph_is_an_exception() -> None:
    for manifest in all_odd(GRAPH, ("spec",)):
        render(manifest)


def judge(spec: dict[str, Any]) -> None:
    manifest = dgdr()
    manifest["metadata"]["uid"] = "u"
    request: Request = request_seen(manifest | {"spec": spec})
    assert isinstance(dgd_name_of(request, None), str)
    if request.spec is None:
        assert request.problems
        return
    found = [str(problem) for problem in validate.problems(request.spec, None, "q")]
    read_override(request.spec, ProfilingPolicySpec())
    override = read_override(request.spec, FREE)
    if not found and not override.problems:
        render_job(told(request.spec), JobImage(name="p"))


@ANY
@given(damaged(SPEC))
def test_a_request_is_judged_whatever_it_holds(spec: dict[str, Any]) -> None:
    judge(spec)


def test_no_common_mistake_in_a_request_is_an_exception() -> None:
    for spec in all_odd(SPEC):
        judge(spec)


def use(*documents: dict[str, Any], end: str = "") -> None:
    written = yaml.safe_dump_all(documents) + end
    try:
        read = read_deployment(Output(final_config=written), "q", "ns", "u")
    except BadResult:
        return
    applied_manifest(read)
    data_manifest(read, OWNER)


@ANY
@given(damaged(generated_dgd()), damaged(sla_planner()), st.booleans(), st.text(max_size=20))
def test_a_result_is_used_or_refused(
    deployment: dict[str, Any], planner: dict[str, Any], whole: bool, end: str
) -> None:
    use(generated_dgd() if whole else deployment, planner, end=end)


def test_no_common_mistake_in_a_result_is_an_exception() -> None:
    for planner in all_odd(sla_planner()):
        use(generated_dgd(), planner)
    for deployment in all_odd(generated_dgd()):
        use(deployment, sla_planner())


@pytest.mark.parametrize(
    "text", ["{kind: DynamoGraphDeployment, a: 2025-01-01}", "{1: a, b: c}", "a: .nan"]
)
def test_a_result_with_what_only_yaml_knows_is_refused(text: str) -> None:
    with pytest.raises(BadResult, match=r"final_config\.yaml holds something that is no JSON"):
        read_deployment(Output(final_config=text), "q", "ns", "u")


@ANY
@given(damaged(render_adapter(decode(GRAPH), decode(GRAPH).components[0], OWNER)))
def test_an_adapter_is_read_or_told_off(manifest: dict[str, Any]) -> None:
    adapter = read_adapter(manifest)
    if hasattr(adapter, "spec"):
        find_target(GRAPH, adapter)


def test_the_examples_work_before_they_are_damaged() -> None:
    assert len(render_workloads(decode(GRAPH), OWNER, PLANE).manifests) == 7
    spec = DGDRSpec.model_validate(SPEC)
    assert validate.problems(spec, None, "q") == ()
    assert read_override(spec, FREE).problems == ()
