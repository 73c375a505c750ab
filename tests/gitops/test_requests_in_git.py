"""Requests in Git, from the commit that adds one to the commit that takes it out, in this order."""

import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dgdr_api import names
from hack.demo.kube import Kube, Manifest, wait_for
from support.argocd import ArgoCD, Seen, shipped_application
from support.e2e import mocked_request, policy
from support.git_repository import Repository

from .conftest import TEAM

pytestmark = pytest.mark.gitops

APP, PATH, POLICY = "team-models", "requests/requests.json", "small"
ONCE, REVIEWED = "once", "reviewed"
AGAIN = {"argocd.argoproj.io/sync-options": "Force=true,Replace=true"}
PROFILING_S = 600


def request(name: str, **spec: Any) -> Manifest:
    """An aggregated engine on one GPU: the shortest profiling run that there is."""
    planner = {"mode": "agg", "max_gpu_budget": 1}
    return mocked_request(
        name, TEAM, POLICY, workload={"isl": 256, "osl": 32}, sla={"ttft": 5000, "itl": 1000},
        hardware={"totalGpus": 1, "numGpusPerNode": 8},
        features={"mocker": {"enabled": True}, "planner": planner}, **spec,
    )  # fmt: skip


@pytest.fixture(scope="module")
def in_git() -> list[Manifest]:
    """What the team's folder holds; tests change it and commit it."""
    small = policy(
        POLICY, TEAM, minGpusPerEngine=1, maxGpusPerEngine=1,
        mocker={"speedupRatio": 0.5, "kvBlocks": 64},
    )  # fmt: skip
    return [small, request(ONCE), request(REVIEWED, autoApply=False)]


def of(manifests: list[Manifest], name: str) -> Manifest:
    return next(one for one in manifests if one["metadata"]["name"] == name)


@pytest.fixture(scope="module")
def seen(kube: Kube, argo: ArgoCD, git: Repository, in_git: list[Manifest]) -> Iterator[list[Seen]]:
    """Each answer of Argo CD from the first sync until both requests have what they asked for."""
    app = shipped_application(APP)
    app["spec"]["source"].update(repoURL=git.url, path="requests")
    app["spec"]["destination"]["namespace"] = TEAM
    commit = git.commit(PATH, in_git)
    argo.apply(app)
    found = [argo.synced_to(APP, commit)]
    deadline = time.monotonic() + PROFILING_S
    while found[-1].health != "Healthy" and time.monotonic() < deadline:
        if (now := argo.look(APP)) != found[-1]:
            found.append(now)
        time.sleep(1)
    yield found
    # The next file's deployments need the room.
    argo.forget(APP)
    kube.run("delete", "dgdr,dgd", "--all", "--namespace", TEAM)


def test_a_request_is_progressing_until_it_is_healthy(
    seen: list[Seen], figures: Callable[..., None]
) -> None:
    figures(health=[(one.sync, one.health) for one in seen])
    assert {one.sync for one in seen} == {"Synced"}
    assert [one.health for one in seen][-1] == "Healthy"
    assert {one.health for one in seen[:-1]} == {"Progressing"}


@pytest.mark.usefixtures("seen")
def test_nothing_that_a_request_generates_is_pruned_or_out_of_sync(
    kube: Kube, argo: ArgoCD
) -> None:
    argo.refresh(APP)
    time.sleep(5)
    assert argo.look(APP).sync == "Synced"
    assert set(argo.look(APP).resources) == {
        f"ProfilingPolicy/{POLICY}",
        *(f"DynamoGraphDeploymentRequest/{n}" for n in (ONCE, REVIEWED)),
    }
    for kind in ("dgd", "slap"):
        assert kube.get(kind, names.dgd_name(ONCE), TEAM) is not None


@pytest.mark.usefixtures("seen")
def test_a_reviewed_request_is_deployed_by_the_commit_that_says_so(
    kube: Kube, argo: ArgoCD, git: Repository, in_git: list[Manifest]
) -> None:
    assert phase(kube, REVIEWED) == "Ready"
    of(in_git, REVIEWED)["spec"]["autoApply"] = True
    argo.synced_to(APP, git.commit(PATH, in_git))
    wait_for("Deployed", lambda: phase(kube, REVIEWED) == "Deployed", timeout_s=120)


@pytest.mark.usefixtures("seen")
def test_an_edit_of_a_deployed_request_is_refused_in_words_and_taken_back(
    argo: ArgoCD, git: Repository, in_git: list[Manifest]
) -> None:
    edited = copy.deepcopy(in_git)
    of(edited, ONCE)["spec"]["workload"]["isl"] = 300
    git.commit(PATH, edited)
    argo.refresh(APP)
    refused = wait_for(
        "the refusal", lambda: said(argo.look(APP), "updates are forbidden"), timeout_s=60
    )
    assert 'phase "Deployed"' in refused.message
    argo.kube.run(
        "patch", "application", APP, "--namespace", "argocd", "--type=merge",
        "--patch", '{"status":{"operationState":{"phase":"Terminating"}}}',
    )  # fmt: skip
    # What is in Git again is what is there, so there is nothing left to do.
    commit = git.commit(PATH, in_git)
    argo.refresh(APP)

    def is_synced() -> bool:
        now = argo.look(APP)
        return (now.sync, now.revision) == ("Synced", commit)

    wait_for("Synced without another operation", is_synced, timeout_s=90)


def test_a_request_that_may_be_replaced_is_profiled_anew_and_alone(
    kube: Kube, argo: ArgoCD, git: Repository, in_git: list[Manifest], seen: list[Seen]
) -> None:
    before = uids(kube)
    serving = kube.get("dgd", names.dgd_name(ONCE), TEAM)
    of(in_git, ONCE)["metadata"]["annotations"].update(AGAIN)
    of(in_git, ONCE)["spec"]["workload"]["isl"] = 300
    argo.synced_to(APP, git.commit(PATH, in_git))
    after = uids(kube)
    assert {name for name in after if after[name] != before[name]} == {ONCE}
    wait_for("Deployed", lambda: phase(kube, ONCE) == "Deployed", timeout_s=PROFILING_S)
    still = kube.get("dgd", names.dgd_name(ONCE), TEAM)
    assert serving is not None
    assert still is not None
    assert still["metadata"]["uid"] == serving["metadata"]["uid"]
    git.commit("elsewhere/nothing.json", [])
    argo.refresh(APP)
    time.sleep(10)
    assert uids(kube) == after, "a commit elsewhere replaces nothing"


@pytest.mark.usefixtures("seen")
def test_a_request_taken_out_of_git_goes_and_its_deployment_serves_on(
    kube: Kube, argo: ArgoCD, git: Repository, in_git: list[Manifest]
) -> None:
    in_git.remove(of(in_git, ONCE))
    argo.synced_to(APP, git.commit(PATH, in_git))
    wait_for("the request to go", lambda: kube.get("dgdr", ONCE, TEAM) is None, timeout_s=60)
    wait_for(
        "its Job to go",
        lambda: kube.get("job", names.job_name(ONCE), TEAM) is None,
        timeout_s=60,
    )
    for kind in ("dgd", "slap"):
        assert kube.get(kind, names.dgd_name(ONCE), TEAM) is not None


def phase(kube: Kube, name: str) -> str:
    found = kube.get("dgdr", name, TEAM) or {}
    return str(found.get("status", {}).get("phase", ""))


def uids(kube: Kube) -> dict[str, str]:
    """UIDs of what stands in Git."""
    return {
        one["metadata"]["name"]: one["metadata"]["uid"] for one in kube.list("dgdr,profpol", TEAM)
    }


def said(now: Seen, words: str) -> Seen | None:
    return now if words in now.message else None
