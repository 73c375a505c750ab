"""What a request may ask of its profiling Job, and what only a ProfilingPolicy can allow."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_api.models.profiling_policy import ProfilingPolicySpec
from dgdr_operator.core.job import OverrideReading, read_override
from support.dgdr_world import World, dgdr

VALID = Path(__file__).resolve().parents[2] / "golden/api/manifests/valid"


def reading(override: dict[str, Any], **policy: Any) -> OverrideReading:
    spec = DGDRSpec.model_validate({"model": "m", "overrides": {"profilingJob": override}})
    return read_override(spec, ProfilingPolicySpec.model_validate(policy))


def of_pod(**fields: Any) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [], **fields}}}


def of_container(**fields: Any) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [{"name": "profiler", **fields}]}}}


def before(**fields: Any) -> dict[str, Any]:
    return of_pod(initContainers=[{"name": "fetch", "image": "ours/fetch:1", **fields}])


OURS = {"overrides": {"images": ["ours/*"]}}


@pytest.mark.parametrize(
    ("override", "path"),
    [
        pytest.param({"backoffLimit": 4}, "backoffLimit", id="more tries"),
        pytest.param({"backoffLimit": "4"}, "backoffLimit", id="tries that are no number"),
        pytest.param({"activeDeadlineSeconds": 7201}, "activeDeadlineSeconds", id="more time"),
        pytest.param(of_pod(serviceAccountName="admin"), "serviceAccountName", id="account"),
        pytest.param(of_pod(priorityClassName="system"), "priorityClassName", id="priority"),
        pytest.param(of_pod(runtimeClassName="bare"), "runtimeClassName", id="runtime"),
        pytest.param(of_container(image="theirs:1"), "containers[profiler].image", id="image"),
        pytest.param(before(image="theirs:1"), "initContainers[fetch].image", id="image before it"),
        pytest.param(
            of_pod(volumes=[{"name": "host", "hostPath": {"path": "/"}}]),
            "volumes[host]",
            id="host",
        ),
        pytest.param(
            of_pod(volumes=[{"name": "disk", "nfs": {"server": "s", "path": "/"}}]),
            "volumes[disk]",
            id="nfs",
        ),
        pytest.param(
            of_pod(volumes=[{"name": "request", "emptyDir": {}}]), "volumes[request]", id="request"
        ),
        pytest.param(
            of_pod(volumes=[{"name": "account", "emptyDir": {}}]),
            "volumes[account]",
            id="account's",
        ),
        pytest.param(
            of_pod(
                volumes=[
                    {
                        "name": "t",
                        "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]},
                    }
                ]
            ),
            "volumes[t]",
            id="a token for what runs beside it",
        ),
        pytest.param(of_pod(securityContext={"runAsUser": 0}), "runAsUser", id="root"),
        pytest.param(
            of_pod(securityContext={"runAsNonRoot": False}), "runAsNonRoot", id="may root"
        ),
        pytest.param(
            of_pod(securityContext={"seccompProfile": {"type": "Unconfined"}}),
            "seccompProfile",
            id="seccomp",
        ),
        pytest.param(of_pod(securityContext={"sysctls": [{}]}), "sysctls", id="sysctls"),
        pytest.param(
            of_container(securityContext={"privileged": True}), "privileged", id="privileged"
        ),
        pytest.param(
            of_container(securityContext={"allowPrivilegeEscalation": True}),
            "allowPrivilegeEscalation",
            id="escalation",
        ),
        pytest.param(
            of_container(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
            "capabilities",
            id="capabilities",
        ),
        pytest.param(
            of_container(securityContext={"capabilities": {}}), "capabilities", id="none dropped"
        ),
        pytest.param(
            before(securityContext={"privileged": True}), "privileged", id="privileged before it"
        ),
        pytest.param(before(ports=[{"hostPort": 80}]), "ports.hostPort", id="port of the host"),
        pytest.param(before(volumeDevices=[{"name": "d"}]), "volumeDevices", id="device"),
        pytest.param(
            of_container(env=[{"name": "LD_PRELOAD", "value": "/data/x.so"}]),
            "env[LD_PRELOAD]",
            id="a library",
        ),
        pytest.param(
            of_container(env=[{"name": "KUBERNETES_SERVICE_HOST", "value": "evil"}]),
            "env[KUBERNETES_SERVICE_HOST]",
            id="another API server",
        ),
        pytest.param(
            of_container(envFrom=[{"configMapRef": {"name": "c"}}]), "envFrom", id="any variable"
        ),
        pytest.param(
            of_container(volumeMounts=[{"name": "v", "mountPath": "/opt/venv/bin"}]),
            "volumeMounts[v].mountPath",
            id="over the program",
        ),
        pytest.param(
            of_container(volumeMounts=[{"name": "v", "mountPath": "/opt"}]),
            "volumeMounts[v].mountPath",
            id="over all programs",
        ),
        pytest.param(
            of_container(volumeMounts=[{"name": "v", "mountPath": "/data/../etc/dgdr"}]),
            "volumeMounts[v].mountPath",
            id="over the request, round a corner",
        ),
        pytest.param(
            of_container(resources={"limits": {"nvidia.com/gpu": 8}}), "resources", id="GPUs"
        ),
        pytest.param(
            {
                "template": {
                    "metadata": {
                        "annotations": {
                            "container.apparmor.security.beta.kubernetes.io/profiler": "unconfined"
                        }
                    }
                }
            },
            "annotations[container.apparmor",
            id="apparmor",
        ),
    ],
)
def test_what_loosens_a_limit_is_refused_by_field_with_a_cure(
    override: dict[str, Any], path: str
) -> None:
    (problem,) = reading(override, deadline="1h", **OURS).problems
    field, _, rest = problem.partition(": Invalid value: ")
    assert field.startswith("spec.overrides.profilingJob.")
    assert path in field
    assert any(cure in rest for cure in ("ProfilingPolicy", "use a", "use another"))


@pytest.mark.parametrize(
    ("override", "allowing"),
    [
        ({"backoffLimit": 9}, {"maxBackoffLimit": 9}),
        (of_pod(serviceAccountName="irsa"), {"serviceAccounts": ["irsa"]}),
        (of_pod(priorityClassName="low"), {"priorityClasses": ["low"]}),
        (of_pod(runtimeClassName="kata"), {"runtimeClasses": ["kata"]}),
        (of_container(image="reg/profiler:2"), {"images": ["reg/*"]}),
        (of_container(image="reg/profiler:2"), {"images": ["reg/profiler:2"]}),
        (of_pod(volumes=[{"name": "h", "hostPath": {"path": "/"}}]), {"unrestricted": True}),
        (of_pod(securityContext={"runAsUser": 0}), {"unrestricted": True}),
        (of_container(envFrom=[{"secretRef": {"name": "s"}}]), {"unrestricted": True}),
    ],
)
def test_a_policy_allows_what_it_names(override: dict[str, Any], allowing: dict[str, Any]) -> None:
    assert len(reading(override).problems) == 1
    assert reading(override, overrides=allowing).problems == ()


def test_the_jobs_own_volumes_are_its_own_under_every_policy() -> None:
    override = of_pod(volumes=[{"name": "request", "configMap": {"name": "mine"}}])
    assert len(reading(override, overrides={"unrestricted": True}).problems) == 1


def test_what_is_harmless_needs_no_policy() -> None:
    override: dict[str, Any] = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": 60,
        "ttlSecondsAfterFinished": 0,
        "suspend": True,
        "template": {
            "metadata": {"labels": {"team": "a"}, "annotations": {"a": "b"}},
            "spec": {
                "tolerations": [{"operator": "Exists"}],
                "nodeSelector": {"pool": "cpu"},
                "affinity": {},
                "imagePullSecrets": [{"name": "s"}],
                "automountServiceAccountToken": False,
                "securityContext": {"runAsUser": 2000, "fsGroup": 0},
                "volumes": [{"name": "keep", "persistentVolumeClaim": {"claimName": "c"}}],
                "containers": [
                    {
                        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy"}],
                        "resources": {"requests": {"cpu": 2, "memory": "4Gi"}},
                        "volumeMounts": [{"name": "keep", "mountPath": "/data"}],
                        "securityContext": {"readOnlyRootFilesystem": False},
                    }
                ],
            },
        },
    }
    assert reading(override) == OverrideReading()


@pytest.mark.parametrize("path", sorted(VALID.glob("*.yaml")), ids=lambda path: path.stem)
def test_upstreams_overrides_need_no_policy(path: Path) -> None:
    for manifest in yaml.safe_load_all(path.read_text()):
        override = ((manifest or {}).get("spec") or {}).get("overrides") or {}
        if "profilingJob" in override:
            assert reading(override["profilingJob"]).problems == ()


def test_null_takes_no_limit_away() -> None:
    override = {"backoffLimit": None, **of_pod(securityContext={"runAsNonRoot": None})}
    assert reading(override) == OverrideReading()


async def test_a_request_that_asks_for_too_much_fails_before_a_job_is_there() -> None:
    override = {"profilingJob": of_pod(serviceAccountName="admin")}
    world = World(dgdr(overrides=override))
    await world.settle()
    assert world.phase == "Failed"
    status, _, message = world.condition("Validation")
    assert status == "False"
    assert json.dumps("admin") in message
    assert "spec.overrides.serviceAccounts of the ProfilingPolicy" in message
    assert not [write for write in world.cluster.writes if write.kind == "Job"]
