"""The last tests of a run: the chart's own, and uninstalling leaves the CRDs and nothing else."""

import pytest

from hack.demo.kube import Kube, wait_for
from hack.demo.platform import RELEASE, SYSTEM_NAMESPACE
from support.e2e import NAMESPACE

pytestmark = pytest.mark.e2e

OUR_KINDS = "dgdr,dgd,dgdsa,slap,profpol,dynamoworkermetadatas"
CLUSTER_WIDE = "clusterroles,clusterrolebindings"


def of_ours(kube: Kube) -> list[str]:
    """Objects that belong to the product, wherever they are."""
    found = [
        f"{item['kind']}/{item['metadata']['name']}"
        for kinds in (OUR_KINDS, "deployments,services,jobs,roles,rolebindings,configmaps")
        for item in kube.list(kinds, NAMESPACE)
        if item["metadata"]["name"] not in ("kube-root-ca.crt", "mocker-profiles")
    ]
    found += [
        f"{item['kind']}/{item['metadata']['name']}"
        for item in kube.list(CLUSTER_WIDE, "", f"app.kubernetes.io/instance={RELEASE}")
    ]
    return found


def test_the_charts_own_test_is_content_and_leaves_nothing(kube: Kube) -> None:
    assert "Succeeded" in kube.helm("test", RELEASE, "--namespace", SYSTEM_NAMESPACE)
    for kinds, namespace in (("pods,serviceaccounts", SYSTEM_NAMESPACE), (CLUSTER_WIDE, "")):
        names = {item["metadata"]["name"] for item in kube.list(kinds, namespace)}
        assert f"{RELEASE}-test" not in names


def test_uninstall_and_deletion_of_user_objects_leave_only_the_crds(kube: Kube) -> None:
    kube.helm("uninstall", RELEASE, "--namespace", SYSTEM_NAMESPACE, "--wait")
    kube.run("delete", OUR_KINDS, "--all", "--namespace", NAMESPACE, "--wait=true")
    wait_for("nothing of ours", lambda: not of_ours(kube), timeout_s=120)
    crds = {item["metadata"]["name"] for item in kube.list("crds", "")}
    assert {"dynamographdeploymentrequests.nvidia.com", "slaplanners.dgdr.dev"} <= crds
