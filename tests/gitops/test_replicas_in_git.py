"""Who wins when Git, Argo CD and a planner speak of replicas: each row of docs/gitops.md.

The adapter is scaled by hand, which is what a planner writes.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hack.demo.kube import Kube, Manifest, TimedOut, wait_for
from support.argocd import ArgoCD, shipped_application
from support.e2e import MOCKER_IMAGE
from support.git_repository import Repository
from support.histories import falls, history

from .conftest import TEAM

pytestmark = pytest.mark.gitops

IGNORED = {
    "group": "nvidia.com",
    "kind": "DynamoGraphDeployment",
    "jqPathExpressions": [".spec.components[].replicas"],
}
OWNED = {
    "group": "nvidia.com",
    "kind": "DynamoGraphDeployment",
    "managedFieldsManagers": ["dgdr-scale"],
}
WATCHED_S = 25
# More than one try of a heal that does not succeed.
PATIENCE_S = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How a deployment is written and applied, and what comes of it."""

    name: str
    replicas_in_git: bool
    server_side: bool
    ignored: list[dict[str, Any]] = field(default_factory=list)
    respected: bool = False
    reverted: bool = False
    applied: bool = True
    falls_when_applied: bool = False


ROWS = (
    Row(name="cure", replicas_in_git=False, server_side=True),
    Row(name="client", replicas_in_git=False, server_side=False, falls_when_applied=True),
    Row(name="fight", replicas_in_git=True, server_side=False, reverted=True),
    Row(
        name="deaf-client", replicas_in_git=True, server_side=False, ignored=[IGNORED],
        respected=True, applied=False,
    ),
    Row(
        name="deaf-server", replicas_in_git=True, server_side=True, ignored=[IGNORED],
        respected=True, applied=False,
    ),
    Row(
        name="deaf-owner", replicas_in_git=True, server_side=True, ignored=[OWNED],
        respected=True, applied=False,
    ),
    Row(
        name="ignored-client", replicas_in_git=True, server_side=False, ignored=[IGNORED],
        falls_when_applied=True,
    ),
    Row(
        name="ignored-server", replicas_in_git=True, server_side=True, ignored=[IGNORED],
        falls_when_applied=True,
    ),
)  # fmt: skip


def deployment(row: Row, stage: str) -> Manifest:
    """A frontend and a worker with an adapter; nothing in their pods serves."""
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": row.name, "namespace": TEAM},
        "spec": {
            "components": [
                {"name": "frontend", "type": "frontend", "replicas": 1, "podTemplate": idle(stage)},
                {
                    "name": "decode", "type": "decode", "scalingAdapter": {},
                    "podTemplate": idle(stage), **({"replicas": 1} if row.replicas_in_git else {}),
                },
            ]
        },
    }  # fmt: skip


def idle(stage: str) -> Manifest:
    container = {
        "name": "main", "image": MOCKER_IMAGE, "command": ["sleep"], "args": ["infinity"],
        "env": [{"name": "STAGE", "value": stage}], "resources": {"requests": {"cpu": "5m"}},
    }  # fmt: skip
    return {"spec": {"containers": [container]}}


def application(row: Row, git: Repository) -> Manifest:
    """The shipped Application, with what the row changes in it."""
    app = shipped_application("team-models")
    app["metadata"]["name"] = row.name
    app["spec"]["source"].update(repoURL=git.url, path=row.name)
    app["spec"]["destination"]["namespace"] = TEAM
    options = ["ApplyOutOfSyncOnly=true"]
    options += ["ServerSideApply=true"] if row.server_side else []
    options += ["RespectIgnoreDifferences=true"] if row.respected else []
    app["spec"]["syncPolicy"]["syncOptions"] = options
    app["spec"]["ignoreDifferences"] = row.ignored
    return app


def worker(dgd: Manifest | None) -> Manifest:
    components = (dgd or {}).get("spec", {}).get("components", [{}, {}])
    found: Manifest = components[1]
    return found


def stage_of(dgd: Manifest | None) -> str:
    found: str = worker(dgd)["podTemplate"]["spec"]["containers"][0]["env"][0]["value"]
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(row: Row, kube: Kube, argo: ArgoCD, git: Repository, folder: Path) -> None:
    commit = git.commit(f"{row.name}/dgd.json", [deployment(row, "one")])
    argo.apply(application(row, git))
    argo.synced_to(row.name, commit)
    adapter = f"{row.name}-decode"
    wait_for("the adapter", lambda: kube.get("dgdsa", adapter, TEAM), timeout_s=30)
    kube.run("scale", "dgdsa", adapter, "--replicas=2", "--namespace", TEAM)
    try:
        wait_for(
            "two replicas",
            lambda: worker(kube.get("dgd", row.name, TEAM)).get("replicas") == 2,
            timeout_s=30,
            every_s=0.2,
        )
        path = ".spec.components[1].replicas"
        with history(kube, "dgd", row.name, TEAM, path, folder) as replicas:
            time.sleep(WATCHED_S)
            reverted = falls(replicas.numbers())
            git.commit(f"{row.name}/dgd.json", [deployment(row, "two")])
            argo.refresh(row.name)
            applied = was_applied(kube, row.name)
            time.sleep(3)
            fallen = falls(replicas.numbers()) - reverted
    finally:
        argo.forget(row.name)
        kube.run("delete", "dgd", row.name, "--namespace", TEAM)
    assert (reverted > 1) == row.reverted, reverted
    assert applied == row.applied
    if not row.reverted:
        assert (fallen > 0) == row.falls_when_applied, fallen


def was_applied(kube: Kube, name: str) -> bool:
    """Whether the commit reaches the deployment while we wait."""
    try:
        wait_for(
            "the commit",
            lambda: stage_of(kube.get("dgd", name, TEAM)) == "two",
            timeout_s=PATIENCE_S,
        )
    except TimedOut:
        return False
    return True
