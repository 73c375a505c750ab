"""What ``helm test`` says about an installation."""

from typing import Any

from dgdr_kube.crd_check import PART_OF, PART_OF_VALUE, crd_name
from dgdr_kube.errors import Rejected
from dgdr_kube.kinds import DEPLOYMENT, DGDR, Kind
from dgdr_kube.served import Mode, installed
from dgdr_operator.installed import lacking
from support.fake_cluster import FakeCluster

NAMESPACE = "dgdr-system"


def crd(kind: Kind, established: str = "True") -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": crd_name(kind), "labels": {PART_OF: PART_OF_VALUE}},
        "spec": {"versions": [{"name": kind.version, "served": True}]},
        "status": {"conditions": [{"type": "Established", "status": established}]},
    }


def deployment(ready: int, *, replicas: int = 2, observed: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "dgdr-operator", "namespace": NAMESPACE, "generation": 1},
        "spec": {"replicas": replicas},
        "status": {
            "observedGeneration": observed,
            "updatedReplicas": replicas,
            "readyReplicas": ready,
        },
    }


def cluster(*more: dict[str, Any], without: Kind | None = None) -> FakeCluster:
    fake = FakeCluster()
    for kind in installed(Mode.STANDALONE):
        if kind != without:
            fake.seed(crd(kind))
    for manifest in more:
        fake.seed(manifest)
    return fake


async def said(fake: FakeCluster) -> list[str]:
    return await lacking(fake, Mode.STANDALONE, NAMESPACE, ["dgdr-operator"])


async def test_an_installation_at_work_lacks_nothing() -> None:
    assert await said(cluster(deployment(ready=2))) == []


async def test_pods_that_are_not_ready_are_counted() -> None:
    (line,) = await said(cluster(deployment(ready=1)))
    assert "1 of 2 pods are ready" in line


async def test_a_deployment_that_nobody_has_looked_at_yet_is_not_ready() -> None:
    (line,) = await said(cluster(deployment(ready=2, observed=0)))
    assert "0 of 2 pods are ready" in line


async def test_every_lack_is_told_in_one_look() -> None:
    crds, program = await said(cluster(without=DGDR))
    assert crd_name(DGDR) in crds
    assert "Deployment dgdr-system/dgdr-operator is not there" in program


async def test_a_missing_right_is_named() -> None:
    fake = cluster(deployment(ready=2))
    fake.refuse("get", DEPLOYMENT, Rejected(403, "deployments is forbidden"))
    (line,) = await said(fake)
    assert "cannot be read: deployments is forbidden" in line
