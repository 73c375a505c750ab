import pytest

from dgdr_kube.crd_check import StartRefused, require_crds
from dgdr_kube.errors import Rejected
from dgdr_kube.kinds import CRD, DGD, DGDR
from dgdr_kube.ports import Manifest
from support.fake_cluster import FakeCluster


def crd(name: str, *, ours: bool = True, established: str = "True") -> Manifest:
    labels = {"app.kubernetes.io/part-of": "dgdr-operator"} if ours else {}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name, "labels": labels},
        "spec": {"versions": [{"name": "v1beta1", "served": True}]},
        "status": {"conditions": [{"type": "Established", "status": established}]},
    }


DGDR_CRD = "dynamographdeploymentrequests.nvidia.com"
DGD_CRD = "dynamographdeployments.nvidia.com"


async def test_all_there() -> None:
    cluster = FakeCluster()
    cluster.seed(crd(DGDR_CRD), crd(DGD_CRD))
    await require_crds(cluster, (DGDR, DGD), wait_s=0)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(None, id="missing"),
        pytest.param(crd(DGD_CRD, established="False"), id="not served yet"),
    ],
)
async def test_what_is_not_served_is_named(second: Manifest | None) -> None:
    cluster = FakeCluster()
    cluster.seed(crd(DGDR_CRD), *([second] if second else []))
    with pytest.raises(StartRefused, match=f"missing or not served: {DGD_CRD}; install"):
        await require_crds(cluster, (DGDR, DGD), wait_s=0)


async def test_somebody_elses_is_refused_at_once() -> None:
    cluster = FakeCluster()
    cluster.seed(crd(DGDR_CRD, ours=False))
    with pytest.raises(StartRefused, match="belongs to somebody else"):
        await require_crds(cluster, (DGDR,))


async def test_somebody_elses_will_do_where_we_do_not_own_the_kinds() -> None:
    cluster = FakeCluster()
    cluster.seed(crd(DGDR_CRD, ours=False))
    await require_crds(cluster, (DGDR,), own=False)


async def test_without_the_right_to_look_it_says_so() -> None:
    cluster = FakeCluster()
    cluster.refuse("get", CRD, Rejected(403, "crds is forbidden"))
    with pytest.raises(StartRefused, match="crds is forbidden"):
        await require_crds(cluster, (DGDR,), wait_s=0)
