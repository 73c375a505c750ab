"""The chart with its CRDs, a policy and a request in one Application, on an empty cluster."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hack.demo.kube import Kube, wait_for
from support.argocd import argocd, shipped_application
from support.cluster import ROOT, cluster
from support.e2e import mocked_request, policy
from support.git_repository import Repository

pytestmark = pytest.mark.gitops

NAMESPACE = "dgdr-system"
"""The operator's and the request's: one Application has one."""
VALUES = {"prometheus": {"url": "http://prometheus.monitoring.svc:9090"}}


def test_one_operation_without_waves(tmp_path: Path, figures: Callable[..., None]) -> None:
    git = Repository(tmp_path)
    git.take(ROOT / "helm/dgdr-operator", "chart")
    commit = git.commit(
        "team/request.json",
        [policy("small", NAMESPACE), mocked_request("chat", NAMESPACE, "small")],
    )
    app = shipped_application("dgdr-operator")
    chart = app["spec"].pop("source")
    chart["helm"]["valuesObject"] |= VALUES
    app["spec"]["sources"] = [
        {**chart, "repoURL": git.url, "path": "chart"},
        {"repoURL": git.url, "targetRevision": "main", "path": "team"},
    ]
    with cluster("gitops-light") as light:
        light.add_gpu_nodes(1)
        kube = Kube(bin_dir=light.bin_dir, kubeconfig=light.kubeconfig)
        with argocd(kube, tmp_path) as argo:
            argo.apply(app)
            seen = wait_for(
                "the Application",
                lambda: found if (found := argo.look("dgdr-operator")).settled else None,
                timeout_s=120,
            )
            status = (kube.get("application", "dgdr-operator", "argocd") or {})["status"]
    figures(objects=len(seen.resources), operations=len(status["history"]))
    assert "DynamoGraphDeploymentRequest/chat" in seen.resources
    assert [one["revisions"] for one in status["history"]] == [[commit, commit]]
