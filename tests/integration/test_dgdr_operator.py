"""The operator as a process, on a real API server with fake nodes.

Pods become Running and Ready without running anything, and those of Jobs succeed at once; so the
Job is kept suspended while this test plays the profiler, and let go when it is done.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.cluster import TestCluster, cluster
from support.dgdr_world import generated_dgd, sla_planner
from support.operator_process import (
    CLUSTER_ROLE,
    ROOT,
    Namespace,
    OperatorProcess,
    operator_process,
    until,
)

pytestmark = pytest.mark.integration

NAMESPACES = ["shown", "life", "kill", "gone", "invalid", "quota", "again"]
KEEP_JOB = {"profilingJob": {"suspend": True, "template": {"spec": {"containers": []}}}}


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[TestCluster]:
    """A cluster of our own: other tests may have CRDs and operators in the shared one."""
    with cluster(f"dgdr-{os.getpid()}") as booted:
        booted.add_gpu_nodes(1, gpus_per_node=16)
        yield booted


@pytest.fixture(scope="module")
def operator(
    own_cluster: TestCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    own_cluster.kubectl("apply", "-f", str(ROOT / "crds"))
    own_cluster.kubectl(
        "create", "clusterrole", CLUSTER_ROLE, "--verb=get", "--resource=configmaps"
    )
    folder = tmp_path_factory.mktemp("operator")
    with operator_process(own_cluster, folder, NAMESPACES) as process:
        yield process
        log = process.log.read_text()
        assert "Traceback" not in log, log


def request(name: str = "q", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeploymentRequest",
        "metadata": {"name": name},
        "spec": {
            "model": "Qwen/Qwen3-0.6B",
            "image": "registry.test/vllm-runtime:1",
            "overrides": KEEP_JOB,
            **spec,
        },
    }


def phase(there: Namespace, name: str = "q") -> str:
    found = there.get("dgdr", name) or {}
    return str((found.get("status") or {}).get("phase"))


def reaches(there: Namespace, wanted: str, name: str = "q") -> dict[str, Any]:
    try:
        until(f"{name} {wanted}", lambda: phase(there, name) == wanted)
    except AssertionError as exc:
        objects = there.kubectl("get", "dgdr,dgd,job,pod,deployment,dgdsa", "-o", "yaml")
        raise AssertionError(f"{exc}\n{objects[-6000:]}") from exc
    found = there.get("dgdr", name)
    assert found is not None
    return found


def condition(dgdr: dict[str, Any], type_: str) -> dict[str, Any]:
    return next(c for c in dgdr["status"]["conditions"] if c["type"] == type_)


def owner(dgdr: dict[str, Any]) -> list[dict[str, Any]]:
    meta = dgdr["metadata"]
    reference = {key: dgdr[key] for key in ("apiVersion", "kind")}
    return [{**reference, "name": meta["name"], "uid": meta["uid"]}]


def report(there: Namespace, **data: str) -> None:
    """Write the output as the profiler does."""
    dgdr = there.get("dgdr", "q")
    assert dgdr is not None
    labels = {"dgdr.nvidia.com/name": "q", "dgdr.nvidia.com/namespace": there.name}
    meta = {"name": "dgdr-output-q", "labels": labels, "ownerReferences": owner(dgdr)}
    there.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})


def make_candidate(there: Namespace) -> None:
    dgdr = there.get("dgdr", "q")
    assert dgdr is not None
    candidate = generated_dgd(name="q-tp2")
    candidate["metadata"].update(
        labels={"dgdr.dev/run": dgdr["metadata"]["uid"], "dgdr.dev/candidate": "tp2"},
        ownerReferences=owner(dgdr),
    )
    there.apply(candidate)


def finish(there: Namespace, *documents: dict[str, Any]) -> None:
    """Write the result and let the Job complete."""
    result = documents or (sla_planner(), generated_dgd())
    report(
        there,
        phase="Done",
        profiler_status="success",
        **{
            "final_config.yaml": yaml.safe_dump_all(result),
            "prefill_raw_data.json": "{}",
            "decode_raw_data.json": "{}",
        },
    )
    there.kubectl("patch", "job", "profile-q", "--type=merge", '-p={"spec":{"suspend":false}}')


def test_from_apply_to_a_deployment_that_keeps_the_planners_replicas(
    own_cluster: TestCluster, operator: OperatorProcess
) -> None:
    there = Namespace(own_cluster, "life")
    there.apply(request())
    reaches(there, "Profiling")
    report(there, phase="SweepingDecode", message="candidate 2 of 3: TP=2, 3 of 9 points")
    until("progress", lambda: "3 of 9 points" in json.dumps(there.get("dgdr", "q")))
    make_candidate(there)
    finish(there)
    dgdr = reaches(there, "Deployed")
    assert condition(dgdr, "Succeeded")["status"] == "True"
    assert dgdr["status"]["dgdName"] == "q-dgd"
    assert there.names("slaplanners") == ["q-dgd"]
    assert [n for n in there.names("configmaps") if n.startswith("planner-profile-data-")]
    until("candidate swept", lambda: there.names("dgd") == ["q-dgd"])
    until("scaling adapters", lambda: "q-dgd-decode" in there.names("dgdsa"))
    there.kubectl("scale", "dgdsa/q-dgd-decode", "--replicas=3")
    until("scaled", lambda: replicas(there) == {"frontend": 1, "prefill": 1, "decode": 3})
    for number in range(3):
        stamp = f"dgdr.dev/applied-hash=old-{number}"
        there.kubectl("annotate", "dgd", "q-dgd", "--overwrite", stamp)
        until("applied again", lambda: not applied_hash(there).startswith("old-"))
    assert replicas(there) == {"frontend": 1, "prefill": 1, "decode": 3}
    assert owners_of_replicas(there) == {"frontend": "dgdr-init", "decode": "dgdr-scale"}
    told = there.events("q")
    for reason in ("Initialized", "ProfilingJobCreated", "SpecGenerated", "DeploymentReady"):
        assert told.count(reason) == 1, told


def replicas(there: Namespace) -> dict[str, int]:
    dgd = there.get("dgd", "q-dgd") or {}
    return {c["name"]: c.get("replicas") for c in dgd["spec"]["components"]}


def applied_hash(there: Namespace) -> str:
    dgd = there.get("dgd", "q-dgd") or {}
    return str(dgd["metadata"]["annotations"]["dgdr.dev/applied-hash"])


def owners_of_replicas(there: Namespace) -> dict[str, str]:
    """Return who owns the replicas of frontend and decode, as managed fields say it."""
    found: dict[str, str] = {}
    for entry in (there.get("dgd", "q-dgd") or {})["metadata"]["managedFields"]:
        components = entry["fieldsV1"].get("f:spec", {}).get("f:components", {})
        for name in ("frontend", "decode"):
            if "f:replicas" in components.get(json_key(name), {}):
                found[name] = entry["manager"]
    return found


def json_key(name: str) -> str:
    return f'k:{{"name":"{name}"}}'


def test_a_killed_operator_goes_on_where_it_was(
    own_cluster: TestCluster, operator: OperatorProcess
) -> None:
    there = Namespace(own_cluster, "kill")
    there.apply(request())
    reaches(there, "Profiling")
    job = there.get("job", "profile-q")
    operator.kill()
    finish(there)
    operator.start()
    reaches(there, "Deployed")
    assert (there.get("job", "profile-q") or {})["metadata"]["uid"] == job["metadata"]["uid"]  # type: ignore[index]
    before = there.get("dgdr", "q")
    operator.kill()
    operator.start()
    until("the new one is at work", operator.running)
    assert there.get("dgdr", "q") == before


def test_a_deletion_takes_the_run_along_and_leaves_the_deployment(
    own_cluster: TestCluster, operator: OperatorProcess
) -> None:
    there = Namespace(own_cluster, "gone")
    there.apply(request())
    reaches(there, "Profiling")
    make_candidate(there)
    until("candidate pods", lambda: there.names("deployments"))
    there.kubectl("delete", "dgdr", "q")
    for kind in ("jobs", "dgd", "deployments", "pods", "rolebindings"):
        until(f"no {kind}", lambda kind=kind: there.names(kind) == [])  # type: ignore[misc]
    assert there.names("serviceaccounts") == ["default"]
    there.apply(request())
    reaches(there, "Profiling")
    finish(there)
    reaches(there, "Deployed")
    there.kubectl("delete", "dgdr", "q")
    until("the run is gone", lambda: there.names("jobs") == [])
    assert there.names("dgd") == ["q-dgd"]
    assert there.names("slaplanners") == ["q-dgd"]


def test_a_failed_request_is_run_again_when_asked(
    own_cluster: TestCluster, operator: OperatorProcess
) -> None:
    there = Namespace(own_cluster, "again")
    there.apply(request())
    reaches(there, "Profiling")
    finish(there, sla_planner())
    failed = reaches(there, "Failed")
    assert condition(failed, "SpecGenerated")["reason"] == "GenerationFailed"

    def job() -> dict[str, Any]:
        return there.get("job", "profile-q") or {}

    until("the Job may expire", lambda: job()["spec"].get("ttlSecondsAfterFinished") == 86400)
    first = job()["metadata"]["uid"]
    there.kubectl("annotate", "dgdr", "q", "dgdr.dev/rerun-requested-at=now")
    reaches(there, "Profiling")
    again = there.get("dgdr", "q") or {}
    assert again["status"]["lastHandledRerunAt"] == "now"
    assert job()["metadata"]["uid"] != first
    assert "data" not in (there.get("configmap", "dgdr-output-q") or {})
    finish(there)
    reaches(there, "Deployed")


def test_a_full_quota_is_waited_for(own_cluster: TestCluster, operator: OperatorProcess) -> None:
    there = Namespace(own_cluster, "quota")
    there.kubectl("create", "quota", "team", "--hard=count/jobs.batch=0")
    until("it counts", lambda: "used" in ((there.get("quota", "team") or {}).get("status") or {}))
    there.apply(request())

    def blocked() -> bool:
        conditions = ((there.get("dgdr", "q") or {}).get("status") or {}).get("conditions", [])
        return any(c["reason"] == "JobBlocked" for c in conditions)

    until("it says so", blocked)
    dgdr = reaches(there, "Pending")
    told = condition(dgdr, "Profiling")["message"]
    assert "exceeded quota: team" in told
    assert "limited: count/jobs.batch=0" in told
    assert "raise the quota or free what it counts; it is tried again" in told
    assert "ProfilingJobFailed" in there.events("q")
    patch = '-p={"spec":{"hard":{"count/jobs.batch":"1"}}}'
    there.kubectl("patch", "quota", "team", "--type=merge", patch)
    reaches(there, "Profiling")
    assert there.names("jobs") == ["profile-q"]


@pytest.mark.parametrize(
    ("name", "spec", "annotations", "text"),
    [
        pytest.param(
            "claim",
            {"modelCache": {"pvcName": "weights"}},
            {},
            "model cache PVC weights not found in namespace invalid",
            id="missing PVC",
        ),
        pytest.param(
            "policy",
            {},
            {"dgdr.dev/profiling-policy": "cheap"},
            "ProfilingPolicy cheap not found in namespace invalid",
            id="missing policy",
        ),
    ],
)
def test_what_admission_cannot_see_is_in_the_condition(
    own_cluster: TestCluster,
    operator: OperatorProcess,
    name: str,
    spec: dict[str, Any],
    annotations: dict[str, str],
    text: str,
) -> None:
    there = Namespace(own_cluster, "invalid")
    manifest = request(name, **spec)
    manifest["metadata"]["annotations"] = annotations
    there.apply(manifest)
    dgdr = reaches(there, "Pending", name)
    assert condition(dgdr, "Validation")["reason"] == "ValidationFailed"
    assert text in condition(dgdr, "Validation")["message"]
    assert "ValidationFailed" in there.events(name)


def test_it_shows_what_it_has_done(own_cluster: TestCluster, operator: OperatorProcess) -> None:
    there = Namespace(own_cluster, "shown")
    there.apply(request())
    reaches(there, "Profiling")

    def shown(name: str, **labels: str) -> float:
        found = operator.samples(name).items()
        return sum(value for told, value in found if labels.items() <= dict(told).items())

    until("it is counted", lambda: shown("dgdr_operator_requests", phase="Profiling"))
    passes = "dgdr_operator_passes_total"
    assert shown(passes, queue="dgdr", decision="StartProfiling", result="done") >= 1
    calls = "dgdr_kube_client_requests_total"
    assert shown(calls, verb="create", kind="Job", code="201") >= 1
    assert shown(calls, verb="watch", kind="DynamoGraphDeployment", code="200") >= 1
    assert shown("dgdr_kube_workqueue_work_duration_seconds_count", queue="dgdr") >= 1
    assert shown("dgdr_kube_workqueue_adds_total", queue="dgdr") >= 1
    assert shown("dgdr_kube_leader") == 1
    assert shown("dgdr_kube_cached_objects", kind="DynamoGraphDeploymentRequest") >= 1
    followed = operator.samples("dgdr_kube_watch_followed")
    assert len(followed) >= 16
    assert {v for told, v in followed.items() if dict(told)["needed"] == "true"} == {1.0}
    told = [line for line in operator.log.read_text().splitlines() if "object=shown/q" in line]
    assert "pass queue=dgdr object=shown/q decision=StartProfiling result=" in told[0]
    assert "create Job/profile-q" in told[0]


def test_it_stops_on_sigterm_with_success(operator: OperatorProcess) -> None:
    assert operator.stop() == 0
    operator.start()


def test_it_refuses_to_start_over_somebody_elses_crds(
    own_cluster: TestCluster, operator: OperatorProcess, tmp_path: Path
) -> None:
    crd = "crd/dynamographdeployments.nvidia.com"
    own_cluster.kubectl("label", crd, "app.kubernetes.io/part-of-")
    with operator_process(own_cluster, tmp_path, NAMESPACES) as second:
        assert second.wait() == 3
        assert "belongs to somebody else" in second.log.read_text()
    own_cluster.kubectl("label", crd, "app.kubernetes.io/part-of=dgdr-operator")
