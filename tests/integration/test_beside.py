"""Planner and operator beside another operator that owns the nvidia.com kinds, or in its place.

The other one is a stand-in (``support.nvidias_operator``), not NVIDIA's.
``DGDR_BESIDE_QUIET_S=600`` watches for ten minutes whether anybody writes without a reason.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dgdr_api.conversion import ALPHA, converted
from support.cluster import TestCluster, cluster
from support.dgdr_world import generated_dgd, sla_planner
from support.live_metrics import Frontend, prometheus, served
from support.live_requests import KEEP_JOB
from support.nvidias_operator import MANAGER, crds, nvidias_operator
from support.operator_process import CLUSTER_ROLE, ROOT, Namespace, OperatorProcess, until
from support.planner_stage import QUICK, Stage
from support.planning import (
    DGD_NAME,
    DYNAMO_NAMESPACE,
    NAMESPACE,
    curves_config_map,
    graph_deployment,
)
from support.planning import sla_planner as planner_of

pytestmark = pytest.mark.integration

QUIET_S = float(os.environ.get("DGDR_BESIDE_QUIET_S", "20"))
REQUESTS = "dynamographdeploymentrequests.dgdr.dev"


@pytest.fixture(scope="module", params=["v1alpha1", "v1beta1"])
def theirs(request: pytest.FixtureRequest) -> Iterator[tuple[TestCluster, str]]:
    """A cluster with the other operator at work, and our kinds of mode Beside."""
    version = str(request.param)
    with cluster(f"beside-{os.getpid()}-{version}") as booted:
        booted.add_gpu_nodes(1, gpus_per_node=16)
        definitions = {"apiVersion": "v1", "kind": "List", "items": crds(version)}
        booted.kubectl("apply", "-f", "-", stdin=json.dumps(definitions))
        ours = [*sorted((ROOT / "crds").glob("dgdr.dev_*.yaml")), ROOT / "crds-beside"]
        booted.kubectl("apply", *(part for path in ours for part in ("-f", str(path))))
        booted.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
        booted.kubectl("create", "clusterrole", CLUSTER_ROLE, "--verb=get", "--resource=configmaps")
        with nvidias_operator(booted.kubeconfig, version):
            yield booted, version


@pytest.fixture(scope="module")
def stage(
    theirs: tuple[TestCluster, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A deployment that the other operator runs, and our planner for it."""
    booted, version = theirs
    folder, frontend = tmp_path_factory.mktemp("planner"), Frontend()
    labels = {"namespace": NAMESPACE, "dynamo_namespace": DYNAMO_NAMESPACE, "pod": "frontend-a"}
    booted.kubectl("create", "namespace", NAMESPACE)
    with (
        served(frontend) as address,
        prometheus(folder, {address: labels}, scrape_interval_s=1.0) as server,
    ):
        on = Stage(booted, frontend, server, folder, mode="Beside")
        deployed = {k: v for k, v in graph_deployment().items() if k != "status"}
        # One role with an adapter, and one whose replicas are the deployment's own.
        del deployed["spec"]["components"][2]["scalingAdapter"]
        manifest = deployed if version == "v1beta1" else converted(deployed, ALPHA)
        on.apply(curves_config_map(), manifest)
        on.apply(planner_of(interval="5s", behavior=QUICK))
        on.start()
        try:
            yield on
        finally:
            on.kill()


def component(dgd: dict[str, Any], name: str) -> dict[str, Any]:
    spec = dgd["spec"]
    if "services" in spec:
        return dict(spec["services"][name])
    return next(dict(c) for c in spec["components"] if c["name"] == name)


def replicas(stage: Stage) -> tuple[int, int]:
    dgd = stage.get("dgd", DGD_NAME)
    return component(dgd, "prefill")["replicas"], component(dgd, "decode")["replicas"]


def managers_of_replicas(manifest: dict[str, Any]) -> set[str]:
    """Return the managers of which something that is called replicas is, in the spec."""
    entries = manifest["metadata"]["managedFields"]
    return {
        e["manager"] for e in entries if '"f:replicas"' in json.dumps(e["fieldsV1"].get("f:spec"))
    }


def versions(stage: Stage) -> dict[str, str]:
    shown = stage.cluster.kubectl("get", "dgd,dgdsa,deployments", "-n", NAMESPACE, "-o", "json")
    return {
        f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["resourceVersion"]
        for one in json.loads(shown)["items"]
        # KWOK plays the pods, which change a Deployment's status.
        if one["kind"] != "Deployment"
    }


def test_the_planner_scales_what_the_other_operator_reconciles(stage: Stage) -> None:
    stage.until("it is ready", lambda: stage.condition("Ready") == ("True", "Planning"), 90)
    stage.frontend.rate_per_s = 9.4
    stage.until("prefill by its adapter", lambda: replicas(stage)[0] > 1, 90)
    stage.until("decode by the deployment", lambda: replicas(stage)[1] == 2, 90)
    adapter = stage.get("dgdsa", f"{DGD_NAME}-prefill")
    assert managers_of_replicas(adapter) >= {"dgdr-planner"}
    workload = stage.get("deployment", f"{DGD_NAME}-decode")
    assert workload["spec"]["replicas"] == 2


def test_nobody_fights_over_a_field(stage: Stage) -> None:
    stage.until("the load is planned for", lambda: replicas(stage)[1] == 2, 90)
    settled = versions(stage)
    until("it stands", lambda: _stands(stage, settled), 90)
    before, began_s = versions(stage), time.monotonic()
    while time.monotonic() - began_s < QUIET_S:
        time.sleep(min(5.0, QUIET_S))
    assert versions(stage) == before
    dgd = stage.get("dgd", DGD_NAME)
    writers = {entry["manager"] for entry in dgd["metadata"]["managedFields"]}
    assert writers == {"kubectl", MANAGER, "dgdr-planner"}
    ours = [e for e in dgd["metadata"]["managedFields"] if e["manager"] == "dgdr-planner"]
    # Of a deployment the planner owns one number, and no status.
    (entry,) = ours
    assert "subresource" not in entry
    assert set(_leaves(entry["fieldsV1"])) == {"f:replicas"}


def test_the_planner_of_what_runs_already_is_one_command(stage: Stage) -> None:
    def adopt(*arguments: str) -> subprocess.CompletedProcess[str]:
        targets = ("--ttft-ms", "300", "--itl-ms", "25", "--profile", "curves")
        return subprocess.run(
            [sys.executable, "-m", "dgdr_cli", "adopt", *arguments, "-n", NAMESPACE, *targets],
            env=os.environ | {"KUBECONFIG": str(stage.cluster.kubeconfig)},
            capture_output=True,
            text=True,
            check=False,
        )

    printed = adopt(DGD_NAME)
    assert printed.returncode == 0, printed.stderr
    spec = yaml.safe_load(printed.stdout)["spec"]
    assert spec["targetRef"]["name"] == DGD_NAME
    assert set(spec["roles"]) == {"prefill", "decode"}
    there = adopt(DGD_NAME, "--apply")
    assert there.returncode != 0
    assert "is there already" in there.stderr
    stage.cluster.kubectl("delete", "slaplanner", DGD_NAME, "-n", NAMESPACE)
    made = adopt(DGD_NAME, "--apply")
    assert made.returncode == 0, made.stderr
    assert stage.planner()["spec"] == spec


def _stands(stage: Stage, settled: dict[str, str]) -> bool:
    """Whether two looks, some decisions apart, see the same versions."""
    first = versions(stage)
    time.sleep(7)
    return versions(stage) == first


def _leaves(fields: dict[str, Any], name: str = "") -> Iterator[str]:
    if not fields:
        yield name
    for key, inner in fields.items():
        yield from _leaves(inner, key)


def test_a_request_of_our_group_becomes_a_deployment_of_theirs(
    theirs: tuple[TestCluster, str], tmp_path: Path
) -> None:
    booted, version = theirs
    there = Namespace(booted, "asked")
    process = OperatorProcess(booted, tmp_path, ["asked"], mode="Beside")
    process.start()
    try:
        there.apply(
            {
                "apiVersion": "dgdr.dev/v1beta1",
                "kind": "DynamoGraphDeploymentRequest",
                "metadata": {"name": "q"},
                "spec": {
                    "model": "Qwen/Qwen3-0.6B",
                    "image": "registry.test/vllm-runtime:1",
                    "overrides": KEEP_JOB,
                },
            }
        )
        _reaches(there, "Profiling", process)
        told = json.loads((there.get("configmap", "profile-q") or {})["data"]["request.json"])
        assert told["ownerReference"]["apiVersion"] == "dgdr.dev/v1beta1"
        wanted = None if version == "v1beta1" else "nvidia.com/v1alpha1"
        assert told.get("dgdApiVersion") == wanted
        _finish(there)
        _reaches(there, "Deployed", process)
        dgd = there.get("dgd", "q-dgd") or {}
        assert dgd["apiVersion"] == f"nvidia.com/{version}"
        assert component(dgd, "decode")["replicas"] == 1
        assert there.names("slaplanners") == ["q-dgd"]
        managers = {entry["manager"] for entry in dgd["metadata"]["managedFields"]}
        assert managers >= {"dgdr-init", "dgdr-operator", MANAGER}
        assert "Traceback" not in process.log.read_text()
    finally:
        process.kill()


def _reaches(there: Namespace, phase: str, process: OperatorProcess) -> None:
    def now() -> Any:
        return ((there.get(REQUESTS, "q") or {}).get("status") or {}).get("phase")

    try:
        until(f"q {phase}", lambda: now() == phase, 120)
    except AssertionError as exc:
        shown = there.kubectl("get", f"{REQUESTS},dgd,job", "-o", "yaml")[-5000:]
        raise AssertionError(f"{exc}\n{shown}\n{process.log.read_text()[-4000:]}") from exc


def _finish(there: Namespace) -> None:
    """Write what a profiling Job leaves, and let it end."""
    owner = there.get(REQUESTS, "q") or {}
    reference = {key: owner[key] for key in ("apiVersion", "kind")}
    meta = {
        "name": "dgdr-output-q",
        "labels": {"dgdr.nvidia.com/name": "q", "dgdr.nvidia.com/namespace": there.name},
        "ownerReferences": [{**reference, "name": "q", "uid": owner["metadata"]["uid"]}],
    }
    data = {
        "phase": "Done",
        "profiler_status": "success",
        "final_config.yaml": yaml.safe_dump_all((sla_planner(), generated_dgd())),
        "prefill_raw_data.json": "{}",
        "decode_raw_data.json": "{}",
    }
    there.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
    there.kubectl("patch", "job", "profile-q", "--type=merge", "-p", '{"spec":{"suspend":false}}')


# A takeover needs v1beta1, and does not start without (test_crd_check.py).
@pytest.mark.parametrize("theirs", ["v1beta1"], indirect=True)
def test_a_namespace_that_is_taken_over_is_left_alone_by_the_other_operator(
    theirs: tuple[TestCluster, str], tmp_path: Path
) -> None:
    booted, _ = theirs
    before = Namespace(booted, "before")
    before.apply(_graph("old"))
    until("the other one made it", lambda: "old-decode" in before.names("deployments"))
    takeover = {"holder": "dgdr-system/dgdr-operator", "principal": "system:serviceaccount:x:y"}
    names = ["before", "taken"]
    taken = Namespace(booted, "taken")
    process = OperatorProcess(booted, tmp_path, names, mode="Takeover", takeover=takeover)
    process.start()
    try:
        lease = "dynamo-operator-namespace-scope"
        for there in (before, taken):
            until("it is held", lambda there=there: there.get("lease", lease), 120)
        taken.apply(_graph("new"))
        until("ours made it", lambda: "new-decode" in taken.names("deployments"), 120)
        deployment = taken.get("deployment", "new-decode") or {}
        (owner,) = deployment["metadata"]["ownerReferences"]
        assert owner["kind"] == "DynamoGraphDeployment"
        dgd = until("a status", lambda: _with_status(taken, "new"), 60)
        assert MANAGER not in {entry["manager"] for entry in dgd["metadata"]["managedFields"]}
        # What the other one had made goes on under its hands.
        old = until("it is said", lambda: _conflict(before, "old"), 60)
        assert "DynamoComponentDeployment old-" in old["message"]
        version_then = (before.get("dgd", "old") or {})["metadata"]["resourceVersion"]
        time.sleep(min(QUIET_S, 35))
        assert (before.get("dgd", "old") or {})["metadata"]["resourceVersion"] == version_then
        assert "Traceback" not in process.log.read_text()
    except AssertionError as exc:
        raise AssertionError(f"{exc}\n{process.log.read_text()[-4000:]}") from exc
    finally:
        process.kill()


def _graph(name: str) -> dict[str, Any]:
    made = {k: v for k, v in graph_deployment().items() if k != "status"}
    return {**made, "metadata": {"name": name}}


def _with_status(there: Namespace, name: str) -> dict[str, Any] | None:
    found = there.get("dgd", name) or {}
    return found if found.get("status") else None


def _conflict(there: Namespace, name: str) -> dict[str, Any] | None:
    conditions = ((there.get("dgd", name) or {}).get("status") or {}).get("conditions") or ()
    return next((dict(c) for c in conditions if c["type"] == "OwnershipConflict"), None)
