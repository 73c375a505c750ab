"""A full cluster with our images, Prometheus and the chart, made once for all of these tests."""

import json
import os
from collections.abc import Callable, Iterator

import pytest

from hack.demo.kube import Kube
from hack.demo.platform import bring_up, take_down
from support.e2e import CLUSTER


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
    yield bring_up(CLUSTER, owner=os.getpid())
    take_down(CLUSTER)
