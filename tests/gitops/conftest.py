"""A full cluster with our chart and a real Argo CD, made once for all of these tests."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.demo.kube import Kube
from hack.demo.platform import bring_up, take_down
from support.argocd import ArgoCD, argocd
from support.e2e import prepare
from support.git_repository import Repository

CLUSTER = "gitops"
TEAM = "team"


@pytest.fixture
def figures(capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Print figures as one line of JSON, also when the test passes."""

    def show(**named: object) -> None:
        with capsys.disabled():
            print("\n" + json.dumps(named))

    return show


@pytest.fixture(scope="session")
def kube() -> Iterator[Kube]:
    """Commands against the cluster of this run; the cluster is gone afterwards."""
    found = bring_up(CLUSTER, owner=os.getpid())
    prepare(found, TEAM)
    yield found
    take_down(CLUSTER)


@pytest.fixture(scope="session")
def argo(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArgoCD]:
    """Argo CD, with the health scripts that we ship."""
    with argocd(kube, tmp_path_factory.mktemp("argocd")) as running:
        yield running


@pytest.fixture(scope="session")
def git(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """The team's repository."""
    return Repository(tmp_path_factory.mktemp("git"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where histories are written."""
    return tmp_path
