"""An edit made in one version changes in the other what it edits, and nothing else."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from dgdr_api.conversion import ALPHA, BETA, converted
from dgdr_api.conversion.kept import ABSENT
from dgdr_api.effective import EffectiveSpec, effective
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec

REQUEST = {
    "apiVersion": ALPHA,
    "kind": "DynamoGraphDeploymentRequest",
    "metadata": {"name": "old"},
    "spec": {
        "model": "org/model-8b",
        "backend": "vllm",
        "enableGpuDiscovery": True,
        "profilingConfig": {
            "profilerImage": "registry.test/profiler:1",
            "outputPVC": "results",
            "config": {
                "sla": {"ttft": 200.0, "itl": 20.0, "isl": 3000, "osl": 150},
                "sweep": {"use_ai_configurator": True},
                "deployment": {"modelCache": {"pvcName": "c", "pvcPath": "m", "mountPath": "/m"}},
                "planner": {"planner_min_endpoint": 2},
            },
            "tolerations": [{"key": "gpu"}],
        },
        "deploymentOverrides": {"workersImage": "registry.test/worker:1", "name": "mine"},
    },
}  # fmt: skip
DEPLOYMENT = {
    "apiVersion": ALPHA,
    "kind": "DynamoGraphDeployment",
    "metadata": {"name": "g", "annotations": {"team.example/note": "kept"}},
    "spec": {
        "pvcs": [{"name": "c", "create": True, "size": "9Gi"}],
        "envs": [{"name": "A", "value": "1"}],
        "services": {
            "Frontend": {"componentType": "frontend", "dynamoNamespace": "d", "replicas": 1},
            "decode": {
                "componentType": "main", "replicas": 1, "envFromSecret": "token",
                "resources": {"limits": {"gpu": "1", "cpu": "1000m"}},
                "volumeMounts": [{"name": "c", "mountPoint": "/m"}],
                "extraPodSpec": {"mainContainer": {"image": "registry.test/r:1", "args": ["--x"]}},
            },
            "none": None,
        },
    },
}  # fmt: skip


def at(value: Any, path: str) -> Any:
    for key in path.split("."):
        value = value[int(key)] if key.isdigit() else value.get(key, ABSENT)
    return value


def edited(manifest: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    found = copy.deepcopy(manifest)
    *parents, last = path.split(".")
    into = at(found, ".".join(parents))
    key = int(last) if last.isdigit() else last
    if value is ABSENT:
        del into[key]
    else:
        into[key] = value
    return found


def without_notes(manifest: dict[str, Any]) -> dict[str, Any]:
    metadata = {**manifest["metadata"]}
    annotations = metadata.pop("annotations", {})
    left = {key: one for key, one in annotations.items() if "nvidia.com" not in key}
    return {**manifest, "metadata": metadata | ({"annotations": left} if left else {})}


MAIN = "spec.components.1.podTemplate.spec.containers.0"


@pytest.mark.parametrize(
    ("manifest", "in_beta", "value", "in_alpha", "wanted"),
    [
        (REQUEST, "spec.sla.ttft", 300, "spec.profilingConfig.config.sla.ttft", 300),
        (REQUEST, "spec.workload.osl", 99, "spec.profilingConfig.config.sla.osl", 99),
        (REQUEST, "spec.image", "other:2", "spec.profilingConfig.profilerImage", "other:2"),
        (REQUEST, "spec.modelCache.pvcName", "d",
         "spec.profilingConfig.config.deployment.modelCache.pvcName", "d"),
        (REQUEST, "spec.features.planner", {"mode": "agg"},
         "spec.profilingConfig.config.planner", {"mode": "agg"}),
        (REQUEST, "spec.overrides.profilingJob.template.spec.tolerations", [],
         "spec.profilingConfig.tolerations", ABSENT),
        (DEPLOYMENT, "spec.components.1.replicas", 3, "spec.services.decode.replicas", 3),
        (DEPLOYMENT, f"{MAIN}.image", "other:2",
         "spec.services.decode.extraPodSpec.mainContainer.image", "other:2"),
        (DEPLOYMENT, f"{MAIN}.args", ["--y"],
         "spec.services.decode.extraPodSpec.mainContainer.args", ["--y"]),
        (DEPLOYMENT, "spec.env.0.value", "2", "spec.envs.0.value", "2"),
        (DEPLOYMENT, "metadata.labels", {"a": "b"}, "metadata.labels", {"a": "b"}),
    ],
)  # fmt: skip
def test_an_edit_in_v1beta1(
    manifest: dict[str, Any], in_beta: str, value: Any, in_alpha: str, wanted: Any
) -> None:
    back = converted(edited(converted(manifest, BETA), in_beta, value), ALPHA)
    assert without_notes(back) == edited(manifest, in_alpha, wanted)


CACHE = {"pvcName": "c", "pvcPath": "m"}
PAIR = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
PROBE = {"httpGet": {"port": 1}, "periodSeconds": 5}
VOLUMES = [{"name": "c", "persistentVolumeClaim": {"claimName": "c"}}]
FIRST = "spec.components.0.podTemplate.spec.containers.0"
IN_MAIN = "extraPodSpec.mainContainer"


def one_service(**fields: Any) -> dict[str, Any]:
    """Return a deployment of one service; a dot in a field's name is an object."""
    found: dict[str, Any] = {"spec": {"services": {"w": {"componentType": "worker"}}}}
    for path, value in fields.items():
        found = put(found, f"spec.services.w.{path}", value)
    return {**{key: DEPLOYMENT[key] for key in ("apiVersion", "kind")}, "metadata": {}, **found}


@pytest.mark.parametrize(
    ("said", "in_beta", "value", "wanted"),
    [
        pytest.param(
            {"envs": PAIR}, "spec.components.0.podTemplate", ABSENT, {}, id="all that envs say"
        ),
        pytest.param({"envs": PAIR}, f"{FIRST}.env.1", ABSENT, {"envs": PAIR[:1]}, id="one of two"),
        pytest.param(
            {"envs": PAIR}, f"{FIRST}.env.1.value", "3",
            {"envs": [PAIR[0], {"name": "B", "value": "3"}]}, id="a value of envs",
        ),
        pytest.param(
            {"envs": PAIR[:1], f"{IN_MAIN}.env": PAIR[1:]}, f"{FIRST}.env.0", ABSENT,
            {f"{IN_MAIN}.env": PAIR[1:]}, id="what envs say beside the container's own",
        ),
        pytest.param(
            {"envs": PAIR[:1], f"{IN_MAIN}.env": PAIR[1:]}, f"{FIRST}.env.0.value", "3",
            {"envs": [{"name": "A", "value": "3"}], f"{IN_MAIN}.env": PAIR[1:]},
            id="a value of envs beside the container's own",
        ),
        pytest.param(
            {"labels": {"a": "b", "c": "d"}},
            "spec.components.0.podTemplate.metadata.labels.a", ABSENT, {"labels": {"c": "d"}},
            id="a label",
        ),
        pytest.param(
            {f"{IN_MAIN}.livenessProbe": PROBE, f"{IN_MAIN}.image": "i"},
            f"{FIRST}.livenessProbe", ABSENT, {f"{IN_MAIN}.image": "i"}, id="a probe",
        ),
        pytest.param(
            {f"{IN_MAIN}.readinessProbe": PROBE}, f"{FIRST}.readinessProbe.periodSeconds", 6,
            {f"{IN_MAIN}.readinessProbe": {**PROBE, "periodSeconds": 6}}, id="a part of a probe",
        ),
        pytest.param(
            {f"{IN_MAIN}.envFrom": [{"secretRef": {"name": "t"}}], f"{IN_MAIN}.image": "i"},
            f"{FIRST}.envFrom", ABSENT, {f"{IN_MAIN}.image": "i"}, id="a secret",
        ),
        pytest.param(
            {f"{IN_MAIN}.envFrom": [{"secretRef": {"name": "t"}}], f"{IN_MAIN}.image": "i"},
            f"{FIRST}.envFrom", [{"secretRef": {"name": "u"}}],
            {f"{IN_MAIN}.image": "i", "envFromSecret": "u"}, id="another secret",
        ),
        pytest.param(
            {f"{IN_MAIN}.resources": {"limits": {"cpu": "1"}}, f"{IN_MAIN}.image": "i"},
            f"{FIRST}.resources", ABSENT, {f"{IN_MAIN}.image": "i"}, id="an amount",
        ),
        pytest.param(
            {f"{IN_MAIN}.volumeMounts": [{"name": "c", "mountPath": "/a"}],
             "extraPodSpec.volumes": VOLUMES},
            f"{FIRST}.volumeMounts.0.mountPath", "/b",
            {"volumeMounts": [{"name": "c", "mountPoint": "/b"}], "extraPodSpec.volumes": VOLUMES},
            id="a mount",
        ),
    ],
)  # fmt: skip
def test_an_edit_of_what_came_back_elsewhere_edits_what_was_said(
    said: dict[str, Any], in_beta: str, value: Any, wanted: dict[str, Any]
) -> None:
    hub = edited(converted(one_service(**said), BETA), in_beta, value)
    back = converted(hub, ALPHA)
    service = without_empty(back["spec"]["services"]["w"])
    assert service == one_service(**wanted)["spec"]["services"]["w"]
    assert converted(back, BETA)["spec"] == hub["spec"]


def without_empty(value: Any) -> Any:
    """Return a value less empty objects, which say nothing."""
    if not isinstance(value, dict):
        return value
    parts = {key: without_empty(one) for key, one in value.items()}
    return {key: one for key, one in parts.items() if one != {}}


@pytest.mark.parametrize(
    ("said", "in_beta", "left"),
    [
        ({"deploymentOverrides": {"workersImage": "i"}}, "spec.image", {}),
        (
            {
                "deploymentOverrides": {"workersImage": "i"},
                "profilingConfig": {"profilerImage": "i"},
            },
            "spec.image",
            {},
        ),
        (
            {"profilingConfig": {"config": {"deployment": {"modelCache": CACHE}}}},
            "spec.modelCache.pvcModelPath",
            {"profilingConfig": {"config": {"deployment": {"modelCache": {"pvcName": "c"}}}}},
        ),
    ],
    ids=["image", "image said twice", "path"],
)
def test_what_is_deleted_of_a_request_is_not_said_in_v1alpha1_any_more(
    said: dict[str, Any], in_beta: str, left: dict[str, Any]
) -> None:
    alpha = {**REQUEST, "spec": {"model": "m", **said}}
    hub = edited(converted(alpha, BETA), in_beta, ABSENT)
    assert without_empty(converted(hub, ALPHA)["spec"]) == {"model": "m", **left}


def test_an_edit_in_v1alpha1_keeps_what_only_v1beta1_can_say() -> None:
    hub = converted(REQUEST, BETA)
    hub["spec"] |= {"hardware": {"totalGpus": 8}, "searchStrategy": "thorough"}
    hub["spec"]["workload"]["requestRate"] = 2.5
    seen = converted(hub, ALPHA)
    assert "hardware" not in seen["spec"]
    back = converted(edited(seen, "spec.profilingConfig.config.sla.ttft", 300), BETA)
    assert back["spec"] == edited(hub, "spec.sla.ttft", 300)["spec"]


SLA = "spec.profilingConfig.config.sla"
WRITTEN_AS = {
    f"{SLA}.ttft": "spec.sla.ttft",
    f"{SLA}.itl": "spec.sla.itl",
    f"{SLA}.isl": "spec.workload.isl",
    f"{SLA}.osl": "spec.workload.osl",
}

MEANT_BY = {
    f"{SLA}.ttft": "ttft_ms",
    f"{SLA}.itl": "itl_ms",
    f"{SLA}.isl": "isl",
    f"{SLA}.osl": "osl",
}


def request(sla: dict[str, Any], workload: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": "new"}
    said = {"sla": sla, "workload": workload}
    spec = {"model": "org/model-8b", **{key: one for key, one in said.items() if one}}
    return {"apiVersion": BETA, "kind": REQUEST["kind"], "metadata": meta, "spec": spec}


def meaning(manifest: dict[str, Any]) -> EffectiveSpec:
    return effective(DGDRSpec.model_validate(manifest["spec"]))


@pytest.mark.parametrize("at_first", [{}, {"isl": 100}, {"osl": 10}, {"requestRate": 2.5}], ids=str)
@pytest.mark.parametrize(
    ("sla", "path"),
    [
        *(({}, path) for path in WRITTEN_AS),
        *(({"ttft": 300, "itl": 20}, path) for path in WRITTEN_AS),
        # A target of the whole request has no words in v1alpha1, and is refused beside the others.
        *(({"optimizationType": "latency"}, path) for path in WRITTEN_AS),
        *(({"e2eLatency": 5000}, f"{SLA}.{one}") for one in ("isl", "osl")),
    ],
    ids=str,
)
def test_an_edit_in_v1alpha1_changes_of_what_a_request_means_what_it_edits(
    sla: dict[str, Any], path: str, at_first: dict[str, Any]
) -> None:
    hub = request(sla, at_first)
    back = converted(edited(converted(hub, ALPHA), path, 777), BETA)
    assert meaning(back) == replace(meaning(hub), **{MEANT_BY[path]: 777})


@pytest.mark.parametrize("said", [{}, {"ttft": 300}, {"osl": 10}], ids=str)
@pytest.mark.parametrize("path", WRITTEN_AS)
def test_an_edit_in_v1beta1_changes_of_what_a_request_means_what_it_edits(
    path: str, said: dict[str, Any]
) -> None:
    alpha = edited(REQUEST, SLA, said)
    hub = edited(converted(alpha, BETA), WRITTEN_AS[path], 777)
    # As v1alpha1 applies it, without the note.
    assert meaning(converted(without_notes(converted(hub, ALPHA)), BETA)) == meaning(hub)


def put(manifest: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a manifest with a value at a path, and with the objects on the way to it."""
    found = copy.deepcopy(manifest)
    *parents, last = path.split(".")
    into = found
    for key in parents:
        into = into.setdefault(key, {})
    into[last] = value
    return found


BARE = {"model": "org/model-8b"}


@pytest.mark.parametrize("spec", [BARE, {**BARE, "profilingConfig": {}},
    {**BARE, "profilingConfig": {"config": {}}},
    {**BARE, "profilingConfig": {"config": {"sla": {"ttft": 300}}}}], ids=str)  # fmt: skip
def test_an_image_that_admission_filled_in_reads_back_alone(spec: dict[str, Any]) -> None:
    alpha = {**REQUEST, "spec": spec}
    hub = put(converted(alpha, BETA), "spec.image", "registry.test/profiler:1")
    back = without_notes(converted(hub, ALPHA))
    assert back == put(alpha, "spec.profilingConfig.profilerImage", "registry.test/profiler:1")


NAMELESS = [{}, {"optimizationType": "latency"}]


@pytest.mark.parametrize("sla", NAMELESS, ids=str)
@pytest.mark.parametrize("workload", [{}, {"requestRate": 2.5}], ids=str)
@pytest.mark.parametrize("path", WRITTEN_AS)
def test_of_a_request_without_targets_an_edit_in_v1alpha1_changes_just_that_one(
    path: str, sla: dict[str, Any], workload: dict[str, Any]
) -> None:
    hub = request(sla, workload)
    back = converted(edited(converted(hub, ALPHA), path, 777), BETA)
    wanted = put(hub, WRITTEN_AS[path], 777)
    # v1beta1 takes neither latency without the other: what it meant is said beside it.
    other = {"ttft": ("itl", 30.0), "itl": ("ttft", 2000.0)}.get(path.rpartition(".")[2])
    if other:
        wanted = put(wanted, f"spec.sla.{other[0]}", other[1])
    assert back["spec"] == wanted["spec"]
    assert converted(converted(back, ALPHA), BETA) == back


@pytest.mark.parametrize("path", WRITTEN_AS)
def test_of_a_request_without_targets_an_edit_in_v1beta1_changes_just_that_one(path: str) -> None:
    alpha = {**REQUEST, "spec": BARE}
    hub = edited(converted(alpha, BETA), WRITTEN_AS[path], 777)
    assert without_notes(converted(hub, ALPHA)) == put(alpha, path, 777)


def test_a_component_that_is_taken_out_goes_with_all_that_was_kept_of_it() -> None:
    hub = converted(DEPLOYMENT, BETA)
    hub["spec"]["components"] = [c for c in hub["spec"]["components"] if c["name"] != "decode"]
    services = converted(hub, ALPHA)["spec"]["services"]
    assert services == {"Frontend": DEPLOYMENT["spec"]["services"]["Frontend"], "none": None}


def test_the_order_of_components_outlives_a_map_of_services() -> None:
    hub = {
        "apiVersion": BETA,
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "g"},
        "spec": {"components": [{"name": n, "type": "worker"} for n in ("z", "a", "m")]},
    }
    seen = converted(hub, ALPHA)
    seen["spec"]["services"] = dict(sorted(seen["spec"]["services"].items()))
    assert converted(seen, BETA) == hub


@pytest.mark.parametrize(
    ("names", "taken_out", "added", "wanted"),
    [
        ("za", "", "n", "zan"),
        ("zma", "", "nb", "zmabn"),
        ("zma", "m", "", "za"),
        ("zma", "a", "n", "zmn"),
        ("az", "", "n", "anz"),
    ],
)
def test_new_services_come_after_the_components_that_were_there(
    names: str, taken_out: str, added: str, wanted: str
) -> None:
    hub = {
        "apiVersion": BETA,
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "g"},
        "spec": {"components": [{"name": n, "type": "worker"} for n in names]},
    }
    seen = converted(hub, ALPHA)
    services = {n: one for n, one in seen["spec"]["services"].items() if n not in taken_out}
    services |= {n: {"componentType": "worker"} for n in added}
    seen["spec"]["services"] = dict(sorted(services.items()))
    components = converted(seen, BETA)["spec"]["components"]
    assert "".join(one["name"] for one in components) == wanted


def test_an_entry_that_is_put_between_others_stays_there() -> None:
    alpha = edited(DEPLOYMENT, "spec.envs", [{"name": n, "value": "1"} for n in "AC"])
    hub = converted(alpha, BETA)
    hub["spec"]["env"] = [{"name": n, "value": "1"} for n in "ABC"]
    assert [one["name"] for one in converted(hub, ALPHA)["spec"]["envs"]] == ["A", "B", "C"]


def test_nothing_is_kept_of_an_object_that_both_versions_can_say() -> None:
    hub = {
        "apiVersion": BETA,
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "g"},
        "spec": {
            "components": [
                {"name": "decode", "type": "decode", "replicas": 1, "podTemplate": {"spec": {
                    "containers": [{"name": "main", "image": "registry.test/r:1"}],
                }}}
            ]
        },
    }  # fmt: skip
    assert "annotations" not in converted(hub, ALPHA)["metadata"]


def test_the_first_releases_words_for_the_weights_mean_the_same() -> None:
    hub = converted(REQUEST, BETA)
    cache = {"pvcName": "c", "pvcModelPath": "m", "pvcMountPath": "/m"}
    assert hub["spec"]["modelCache"] == cache
    assert converted(hub, ALPHA) == REQUEST
    moved = converted(edited(hub, "spec.modelCache.pvcModelPath", "n"), ALPHA)
    assert converted(moved, BETA)["spec"]["modelCache"] == {**cache, "pvcModelPath": "n"}


def test_an_object_without_metadata_comes_back_without() -> None:
    bare = {"apiVersion": ALPHA, "kind": "DynamoGraphDeployment", "spec": {"services": {"a": None}}}
    assert converted(converted(bare, BETA), ALPHA) == bare


@pytest.mark.parametrize("kind", ["DynamoGraphDeployment", "DynamoGraphDeploymentRequest"])
def test_an_object_without_a_spec(kind: str) -> None:
    bare = {"apiVersion": ALPHA, "kind": kind}
    assert converted(bare, BETA) == {"apiVersion": BETA, "kind": kind}
