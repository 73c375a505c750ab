"""A deployment and its planner in Git: commits reach it while the planner scales it under load."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dgdr_api import names
from hack.demo import load as loads
from hack.demo import request as requests
from hack.demo.kube import Kube, Manifest, wait_for
from support.argocd import ArgoCD, shipped_application
from support.e2e import example
from support.git_repository import Repository
from support.histories import falls, history

from .conftest import TEAM

pytestmark = pytest.mark.gitops

APP = "chat"
MEASURED = "qwen"
MINUTES = int(os.environ.get("GITOPS_MINUTES", "10"))
STAGE_S = 120
URL = names.frontend_url(TEAM, APP)
STAGES = ((4.0, 480), (0.25, 30))
"""Requests a second and requests, in turn: two minutes each."""


@pytest.fixture(scope="module")
def measured(kube: Kube) -> Manifest:
    """The deployment of a profiled request, whose curves the planner in Git uses."""
    kube.apply(example("dgdr", MEASURED, TEAM), example("policy", "demo", TEAM))
    requests.watch(
        kube, MEASURED, TEAM, until=requests.in_phase("Deployed"), timeout_s=900, say=print
    )
    name = names.dgd_name(MEASURED)
    dgd, planner = kube.get("dgd", name, TEAM), kube.get("slap", name, TEAM)
    assert dgd is not None
    assert planner is not None
    # Its GPUs are needed, and its curves go with it: a copy stays.
    curves = kube.get("configmap", planner["spec"]["profile"]["configMapRef"]["name"], TEAM)
    assert curves is not None
    kube.apply({**curves, "metadata": {"name": "chat-curves", "namespace": TEAM}})
    kube.run("delete", "dgdr", MEASURED, "--namespace", TEAM)
    kube.run("delete", "dgd,slap", name, "--namespace", TEAM)
    return {"dgd": dgd, "planner": planner}


def in_git(measured: Manifest, stage: int) -> list[Manifest]:
    """Deployment and planner as a team would write them, without replicas that can be scaled."""
    dgd = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": APP, "namespace": TEAM},
        "spec": {
            **measured["dgd"]["spec"],
            "components": [staged(c, stage) for c in measured["dgd"]["spec"]["components"]],
        },
    }
    planner = {
        "apiVersion": "dgdr.dev/v1alpha1",
        "kind": "SLAPlanner",
        "metadata": {"name": APP, "namespace": TEAM},
        "spec": {
            **measured["planner"]["spec"],
            "targetRef": {"kind": "DynamoGraphDeployment", "name": APP},
            "profile": {"configMapRef": {"name": "chat-curves"}},
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 30}},
            "forecast": {"model": "LastValue", "quantile": 0.5},
        },
    }
    return [dgd, planner]


def staged(component: Manifest, stage: int) -> Manifest:
    """A component whose decode workers are changed by each commit."""
    found: dict[str, Any] = {
        key: value
        for key, value in component.items()
        if key != "replicas" or "scalingAdapter" not in component
    }
    if component["type"] == "decode":
        pod = component["podTemplate"]
        (container, *others) = pod["spec"]["containers"]
        env = [*container.get("env", []), {"name": "STAGE", "value": str(stage)}]
        containers = [{**container, "env": env}, *others]
        found["podTemplate"] = {**pod, "spec": {**pod["spec"], "containers": containers}}
    return found


def stage_of(dgd: Manifest | None) -> str:
    components = (dgd or {})["spec"]["components"]
    (decode,) = (one for one in components if one["type"] == "decode")
    env = decode["podTemplate"]["spec"]["containers"][0]["env"]
    return next(str(one["value"]) for one in env if one["name"] == "STAGE")


def path_of(dgd: Manifest, role: str) -> str:
    index = [one["type"] for one in dgd["spec"]["components"]].index(role)
    return f".spec.components[{index}].replicas"


def test_commits_are_applied_and_replicas_left_alone(
    kube: Kube, argo: ArgoCD, git: Repository, measured: Manifest, folder: Path,
    figures: Callable[..., None],
) -> None:  # fmt: skip
    app = shipped_application("team-models")
    app["metadata"]["name"] = APP
    app["spec"]["source"].update(repoURL=git.url, path=APP)
    app["spec"]["destination"]["namespace"] = TEAM
    commit = git.commit(f"{APP}/chat.json", in_git(measured, 0))
    argo.apply(app)
    argo.synced_to(APP, commit)
    wait_for("Healthy", lambda: argo.look(APP).health == "Healthy", timeout_s=180)
    dgd = kube.get("dgd", APP, TEAM)
    assert dgd is not None
    before, applied_s, results = argo.reconciles(), [], []
    follow = {
        (kind, role): history(kube, kind, name, TEAM, path, folder)
        for role in ("prefill", "decode")
        for kind, name, path in (
            ("dgd", APP, path_of(dgd, role)),
            ("dgdsa", f"{APP}-{role}", ".spec.replicas"),
        )
    }
    began = time.monotonic()
    with (
        follow["dgd", "prefill"] as prefill, follow["dgd", "decode"] as decode,
        follow["dgdsa", "prefill"] as asked_prefill, follow["dgdsa", "decode"] as asked_decode,
    ):  # fmt: skip
        stage = 0
        while time.monotonic() < began + MINUTES * 60:
            rate_per_s, count = STAGES[stage % len(STAGES)]
            load = loads.Load(
                name=f"load-{stage}", url=URL, rate_per_s=rate_per_s, requests=count,
                isl=2048, osl=64,
            )  # fmt: skip
            loads.start_load(kube, load, TEAM)
            time.sleep(STAGE_S / 2)
            stage += 1
            committed = time.monotonic()
            git.commit(f"{APP}/chat.json", in_git(measured, stage))
            argo.refresh(APP)
            wait_for(
                f"commit {stage}",
                lambda wanted=str(stage): stage_of(kube.get("dgd", APP, TEAM)) == wanted,
                timeout_s=60,
            )
            applied_s.append(round(time.monotonic() - committed, 1))
            results.append(loads.load_result(kube, load, TEAM))
        minutes = (time.monotonic() - began) / 60
        pairs = ((prefill, asked_prefill), (decode, asked_decode))
        seen = [(found.numbers(), asked.numbers()) for found, asked in pairs]
    figures(
        commits=stage,
        applied_s=applied_s,
        replicas=[found for found, _ in seen],
        requests=[(one["completed"], one["sent"]) for one in results],
        reconciles_a_minute=round((argo.reconciles() - before) / minutes, 1),
    )
    for found, asked in seen:
        assert found == asked, "replicas moved without the adapter"
    assert any(falls(found) for found, _ in seen)
    assert max(max(found) for found, _ in seen) > 1
    told = kube.run("describe", "slap", APP, "--namespace", TEAM)
    assert "HandEdited" not in told
    wait_for("Synced", lambda: argo.look(APP).settled, timeout_s=60)
