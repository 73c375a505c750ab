"""An outage of Prometheus, a deletion in the midst of profiling, a deletion afterwards.

Two minutes without metrics are long, so a request is made and deleted meanwhile, and the one is
asked for that the next file waits for: profiling needs no metrics.
"""

import time
from collections.abc import Callable, Iterator

import pytest

from dgdr_api import names
from hack.demo import scaling
from hack.demo.kube import Kube, condition, wait_for
from support import oldest
from support.e2e import DGD, DGDR, NAMESPACE, example

pytestmark = pytest.mark.e2e

DOOMED = "doomed"
OUTAGE_S = 120.0


@pytest.fixture(scope="module")
def outage_began_s(kube: Kube) -> Iterator[float]:
    """The monotonic clock when Prometheus went."""
    scale_prometheus(kube, 0)
    yield time.monotonic()
    scale_prometheus(kube, 1)


def scale_prometheus(kube: Kube, replicas: int) -> None:
    """Stop Prometheus, or start it again."""
    kube.run(
        "scale", "deployment", "prometheus", f"--replicas={replicas}",
        "--namespace", "monitoring",
    )  # fmt: skip


def metrics_available(kube: Kube) -> str | None:
    """What the planner says about its metrics."""
    found: str | None = condition(kube.get("slap", DGD, NAMESPACE), "MetricsAvailable").get(
        "status"
    )
    return found


def replicas_of(kube: Kube) -> scaling.Replicas:
    """What the deployment asks for."""
    return scaling.desired(kube.get("dgd", DGD, NAMESPACE) or {})


@pytest.mark.usefixtures("outage_began_s")
def test_a_dead_prometheus_is_a_condition(kube: Kube) -> None:
    wait_for("a condition", lambda: metrics_available(kube) == "False", timeout_s=60)


@pytest.fixture(scope="module")
def replicas_before(kube: Kube) -> scaling.Replicas:
    """More than the minimum, so that a planner that takes no metrics for no load would shrink."""
    kube.run("scale", "dgdsa", f"{DGD}-decode", "--replicas=2", "--namespace", NAMESPACE)
    wait_for(
        "two decode replicas",
        scaling.scaled(kube, DGD, NAMESPACE, lambda replicas: replicas.decode == 2),
        timeout_s=60,
    )
    return replicas_of(kube)


def leftovers(kube: Kube, name: str) -> list[str]:
    """Everything that a deleted request must not leave: Job, candidates, pods, ConfigMaps."""
    kinds = ("jobs", "dgd", "pods", "configmaps", "services", "deployments")
    return [
        f"{kind}/{found['metadata']['name']}"
        for kind in kinds
        for found in kube.list(kind, NAMESPACE)
        if name in found["metadata"]["name"]
    ]


@pytest.mark.usefixtures("replicas_before")
def test_a_request_deleted_while_profiled_leaves_nothing_for_longer_than_a_minute(
    kube: Kube, figures: Callable[..., None]
) -> None:
    kube.apply(example("dgdr", DOOMED))
    wait_for(
        "a candidate's pods",
        lambda: [n for n in leftovers(kube, DOOMED) if n.startswith(f"pods/{DOOMED}-p-tp")],
        timeout_s=120,
    )
    began = time.monotonic()
    kube.run("delete", "dgdr", DOOMED, "--namespace", NAMESPACE, "--wait=false")
    wait_for("nothing", lambda: not leftovers(kube, DOOMED), timeout_s=60)
    figures(gone_after_s=round(time.monotonic() - began))


def test_two_minutes_without_prometheus_change_nothing(
    kube: Kube, replicas_before: scaling.Replicas, outage_began_s: float
) -> None:
    oldest.ask(kube)
    while time.monotonic() < outage_began_s + OUTAGE_S:
        assert replicas_of(kube) == replicas_before
        time.sleep(2)
    assert metrics_available(kube) == "False"


def test_the_planner_goes_on_when_prometheus_is_back(kube: Kube) -> None:
    scale_prometheus(kube, 1)
    wait_for("metrics", lambda: metrics_available(kube) == "True", timeout_s=180)


def test_a_deployed_request_leaves_its_deployment_when_deleted(kube: Kube) -> None:
    kube.run("delete", "dgdr", DGDR, "--namespace", NAMESPACE)
    wait_for(
        "the end of the request's own objects",
        lambda: kube.get("job", names.job_name(DGDR), NAMESPACE) is None,
        timeout_s=60,
    )
    found = kube.get("dgd", DGD, NAMESPACE)
    assert found is not None
    assert found["status"]["state"] == "successful"
