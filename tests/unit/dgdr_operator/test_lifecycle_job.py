"""The profiling Job: what it may do, what a user may change about it, what it is told."""

from typing import Any

import pytest

from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_api.models.profiling_policy import ProfilingPolicySpec
from dgdr_api.request import OwnerReference, ProfilingRequest
from dgdr_operator.core.job import (
    JobImage,
    job_deadline_s,
    read_override,
    render_job,
    render_request,
)
from dgdr_operator.core.job_account import render_account, render_network_policy

IMAGE = JobImage(name="profiler:1", pull_secrets=("ours",))


def request(policy: dict[str, Any] | None = None, **spec: Any) -> ProfilingRequest:
    return ProfilingRequest(
        dgdr_name="q",
        namespace="ns",
        uid="u-1",
        generation=2,
        spec=DGDRSpec.model_validate({"model": "m", **spec}),
        policy=ProfilingPolicySpec.model_validate(policy or {}),
        owner_reference=OwnerReference(
            api_version="nvidia.com/v1beta1",
            kind="DynamoGraphDeploymentRequest",
            name="q",
            uid="u-1",
        ),
    )


def job(**override: Any) -> dict[str, Any]:
    return render_job(request(overrides={"profilingJob": override}), IMAGE)


def pod(manifest: dict[str, Any]) -> dict[str, Any]:
    return dict(manifest["spec"]["template"]["spec"])


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    return dict(pod(manifest)["containers"][0])


def test_it_runs_with_no_more_rights_than_it_needs() -> None:
    manifest = render_job(request(), IMAGE)
    assert pod(manifest)["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "fsGroup": 1000,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container(manifest)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_where_the_namespace_picks_the_user_none_is_asked_for() -> None:
    manifest = render_job(request(), JobImage(name="profiler:1", user_id=None))
    assert pod(manifest)["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_the_profiler_alone_holds_a_token() -> None:
    before = {"name": "fetch", "image": "fetch:1", "env": []}
    manifest = job(template={"spec": {"initContainers": [before]}})
    assert pod(manifest)["automountServiceAccountToken"] is False
    (mount,) = (m for m in container(manifest)["volumeMounts"] if m["name"] == "account")
    assert mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount"
    (fetch,) = pod(manifest)["initContainers"]
    assert "volumeMounts" not in fetch
    assert fetch["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def test_an_evicted_pod_is_no_failure_and_a_hopeless_one_ends_the_job() -> None:
    spec = render_job(request(), IMAGE)["spec"]
    ignore, fail = spec["podFailurePolicy"]["rules"]
    assert ignore["action"] == "Ignore"
    assert ignore["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert fail["action"] == "FailJob"
    assert fail["onExitCodes"]["values"] == [2]
    assert (spec["backoffLimit"], spec["podReplacementPolicy"]) == (3, "Failed")
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_the_token_of_the_hub_is_optional() -> None:
    env = {entry["name"]: entry for entry in container(render_job(request(), IMAGE))["env"]}
    token = env["HUGGING_FACE_HUB_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert token == {"name": "hf-token-secret", "key": "HF_TOKEN", "optional": True}
    assert env["DGDR_UID"]["value"] == "u-1"


def test_labels_are_upstreams() -> None:
    labels = {
        "app": "dynamo-profiler",
        "dgdr": "q",
        "nvidia.com/managed-by": "dynamo-operator",
        "dgdr.nvidia.com/name": "q",
        "dgdr.nvidia.com/namespace": "ns",
    }
    manifest = render_job(request(), IMAGE)
    assert manifest["metadata"]["labels"] == labels
    assert manifest["spec"]["template"]["metadata"]["labels"] == labels


def test_the_spec_is_a_mounted_file_and_no_argument() -> None:
    given = request(workload={"isl": 3000})
    text = render_request(given)["data"]["request.json"]
    assert ProfilingRequest.from_text(text) == given
    manifest = render_job(given, IMAGE)
    assert container(manifest)["command"][-1] == "/etc/dgdr/request.json"
    assert {"name": "request", "configMap": {"name": "profile-q"}} in pod(manifest)["volumes"]


def test_a_model_cache_is_mounted_read_only() -> None:
    manifest = render_job(request(modelCache={"pvcName": "weights"}), IMAGE)
    claim = {"claimName": "weights", "readOnly": True}
    assert {"name": "model-cache", "persistentVolumeClaim": claim} in pod(manifest)["volumes"]
    mount = {"name": "model-cache", "mountPath": "/opt/model-cache", "readOnly": True}
    assert mount in container(manifest)["volumeMounts"]


@pytest.mark.parametrize(
    ("policy", "deadline_s"),
    [
        pytest.param({}, None, id="none"),
        pytest.param({"deadline": "1h"}, 3600 + 1800 + 1800, id="the last candidate may finish"),
        pytest.param(
            {"deadline": "90s", "candidateTimeout": "500ms"}, 90 + 1 + 1800, id="rounded up"
        ),
    ],
)
def test_deadline(policy: dict[str, Any], deadline_s: int | None) -> None:
    assert job_deadline_s(ProfilingPolicySpec.model_validate(policy)) == deadline_s


# -- overrides


def test_the_users_job_fields_win() -> None:
    spec = job(backoffLimit=0, activeDeadlineSeconds=60, suspend=True)["spec"]
    assert spec["backoffLimit"] == 0
    assert spec["activeDeadlineSeconds"] == 60
    assert spec["suspend"] is True


def test_pod_fields_are_replaced_or_merged_by_name() -> None:
    scratch = {"name": "profiling-output", "persistentVolumeClaim": {"claimName": "keep"}}
    pod_spec = {
        "containers": [],
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {"pool": "cpu"},
        "imagePullSecrets": [{"name": "theirs"}],
        "volumes": [scratch],
        "securityContext": {"runAsUser": 2000},
        "restartPolicy": "Never",
    }
    found = pod(job(template={"spec": pod_spec}))
    assert found["tolerations"] == [{"operator": "Exists"}]
    assert found["nodeSelector"] == {"pool": "cpu"}
    assert found["imagePullSecrets"] == [{"name": "ours"}, {"name": "theirs"}]
    assert [v for v in found["volumes"] if v["name"] == "profiling-output"] == [scratch]
    assert found["securityContext"]["runAsUser"] == 2000
    assert found["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize("name", [{}, {"name": "profiler"}])
def test_the_profiler_container_can_be_changed(name: dict[str, str]) -> None:
    change = {
        **name,
        "image": "mine:1",
        "resources": {"limits": {"memory": "1Gi"}},
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy"}],
        "envFrom": [{"secretRef": {"name": "s"}}],
    }
    found = container(job(template={"spec": {"containers": [change]}}))
    assert found["image"] == "mine:1"
    assert found["resources"] == {"limits": {"memory": "1Gi"}}
    assert found["env"][-1]["name"] == "HTTPS_PROXY"
    assert found["env"][0]["name"] == "DGDR_NAME"
    assert found["command"][0] == "python"


@pytest.mark.parametrize(
    ("override", "path"),
    [
        pytest.param({"parallelism": 2}, "parallelism", id="two at once"),
        pytest.param({"selector": {}}, "selector", id="job field"),
        pytest.param(
            {"template": {"spec": {"hostNetwork": True}}},
            "template.spec.hostNetwork",
            id="pod field",
        ),
        pytest.param(
            {"template": {"metadata": {"labels": {"app": "x"}}}},
            "template.metadata.labels[app]",
            id="protected label",
        ),
        pytest.param(
            {"template": {"spec": {"containers": [{"name": "output-copier", "image": "x"}]}}},
            "template.spec.containers[output-copier]",
            id="upstream's side-car",
        ),
        pytest.param(
            {"template": {"spec": {"containers": [{"command": ["sh"]}]}}},
            "template.spec.containers[profiler].command",
            id="container field",
        ),
    ],
)
def test_what_has_no_effect_is_named(override: dict[str, Any], path: str) -> None:
    spec = DGDRSpec.model_validate({"model": "m", "overrides": {"profilingJob": override}})
    assert read_override(spec, None).ignored == (path,)
    assert job(**override) == job()


def test_the_account_is_the_requests_own_and_named_after_upstreams() -> None:
    account, role, own, shared = render_account(request(), "release-profiling")
    assert account["metadata"]["name"] == "dgdr-profiling-job-q"
    assert own["roleRef"]["name"] == role["metadata"]["name"] == "dgdr-profiling-job-q"
    assert shared["roleRef"]["name"] == "release-profiling"
    for made in (account, role, own, shared):
        (owner,) = made["metadata"]["ownerReferences"]
        assert (owner["name"], owner["controller"]) == ("q", False)
    for binding in (own, shared):
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "dgdr-profiling-job-q", "namespace": "ns"}
        ]


def test_everything_in_the_role_has_a_name() -> None:
    policy = {"candidateEngine": "mocker", "mocker": {"profilesConfigMap": "data"}}
    for asked in (request(), request(policy)):
        _, role, _, _ = render_account(asked, "release-profiling")
        assert all(rule["resourceNames"] for rule in role["rules"])
    assert role["rules"][1]["resourceNames"] == ["data"]


def test_the_network_lets_the_job_reach_candidates_names_and_the_ports_that_are_given() -> None:
    spec = render_network_policy(request(), (443,))["spec"]
    labels = render_job(request(), IMAGE)["spec"]["template"]["metadata"]["labels"]
    assert spec["podSelector"]["matchLabels"].items() <= labels.items()
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in spec
    everywhere, candidates = spec["egress"]
    assert [(p["protocol"], p["port"]) for p in everywhere["ports"]] == [
        ("UDP", 53),
        ("TCP", 53),
        ("TCP", 443),
    ]
    (peer,) = candidates["to"]
    assert set(peer) == {"podSelector"}  # of its own namespace
