"""Objects that upstream's operator stored, with what it keeps beside them."""

import json
from typing import Any

import pytest

from dgdr_api.conversion import ALPHA, BETA, converted, dgdr_spec
from dgdr_api.conversion.notes import Note

# What v1beta1 means by nothing, which v1alpha1 would not.
MEANT = {"ttft": 2000, "itl": 30, "isl": 4000, "osl": 1000}
WORKER = {
    "name": "worker",
    "type": "worker",
    "podTemplate": {
        "spec": {
            "containers": [
                {
                    "name": "main",
                    "image": "registry.test/r:1",
                    "volumeMounts": [{"name": "models", "mountPath": "/m"}],
                    "resources": {"limits": {"nvidia.com/gpu": "4", "cpu": "1"}},
                }
            ]
        }
    },
}


def stored(kind: str, spec: dict[str, Any], **notes: Any) -> dict[str, Any]:
    annotations = {
        f"nvidia.com/{key.replace('_', '-')}": one if isinstance(one, str) else json.dumps(one)
        for key, one in notes.items()
    }
    return {
        "apiVersion": BETA,
        "kind": kind,
        "metadata": {"name": "x", "annotations": annotations},
        "spec": spec,
    }


def test_a_requests_note_fills_what_v1beta1_cannot_say() -> None:
    note = {
        "version": 1,
        "spec": {
            "model": "",
            "backend": "",
            "profilingConfig": {
                "config": {
                    "sweep": {"dryRun": True},
                    "deployment": {"modelCache": {"pvcPath": "m"}},
                },
                "configMapRef": {"name": "base", "key": "disagg.yaml"},
                "profilerImage": "",
            },
            "deploymentOverrides": {"workersImage": "registry.test/w:1"},
        },
    }
    spec = {
        "model": "m", "backend": "vllm", "image": "registry.test/w:1", "autoApply": False,
        "sla": {"ttft": 200}, "modelCache": {"pvcName": "c"},
    }  # fmt: skip
    read = converted(stored("DynamoGraphDeploymentRequest", spec, dgdr_spec=note), ALPHA)
    assert read["spec"] == {
        "model": "m",
        "backend": "vllm",
        "autoApply": False,
        "profilingConfig": {
            "profilerImage": "registry.test/w:1",
            "config": {
                "sla": {**MEANT, "ttft": 200},
                "sweep": {"dryRun": True},
                "deployment": {"modelCache": {"pvcName": "c", "pvcPath": "m"}},
            },
            "configMapRef": {"name": "base", "key": "disagg.yaml"},
        },
        "deploymentOverrides": {"workersImage": "registry.test/w:1"},
    }
    # Stored without the path that "pvcPath" means to us, it is so again when it is converted back.
    assert list(read["metadata"]["annotations"]) == ["nvidia.com/dgdr-spec"]
    assert converted(read, BETA)["spec"] == spec


def test_a_bare_spec_is_a_note_too() -> None:
    note = {"profilingConfig": {"outputPVC": "results"}}
    read = converted(stored("DynamoGraphDeploymentRequest", {"model": "m"}, dgdr_spec=note), ALPHA)
    assert read["spec"]["profilingConfig"] == {"outputPVC": "results", "config": {"sla": MEANT}}


def test_a_deployments_note_brings_claims_and_the_order_of_words() -> None:
    note = {
        "version": 1,
        "spec": {
            "pvcs": [{"create": True, "name": "models", "size": "9Gi", "storageClass": "fast"}],
            "services": {
                "worker": {
                    "dynamoNamespace": "d",
                    "resources": {"limits": {"gpu": "4", "cpu": "1000m"}},
                    "volumeMounts": [{"name": "models", "mountPoint": "/m"}],
                    "extraPodSpec": {"mainContainer": {"name": "", "resources": {}}},
                }
            },
        },
    }
    manifest = stored("DynamoGraphDeployment", {"components": [WORKER]}, dgd_spec=note)
    spec = converted(manifest, ALPHA)["spec"]
    assert spec["pvcs"] == note["spec"]["pvcs"]
    assert spec["services"]["worker"] == {
        "componentType": "worker",
        "dynamoNamespace": "d",
        "resources": {"limits": {"gpu": "4", "cpu": "1"}},
        "volumeMounts": [{"name": "models", "mountPoint": "/m"}],
        "extraPodSpec": {"mainContainer": {"image": "registry.test/r:1"}},
    }


ENV = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
MOUNT, CLAIM = {"name": "c", "mountPath": "/c"}, {"persistentVolumeClaim": {"claimName": "c"}}
MAIN = "mainContainer"


@pytest.mark.parametrize(
    ("main", "pod", "note", "wanted"),
    [
        pytest.param(
            {"env": ENV},
            {},
            {"envs": ENV[:1], "extraPodSpec": {MAIN: {"env": ENV[1:]}}},
            {"envs": ENV[:1], "extraPodSpec": {MAIN: {"env": ENV[1:]}}},
            id="environment in both places",
        ),
        pytest.param(
            {"env": ENV},
            {},
            {"envs": [{"name": "A", "value": "another"}]},
            {"extraPodSpec": {MAIN: {"env": ENV}}},
            id="environment that was edited since",
        ),
        pytest.param(
            {"volumeMounts": [MOUNT]},
            {"volumes": [{"name": "c", **CLAIM}]},
            {"extraPodSpec": {MAIN: {"volumeMounts": [MOUNT]}}},
            {
                "extraPodSpec": {
                    MAIN: {"volumeMounts": [MOUNT]}, "volumes": [{"name": "c", **CLAIM}],
                }
            },
            id="a mount of the container is not the service's too",
        ),
        pytest.param(
            {"envFrom": [{"secretRef": {"name": "s"}}]},
            {},
            {"extraPodSpec": {MAIN: {"envFrom": [{"secretRef": {"name": "s"}}]}}},
            {"extraPodSpec": {MAIN: {"envFrom": [{"secretRef": {"name": "s"}}]}}},
            id="a secret of the container",
        ),
    ],
)  # fmt: skip
def test_a_deployment_is_read_in_the_words_of_its_note(
    main: dict[str, Any], pod: dict[str, Any], note: dict[str, Any], wanted: dict[str, Any]
) -> None:
    worker = {
        "name": "w",
        "type": "worker",
        "podTemplate": {"spec": {**pod, "containers": [{"name": "main", **main}]}},
    }
    payload = {"version": 1, "spec": {"services": {"w": note}}}
    manifest = stored("DynamoGraphDeployment", {"components": [worker]}, dgd_spec=payload)
    read = converted(manifest, ALPHA)
    assert read["spec"] == {"services": {"w": {"componentType": "worker", **wanted}}}
    assert converted(read, BETA)["spec"] == manifest["spec"]


def test_live_fields_win_over_a_note() -> None:
    note = {"version": 1, "spec": {"services": {"worker": {"replicas": 7, "dynamoNamespace": "d"}}}}
    manifest = stored(
        "DynamoGraphDeployment", {"components": [{**WORKER, "replicas": 2}]}, dgd_spec=note
    )
    worker = converted(manifest, ALPHA)["spec"]["services"]["worker"]
    assert (worker["replicas"], worker["dynamoNamespace"]) == (2, "d")


def test_the_annotations_of_each_field_of_the_first_releases() -> None:
    notes = {
        "dgdr_config_map_ref": {"name": "base", "key": "disagg.yaml"},
        "dgdr_output_pvc": "results",
        "dgdr_enable_gpu_discovery": "true",
        "dgdr_profiling_config": {"sweep": {"dryRun": True}},
        "dgdr_deployment_overrides": {"name": "mine"},
        "dgdr_status_backend": "vllm",
        "dgdr_deployment_status": {"name": "x-dgd", "state": "successful", "created": True},
    }
    manifest = stored("DynamoGraphDeploymentRequest", {"model": "m", "autoApply": True}, **notes)
    manifest["status"] = {"phase": "Deployed", "dgdName": "x-dgd"}
    read = converted(manifest, ALPHA)
    assert read["spec"]["enableGpuDiscovery"] is True
    assert read["spec"]["deploymentOverrides"] == {"name": "mine"}
    assert read["spec"]["profilingConfig"] == {
        "configMapRef": notes["dgdr_config_map_ref"],
        "outputPVC": "results",
        "config": {"sweep": {"dryRun": True}, "sla": MEANT},
    }
    assert read["status"] == {
        "state": "Ready",
        "backend": "vllm",
        "deployment": {"name": "x-dgd", "created": True, "state": "successful"},
    }
    assert list(read["metadata"]["annotations"]) == ["nvidia.com/dgdr-spec"]


@pytest.mark.parametrize("text", ["", "{", "[]", "7"])
def test_what_cannot_be_read_is_no_note(text: str) -> None:
    manifest = stored("DynamoGraphDeploymentRequest", {"model": "m"}, dgdr_spec=text)
    assert converted(manifest, ALPHA)["spec"]["model"] == "m"


BLOB = '{"spec":{"profilingConfig":{"config":{"sla":{"isl":%s}}}}}'
REQUEST, GRAPH = "DynamoGraphDeploymentRequest", "DynamoGraphDeployment"


def nested(levels: int) -> str:
    return '{"spec":{"envs":' + '{"a":' * levels + "1" + "}" * levels + "}}"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (REQUEST, BLOB % "1e999"),
        (REQUEST, BLOB % "-1e999"),
        (REQUEST, BLOB % "NaN"),
        (REQUEST, BLOB % ("9" * 400)),
        (REQUEST, BLOB % "Infinity"),
        (REQUEST, "[" * 3000),
        (GRAPH, "[" * 3000),
        (GRAPH, "[" * 3000 + "]" * 3000),
        (GRAPH, nested(900)),
        (GRAPH, nested(900)[:-1] + ',"version":1,"read":{}}'),
    ],
)
@pytest.mark.parametrize("version", [ALPHA, BETA])
def test_a_note_that_no_json_can_hold_is_none(kind: str, text: str, version: str) -> None:
    short = "dgdr_spec" if kind == REQUEST else "dgd_spec"
    manifest = {**stored(kind, {"backendFramework": "vllm"}, **{short: text})}
    manifest["apiVersion"] = BETA if version == ALPHA else ALPHA
    bare = {**manifest, "metadata": {"name": "x"}}
    read = converted(manifest, version)
    assert json.loads(json.dumps(read, allow_nan=False)) == converted(bare, version)


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan"), 10**400])
def test_a_number_that_is_none_is_moved_nowhere(number: float) -> None:
    sla = {"isl": number, "ttft": number if isinstance(number, float) else 1}
    spec = dgdr_spec.to_v1beta1({"profilingConfig": {"config": {"sla": sla}}})
    assert "workload" not in spec


def test_an_object_is_converted_without_a_note_that_cannot_be_merged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: Any) -> Any:
        raise TypeError("it fits nothing")

    monkeypatch.setattr(Note, "laid_under", refused)
    note = {"spec": {"profilingConfig": {"outputPVC": "results"}}}
    read = converted(stored(REQUEST, {"model": "m"}, dgdr_spec=note), ALPHA)
    config = {"config": {"sla": MEANT}}
    assert read["spec"] == {"model": "m", "autoApply": True, "profilingConfig": config}
