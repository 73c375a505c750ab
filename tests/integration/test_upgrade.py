"""From each earlier chart to this one, with objects in each phase: nothing lost, no pod replaced.

``python3 -m hack.earlier_chart`` has kept the charts and what their operators left behind.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import earlier
from support.cluster import TestCluster, cluster
from support.operator_process import ROOT, OperatorProcess, operator_process, until

pytestmark = pytest.mark.integration

SYSTEM = "dgdr-system"
CHART = str(ROOT / "helm/dgdr-operator")
IMAGES = ("--set", "global.imageRegistry=registry.test")
CHANGED = (
    *IMAGES,
    "--set",
    "dataPlane.natsUrl=nats://n:4222",
    "--set",
    "dataPlane.preStopSeconds=9",
)
OURS = "dgdr,dgd,dgdsa,slap,jobs,configmaps,deployments,services,serviceaccounts,roles,rolebindings"
# A deployment that was on its way arrives; nothing else moves.
AFTER = {phase: phase for phase in ("Pending", "Profiling", "Ready", "Deployed", "Failed")} | {
    "Deploying": "Deployed"
}
NAMESPACES = tuple(phase.lower() for phase in AFTER)
GRAPHS = ("deployed", "deploying")


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[TestCluster]:
    """A cluster of our own: CRDs of another version are of the whole cluster."""
    with cluster(f"upgrade-{os.getpid()}") as booted:
        booted.add_gpu_nodes(2, gpus_per_node=16)
        yield booted


class Release:
    """The chart on a cluster, and what is in the namespaces that it serves."""

    def __init__(self, where: TestCluster) -> None:
        self.where = where

    def helm(self, *arguments: str) -> None:
        """Run helm; values are never those of the release before."""
        binary = str(self.where.bin_dir / "helm")
        at = ("--kubeconfig", str(self.where.kubeconfig), "--namespace", SYSTEM)
        done = subprocess.run(
            [binary, *at, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def put(self, verb: str, chart: str, *values: str) -> None:
        wait = ("--wait", "--timeout", "180s")
        self.helm(verb, "dgdr-operator", chart, *wait, *values)

    def settings(self) -> str:
        """Return the file that the operator's pod has."""
        found = self.where.kubectl(
            "get", "configmap", "dgdr-operator", "--namespace", SYSTEM, "--output", "json"
        )
        text: str = json.loads(found)["data"]["config.yaml"]
        return text.replace("port: 8080", "port: 0")

    def objects(self, kinds: str) -> list[dict[str, Any]]:
        listed = json.loads(self.where.kubectl("get", kinds, "-A", "--output", "json"))["items"]
        return [one for one in listed if one["metadata"]["namespace"] in NAMESPACES]

    def uids(self, kinds: str) -> dict[str, str]:
        return {_name(one): one["metadata"]["uid"] for one in self.objects(kinds)}

    def engines(self, *namespaces: str) -> dict[str, str]:
        """Return the pods of deployments by name."""
        return {
            name: uid
            for name, uid in self.uids("pods").items()
            if name.split("/")[1] in (namespaces or GRAPHS) and "/q-dgd-" in name
        }

    def wanted(self) -> dict[str, Any]:
        """Return the pod templates, and the generations of deployments."""
        templates = {_name(d): d["spec"]["template"] for d in self.objects("deployments")}
        return templates | {_name(d): d["metadata"]["generation"] for d in self.objects("dgd")}

    def phases(self) -> dict[str, str]:
        return {
            one["metadata"]["namespace"]: one["status"]["phase"] for one in self.objects("dgdr")
        }

    def up_to_date(self) -> dict[str, str]:
        """Return the status of that condition by namespace."""
        return {
            one["metadata"]["namespace"]: condition["status"]
            for one in self.objects("dgd")
            for condition in (one.get("status") or {}).get("conditions", ())
            if condition["type"] == "UpToDate"
        }

    def all_run(self) -> bool:
        reports = [(one["spec"], one.get("status") or {}) for one in self.objects("deployments")]
        return len(reports) == 3 * len(GRAPHS) and all(
            spec["replicas"] == report.get("readyReplicas") == report.get("updatedReplicas")
            == report.get("replicas")
            for spec, report in reports
        )  # fmt: skip

    def clear(self) -> None:
        """Leave a cluster without CRDs to the next version."""
        self.where.kubectl("delete", "namespace", *NAMESPACES, "--ignore-not-found")
        self.where.kubectl("delete", "crd", "--selector", "app.kubernetes.io/part-of=dgdr-operator")


def _name(one: dict[str, Any]) -> str:
    return f"{one['kind']}/{one['metadata']['namespace']}/{one['metadata']['name']}"


@pytest.fixture(params=earlier.VERSIONS)
def release(own_cluster: TestCluster, request: pytest.FixtureRequest) -> Iterator[Release]:
    """An earlier chart, with the objects of each phase, whose pods run."""
    found = Release(own_cluster)
    found.put("install", str(earlier.chart(request.param)), "--create-namespace")
    for phase, objects in earlier.phases(request.param).items():
        own_cluster.kubectl("create", "namespace", phase.lower())
        earlier.put_back(own_cluster, objects)
    until("pods of the earlier deployments", found.all_run)
    yield found
    found.clear()


def ask(release: Release, namespace: str) -> None:
    asked = "dgdr.dev/upgrade-requested-at=now"
    release.where.kubectl("annotate", "dgd", "q-dgd", asked, "--namespace", namespace)


def upgraded(release: Release, operator: OperatorProcess) -> None:
    """Wait until the new operator has looked at everything."""

    def has_looked() -> bool:
        assert operator.running(), operator.log.read_text()
        wanted = {phase.lower(): after for phase, after in AFTER.items()}
        return release.phases() == wanted and release.up_to_date() == dict.fromkeys(GRAPHS, "False")

    until("what the new operator says of it", has_looked)


def test_an_upgrade_moves_nothing_until_it_is_asked_to(release: Release, tmp_path: Path) -> None:
    engines, wanted, there = release.engines(), release.wanted(), release.uids(OURS)
    jobs = release.uids("jobs")
    assert len(engines) == 6
    release.put("upgrade", CHART, *CHANGED)
    with operator_process(release.where, tmp_path, [], release.settings()) as operator:
        upgraded(release, operator)
        assert release.engines() == engines, "pods were replaced"
        assert release.wanted() == wanted
        assert there.items() <= release.uids(OURS).items(), "something was lost"
        assert release.uids("jobs") == jobs, "something was run again"

        ask(release, "deployed")
        until("the one that asked", lambda: release.up_to_date().get("deployed") == "True")
        until("its pods", release.all_run)
        assert not engines.items() & release.engines("deployed").items()
        assert release.engines("deploying").items() <= engines.items()
        serving = release.engines()

    release.helm("uninstall", "dgdr-operator", "--wait")
    assert release.engines() == serving, "an uninstall stopped pods"
    release.put("install", CHART, *IMAGES)
    with operator_process(release.where, tmp_path, [], release.settings()):
        until(
            "what is behind the other way round",
            lambda: release.up_to_date()["deployed"] == "False",
        )
        assert release.engines() == serving, "a second install replaced pods"
    release.helm("uninstall", "dgdr-operator", "--wait")
    assert serving == release.engines()
