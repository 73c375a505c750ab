"""Kills and deletions while a DGDR is profiled: nothing is lost, made twice or left behind."""

import time
from collections.abc import Callable

import pytest

from dgdr_api import names
from dgdr_api.points import Point
from hack.demo import request
from hack.demo.kube import Kube, Manifest, wait_for
from hack.demo.platform import SYSTEM_NAMESPACE
from support.e2e import NAMESPACE, example, prepare
from support.profiled import points_of

pytestmark = pytest.mark.e2e

SURVIVOR = "survivor"
DOOMED = "doomed"
GRAPH_PODS = "nvidia.com/dynamo-graph-deployment-name"
OPERATOR_PODS = "app.kubernetes.io/component=operator"


@pytest.fixture(scope="module", autouse=True)
def two_candidates(kube: Kube) -> None:
    """A policy with two candidates and short curves: what is killed here need not be exact."""
    prepare(kube)
    # Two candidates and the Job need the CPUs that an earlier test's deployment still holds.
    kube.run("delete", "dgdr,dgd", "--all", "--namespace", NAMESPACE)
    wait_for("free CPUs", lambda: not kube.list("pods", NAMESPACE, GRAPH_PODS), timeout_s=120)
    kube.apply(example("policy", "short", maxGpusPerEngine=2))


def short_request(name: str) -> Manifest:
    """A request under that policy, without a planner."""
    dgdr = example("dgdr", name, features={"mocker": {"enabled": True}})
    dgdr["metadata"]["annotations"]["dgdr.dev/profiling-policy"] = "short"
    return dgdr


def measured(kube: Kube, name: str, at_least: int) -> Callable[[], list[Point] | None]:
    """Return a probe that yields the points once there are enough."""

    def probe() -> list[Point] | None:
        points = points_of(kube, name, NAMESPACE)
        return points if len(points) >= at_least else None

    return probe


def job_uid(kube: Kube, name: str) -> str:
    """UID of the profiling Job."""
    job = kube.get("job", names.job_name(name), NAMESPACE)
    assert job is not None
    uid: str = job["metadata"]["uid"]
    return uid


def kill(kube: Kube, namespace: str, selector: str) -> None:
    """Kill pods at once, without a chance to clean up."""
    kube.run(
        "delete", "pods", "--namespace", namespace, "--selector", selector,
        "--grace-period=0", "--force",
    )  # fmt: skip


def test_killed_operator_and_job_pod_change_nothing_about_the_result(kube: Kube) -> None:
    kube.apply(short_request(SURVIVOR))
    before = wait_for("first points", measured(kube, SURVIVOR, 1), timeout_s=300)
    uid = job_uid(kube, SURVIVOR)

    kill(kube, SYSTEM_NAMESPACE, OPERATOR_PODS)
    kill(kube, NAMESPACE, f"job-name={names.job_name(SURVIVOR)}")

    seen = request.watch(
        kube, SURVIVOR, NAMESPACE, until=request.in_phase("Deployed"), timeout_s=900, say=print
    )
    points = points_of(kube, SURVIVOR, NAMESPACE)
    assert len({point.key for point in points}) == len(points)
    assert {p.key: p.started_at for p in before}.items() <= {
        p.key: p.started_at for p in points
    }.items()
    assert job_uid(kube, SURVIVOR) == uid
    assert {name: len(uids) for name, uids in seen.uids.items()} == {"p-tp1": 1, "p-tp2": 1}
    assert kube.list("dgd", NAMESPACE, "dgdr.dev/candidate") == []


def leftovers(kube: Kube, name: str) -> list[str]:
    """Everything that a deleted request must not leave: Job, candidates, pods, ConfigMaps."""
    kinds = ("jobs", "dgd", "pods", "configmaps", "services", "deployments")
    return [
        f"{kind}/{found['metadata']['name']}"
        for kind in kinds
        for found in kube.list(kind, NAMESPACE)
        if name in found["metadata"]["name"]
    ]


def test_a_request_deleted_while_profiled_leaves_nothing_for_longer_than_a_minute(
    kube: Kube,
) -> None:
    kube.apply(short_request(DOOMED))
    wait_for(
        "a candidate's pods",
        lambda: [n for n in leftovers(kube, DOOMED) if n.startswith(f"pods/{DOOMED}-p-tp")],
        timeout_s=120,
    )
    began = time.monotonic()
    kube.run("delete", "dgdr", DOOMED, "--namespace", NAMESPACE, "--wait=false")
    wait_for("nothing", lambda: not leftovers(kube, DOOMED), timeout_s=60)
    print(f"gone after {time.monotonic() - began:.0f} s")


def test_a_deployed_request_leaves_its_deployment_when_deleted(kube: Kube) -> None:
    dgd = names.dgd_name(SURVIVOR)
    kube.run("delete", "dgdr", SURVIVOR, "--namespace", NAMESPACE)
    wait_for(
        "the end of the request's own objects",
        lambda: kube.get("job", names.job_name(SURVIVOR), NAMESPACE) is None,
        timeout_s=60,
    )
    found = kube.get("dgd", dgd, NAMESPACE)
    assert found is not None
    assert found["status"]["state"] == "successful"
    kube.run("delete", "dgd", dgd, "--namespace", NAMESPACE)
