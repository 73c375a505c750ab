"""Install, use, uninstall: what is there at each step, and what is left at the end."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.cluster import TestCluster, cluster

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
CHART = str(ROOT / "helm/dgdr-operator")
SYSTEM = "dgdr-system"
TEAM = "team"
OURS = "app.kubernetes.io/part-of=dgdr-operator"
CRD_NAMES = {
    "dynamographdeploymentrequests.nvidia.com",
    "dynamographdeployments.nvidia.com",
    "dynamographdeploymentscalingadapters.nvidia.com",
    "dynamoworkermetadatas.nvidia.com",
    "profilingpolicies.dgdr.dev",
    "slaplanners.dgdr.dev",
}


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[TestCluster]:
    """A cluster without our CRDs: tests beside these may have installed them in the shared one."""
    with cluster(f"chart-{os.getpid()}") as booted:
        booted.add_gpu_nodes(1)
        booted.kubectl("create", "namespace", TEAM)
        yield booted


def helm(where: TestCluster, *arguments: str) -> str:
    done = subprocess.run(
        [
            *(str(where.bin_dir / "helm"), "--kubeconfig", str(where.kubeconfig)),
            *("--namespace", SYSTEM, *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(where: TestCluster) -> str:
    return helm(
        where,
        *("install", "dgdr-operator", CHART, "--create-namespace", "--wait", "--timeout", "90s"),
        *("--values", str(ROOT / "hack/demo/values.yaml")),
    )


@pytest.fixture(scope="module")
def installed(own_cluster: TestCluster) -> TestCluster:
    """The chart, installed; its pods run as far as a cluster without containers can tell."""
    notes = install(own_cluster)
    assert "kubectl get dgdr" in notes
    return own_cluster


def names(where: TestCluster, kind: str, *arguments: str) -> set[str]:
    listed = json.loads(where.kubectl("get", kind, "--output", "json", *arguments))
    return {item["metadata"]["name"] for item in listed["items"]}


def test_operator_planner_and_crds_are_there(installed: TestCluster) -> None:
    assert names(installed, "deployments", "--namespace", SYSTEM) == {
        "dgdr-operator",
        "dgdr-operator-planner",
    }
    assert names(installed, "crds", "--selector", OURS) == CRD_NAMES


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").rglob("*.yaml")), ids=lambda path: path.name
)
def test_the_api_server_accepts_every_example(installed: TestCluster, path: Path) -> None:
    documents = list(yaml.safe_load_all(path.read_text()))
    spaces = {d["metadata"].get("namespace") for d in documents} - {None}
    for space in spaces - names(installed, "namespaces"):
        installed.kubectl("create", "namespace", space)
    namespace = () if spaces else ("--namespace", TEAM)
    # Strict: a field that the schema does not know is an error, not a warning.
    installed.kubectl("apply", "--validate=strict", *namespace, "--filename", str(path))


OPERATOR = f"system:serviceaccount:{SYSTEM}:dgdr-operator"
PLANNER = f"system:serviceaccount:{SYSTEM}:dgdr-operator-planner"


@pytest.mark.parametrize(
    ("who", "verb", "what", "may"),
    [
        (OPERATOR, "create", "jobs.batch", "yes"),
        (OPERATOR, "patch", "dynamographdeployments.nvidia.com", "yes"),
        (OPERATOR, "patch", "dynamographdeploymentrequests.nvidia.com/status", "yes"),
        (OPERATOR, "bind", "clusterroles/dgdr-operator-profiling", "yes"),
        (OPERATOR, "bind", "clusterroles/cluster-admin", "no"),
        (OPERATOR, "delete", "dynamographdeploymentrequests.nvidia.com", "no"),
        (OPERATOR, "get", "secrets", "no"),
        (OPERATOR, "get", "pods/log", "no"),
        (PLANNER, "patch", "dynamographdeploymentscalingadapters.nvidia.com/scale", "yes"),
        (PLANNER, "patch", "slaplanners.dgdr.dev/status", "yes"),
        (PLANNER, "delete", "dynamographdeployments.nvidia.com", "no"),
        (PLANNER, "create", "pods", "no"),
        (PLANNER, "get", "secrets", "no"),
    ],
)
def test_rights_are_those_that_are_needed(
    installed: TestCluster, who: str, verb: str, what: str, may: str
) -> None:
    resource, _, rest = what.partition("/")
    subresource = ["--subresource", rest] if resource != "clusterroles" else []
    asked = [what] if resource == "clusterroles" else [resource]
    done = subprocess.run(
        [
            *(str(installed.bin_dir / "kubectl"), "--kubeconfig", str(installed.kubeconfig)),
            *("auth", "can-i", verb, *asked, "--as", who, "--namespace", TEAM),
            *(subresource if rest else ()),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == may, done.stderr


def test_after_an_uninstall_users_objects_and_crds_are_still_there(installed: TestCluster) -> None:
    before = names(installed, "dgdr", "--all-namespaces")
    helm(installed, "uninstall", "dgdr-operator", "--wait")
    assert before
    assert names(installed, "dgdr", "--all-namespaces") == before
    assert names(installed, "crds", "--selector", OURS) == CRD_NAMES
    everything = "serviceaccounts,configmaps,deployments,services,clusterroles,clusterrolebindings"
    assert names(installed, everything, "--all-namespaces", "--selector", OURS) == set()


def test_a_second_install_takes_its_crds_back(installed: TestCluster) -> None:
    install(installed)
    helm(installed, "uninstall", "dgdr-operator", "--wait")


def test_the_documented_last_step_removes_the_crds(installed: TestCluster) -> None:
    installed.kubectl("delete", "dgdr,dgd,slap,profpol", "--all", "--all-namespaces")
    installed.kubectl("delete", "crd", "--selector", OURS)
    assert names(installed, "crds", "--selector", OURS) == set()
