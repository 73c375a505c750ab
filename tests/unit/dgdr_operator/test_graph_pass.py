"""Passes over a graph against an in-memory API server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dgdr_kube.errors import NotServed, Rejected, Unreachable
from dgdr_kube.kinds import (
    DEPLOYMENT,
    DGD,
    DGDSA,
    POD,
    RESOURCE_CLAIM_TEMPLATES,
    SERVICE,
    SERVICE_ACCOUNT,
)
from dgdr_kube.ports import Key
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.passes.graph_patience import LEAVING_S, LOOK_AGAIN_WHEN_READY_S
from dgdr_operator.settings import parse
from support.claims import claim_template
from support.crds import installed
from support.dgds import decode_worker, dgd, frontend
from support.fake_cluster import FakeCluster, Killed

NOW = datetime(2025, 1, 1, tzinfo=UTC)
KEY = Key("ns", "g")
SETTINGS = parse("images: {profiler: p}")


async def run(cluster: FakeCluster) -> float | None:
    return await GraphPass(cluster, SETTINGS)(KEY, NOW)


def names(cluster: FakeCluster, kind: str) -> list[str]:
    return [key.split("/")[-1] for key in cluster.everything() if key.startswith(f"{kind}/")]


def status(cluster: FakeCluster) -> Any:
    return (cluster.peek(DGD, "ns", "g") or {})["status"]


def condition(cluster: FakeCluster) -> Any:
    return status(cluster)["conditions"][0]


def become_ready(cluster: FakeCluster) -> None:
    for name in names(cluster, "Deployment"):
        live = cluster.peek(DEPLOYMENT, "ns", name) or {}
        count = live["spec"]["replicas"]
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        report = dict.fromkeys(counts, count)
        report["observedGeneration"] = live["metadata"]["generation"]
        cluster.set_status(DEPLOYMENT, "ns", name, report)


def edit(cluster: FakeCluster, *components: dict[str, Any]) -> None:
    """Replace the components, as ``kubectl replace`` does."""
    live = cluster.peek(DGD, "ns", "g") or {}
    live["spec"]["components"] = list(components)
    live["metadata"]["generation"] += 1
    cluster.seed(live)


@pytest.fixture
def cluster() -> FakeCluster:
    fake = FakeCluster(NOW)
    fake.seed(dgd(frontend(), decode_worker(replicas=2, scalingAdapter={})), *installed())
    return fake


async def test_a_new_graph_gets_its_objects_and_says_so(cluster: FakeCluster) -> None:
    await run(cluster)
    assert names(cluster, "Deployment") == names(cluster, "Service") == ["g-decode", "g-frontend"]
    assert names(cluster, "RoleBinding") == ["g-k8s-service-discovery"]
    assert names(cluster, "DynamoGraphDeploymentScalingAdapter") == ["g-decode"]
    assert status(cluster)["state"] == "initializing"


async def test_ready_workloads_make_a_successful_graph(cluster: FakeCluster) -> None:
    await run(cluster)
    become_ready(cluster)
    assert await run(cluster) == LOOK_AGAIN_WHEN_READY_S
    assert status(cluster)["state"] == "successful"
    assert (condition(cluster)["status"], condition(cluster)["reason"]) == (
        "True",
        "all_resources_are_ready",
    )
    assert status(cluster)["observedGeneration"] == 1


async def test_a_second_pass_writes_nothing(cluster: FakeCluster) -> None:
    await run(cluster)
    become_ready(cluster)
    await run(cluster)
    before = len(cluster.writes)
    await run(cluster)
    assert cluster.writes[before:] == []


async def test_a_kill_at_any_write_leads_to_the_same_end(cluster: FakeCluster) -> None:
    await run(cluster)
    wanted = cluster.everything().keys()
    for writes in range(len(cluster.writes)):
        other = FakeCluster(NOW)
        other.seed(dgd(frontend(), decode_worker(replicas=2, scalingAdapter={})), *installed())
        other.kill_after_writes = writes
        with pytest.raises(Killed):
            await run(other)
        other.kill_after_writes = None
        await run(other)
        assert other.everything().keys() == wanted


async def test_somebody_elses_edit_of_a_child_is_undone(cluster: FakeCluster) -> None:
    await run(cluster)
    await cluster.patch(DEPLOYMENT, "ns", "g-decode", {"spec": {"replicas": 9}}, "kubectl")
    await run(cluster)
    assert (cluster.peek(DEPLOYMENT, "ns", "g-decode") or {})["spec"]["replicas"] == 2


async def test_a_removed_component_takes_its_objects_along(cluster: FakeCluster) -> None:
    await run(cluster)
    edit(cluster, frontend())
    await run(cluster)
    assert names(cluster, "Deployment") == names(cluster, "Service") == ["g-frontend"]
    assert names(cluster, "DynamoGraphDeploymentScalingAdapter") == []
    assert set(status(cluster)["components"]) == {"Frontend"}


async def test_an_adapter_goes_when_it_is_no_longer_wanted(cluster: FakeCluster) -> None:
    await run(cluster)
    edit(cluster, frontend(), decode_worker(replicas=2))
    await run(cluster)
    assert names(cluster, "DynamoGraphDeploymentScalingAdapter") == []
    assert [event.reason for event in cluster.events] == ["AdapterDeleted"]


async def test_the_number_of_an_adapter_is_never_written_again(cluster: FakeCluster) -> None:
    await run(cluster)
    await cluster.scale(DGDSA, "ns", "g-decode", 5, "dgdr-planner")
    await run(cluster)
    assert (cluster.peek(DGDSA, "ns", "g-decode") or {})["spec"]["replicas"] == 5


async def test_a_users_own_adapter_is_left_alone(cluster: FakeCluster) -> None:
    own = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeploymentScalingAdapter",
        "metadata": {"name": "g-decode", "namespace": "ns"},
        "spec": {"replicas": 7, "dgdRef": {"name": "g", "serviceName": "decode"}},
    }
    cluster.seed(own)
    await run(cluster)
    assert (cluster.peek(DGDSA, "ns", "g-decode") or {})["spec"]["replicas"] == 7


async def test_a_foreign_object_is_not_taken_over(cluster: FakeCluster) -> None:
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "g-frontend", "namespace": "ns"},
        "spec": {"ports": [{"port": 1}]},
    }
    cluster.seed(foreign)
    await run(cluster)
    assert (cluster.peek(SERVICE, "ns", "g-frontend") or {})["spec"] == foreign["spec"]
    assert status(cluster)["state"] == "failed"
    assert condition(cluster)["message"].startswith(
        "Frontend: Service g-frontend: exists and belongs to somebody else"
    )
    assert names(cluster, "Deployment") == ["g-decode", "g-frontend"]


async def test_leftovers_of_an_earlier_graph_are_waited_for(cluster: FakeCluster) -> None:
    await run(cluster)
    left = cluster.peek(DEPLOYMENT, "ns", "g-decode") or {}
    left["metadata"]["ownerReferences"][0]["uid"] = "earlier"
    cluster.seed(left)
    assert await run(cluster) == LEAVING_S
    assert await GraphPass(cluster, SETTINGS)(KEY, NOW + timedelta(seconds=5)) == 5.0
    assert await GraphPass(cluster, SETTINGS)(KEY, NOW + timedelta(hours=5)) == 15.0
    assert status(cluster)["state"] in ("initializing", "pending")
    await cluster.delete(DEPLOYMENT, "ns", "g-decode")
    assert await run(cluster) != LEAVING_S
    assert names(cluster, "Deployment") == ["g-decode", "g-frontend"]


async def test_a_refused_object_is_reported_in_the_servers_words(cluster: FakeCluster) -> None:
    cluster.refuse("apply", DEPLOYMENT, Rejected(422, "spec.template.x: Invalid value"))
    await run(cluster)
    assert status(cluster)["state"] == "failed"
    assert "Deployment g-decode: spec.template.x: Invalid value" in condition(cluster)["message"]
    assert {event.reason for event in cluster.events} == {"ReconcileFailed"}
    assert names(cluster, "Service") == ["g-decode", "g-frontend"]


async def test_what_is_refused_for_good_is_tried_ever_more_rarely(cluster: FakeCluster) -> None:
    cluster.refuse("apply", DEPLOYMENT, Rejected(422, "spec.template.x: Invalid value"))
    waits = [
        await GraphPass(cluster, SETTINGS)(KEY, NOW + timedelta(seconds=s)) for s in (0, 40, 9999)
    ]
    assert waits == [15.0, 40.0, 600.0]


async def test_multinode_fails_clearly_and_the_rest_proceeds(cluster: FakeCluster) -> None:
    edit(cluster, frontend(), decode_worker(multinode={"nodeCount": 2}))
    await run(cluster)
    assert names(cluster, "Deployment") == ["g-frontend"]
    assert "decode: multinode.nodeCount 2 needs LeaderWorkerSet" in condition(cluster)["message"]


async def test_an_unreadable_graph_is_reported_and_touches_nothing(cluster: FakeCluster) -> None:
    edit(cluster, {"name": "x", "type": "wheel"})
    await run(cluster)
    assert status(cluster)["state"] == "failed"
    assert "spec.components[0].type" in condition(cluster)["message"]
    assert names(cluster, "Deployment") == []


async def test_pods_explain_why_it_is_not_ready(cluster: FakeCluster) -> None:
    await run(cluster)
    cluster.set_status(DEPLOYMENT, "ns", "g-decode", {"observedGeneration": 1, "replicas": 2})
    labels = {
        "nvidia.com/dynamo-graph-deployment-name": "g",
        "nvidia.com/dynamo-component": "decode",
    }
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    cluster.seed(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "g-decode-x", "namespace": "ns", "labels": labels},
            "status": {"containerStatuses": [{"name": "main", "state": waiting}]},
        }
    )
    await run(cluster)
    assert condition(cluster)["reason"] == "pods_not_ready"
    assert "pod g-decode-x container main ImagePullBackOff" in condition(cluster)["message"]


async def test_a_ready_graph_is_reported_without_looking_at_pods(cluster: FakeCluster) -> None:
    await run(cluster)
    become_ready(cluster)
    cluster.refuse("list", POD, Rejected(403, "pods is forbidden"))
    await run(cluster)
    assert status(cluster)["state"] == "successful"


async def test_a_graph_that_is_going_gets_nothing(cluster: FakeCluster) -> None:
    live = cluster.peek(DGD, "ns", "g") or {}
    live["metadata"]["deletionTimestamp"] = "2025-01-01T00:00:00Z"
    cluster.seed(live)
    assert await run(cluster) is None
    assert cluster.writes == []


async def test_no_graph_is_no_work(cluster: FakeCluster) -> None:
    assert await GraphPass(cluster, SETTINGS)(Key("ns", "none"), NOW) is None


async def test_deleting_the_graph_leaves_nothing(cluster: FakeCluster) -> None:
    await run(cluster)
    await cluster.delete(DGD, "ns", "g")
    assert {name.split("/")[0] for name in cluster.everything()} == {"CustomResourceDefinition"}


async def test_without_kubernetes_discovery_nobody_gets_rights(cluster: FakeCluster) -> None:
    settings = parse("images: {profiler: p}\ndataPlane: {discovery: etcd, etcdEndpoints: e:1}")
    await GraphPass(cluster, settings)(KEY, NOW)
    assert names(cluster, SERVICE_ACCOUNT.kind) == []
    spec = (cluster.peek(DEPLOYMENT, "ns", "g-decode") or {})["spec"]["template"]["spec"]
    assert "serviceAccountName" not in spec


async def test_a_field_that_cannot_be_read_is_told_once(cluster: FakeCluster) -> None:
    await run(cluster)
    edit(cluster, frontend(), decode_worker(main={"env": [{"value": "x"}]}))
    assert await run(cluster) is None
    await run(cluster)
    path = "spec.components[1].podTemplate.spec.containers[main].env[0].name"
    assert condition(cluster)["message"] == f"{path}: None is not a string"
    assert [event.message for event in cluster.events] == [f"{path}: None is not a string"]
    assert names(cluster, "Deployment") == ["g-decode", "g-frontend"]


async def test_a_right_that_is_missing_is_told_and_leaves_the_state(cluster: FakeCluster) -> None:
    await run(cluster)
    become_ready(cluster)
    await run(cluster)
    cluster.refuse("list", SERVICE, Rejected(403, "services is forbidden"))
    with pytest.raises(Rejected):
        await run(cluster)
    text = "the API server refused: services is forbidden; it is tried again"
    assert (condition(cluster)["status"], condition(cluster)["message"]) == ("False", text)
    assert status(cluster)["state"] == "successful"
    assert [event.message for event in cluster.events] == [text]
    cluster.refuse("list", SERVICE, None)
    await run(cluster)
    assert condition(cluster)["status"] == "True"


async def test_an_outage_is_for_the_log(cluster: FakeCluster) -> None:
    cluster.refuse("list", SERVICE, Unreachable("503"))
    with pytest.raises(Unreachable):
        await run(cluster)
    assert "status" not in (cluster.peek(DGD, "ns", "g") or {})


async def test_a_users_copy_of_a_service_is_not_pruned(cluster: FakeCluster) -> None:
    await run(cluster)
    copied = cluster.peek(SERVICE, "ns", "g-decode") or {}
    copied["metadata"] = {"name": "mine", "namespace": "ns", "labels": copied["metadata"]["labels"]}
    await cluster.create(copied, "kubectl-create")
    await run(cluster)
    assert names(cluster, "Service") == ["g-decode", "g-frontend", "mine"]


async def test_orphans_of_a_removed_component_go_all_the_same(cluster: FakeCluster) -> None:
    await run(cluster)
    for name in ("g-decode", "g-frontend"):
        orphan = {"metadata": {"ownerReferences": None}}
        await cluster.patch(SERVICE, "ns", name, orphan, "kube-controller-manager")
    edit(cluster, frontend())
    await run(cluster)
    assert names(cluster, "Service") == ["g-frontend"]


def claiming(template: str) -> dict[str, Any]:
    claim = {"name": "gpu", "resourceClaimTemplateName": template}
    return decode_worker(pod={"resourceClaims": [claim]})


async def test_gpus_of_a_claim_are_counted_from_its_template(cluster: FakeCluster) -> None:
    cluster.seed(claim_template("two", "gpu.nvidia.com", 2))
    edit(cluster, frontend(), claiming("two"))
    await run(cluster)
    assert status(cluster)["components"]["decode"]["gpusPerReplica"] == 2
    edit(cluster, frontend(), claiming("unknown"))
    await run(cluster)
    assert "gpusPerReplica" not in status(cluster)["components"]["decode"]


def not_served(cluster: FakeCluster, *versions: str) -> None:
    for kind in RESOURCE_CLAIM_TEMPLATES:
        if kind.version in versions:
            cluster.refuse("get", kind, NotServed("404 page not found"))


@pytest.mark.parametrize(
    ("version", "missing"),
    [("v1beta2", ("v1", "v1beta1")), ("v1beta1", ("v1", "v1beta2"))],
)
async def test_a_claim_is_read_in_the_version_that_is_served(
    cluster: FakeCluster, version: str, missing: tuple[str, ...]
) -> None:
    not_served(cluster, *missing)
    cluster.seed(claim_template("two", "gpu.nvidia.com", 2, version))
    edit(cluster, frontend(), claiming("two"))
    await run(cluster)
    assert status(cluster)["components"]["decode"]["gpusPerReplica"] == 2


@pytest.mark.parametrize("error", [NotServed("404 page not found"), Rejected(403, "forbidden")])
async def test_a_claim_that_cannot_be_read_is_not_known(
    cluster: FakeCluster, error: Exception
) -> None:
    for kind in RESOURCE_CLAIM_TEMPLATES:
        cluster.refuse("get", kind, error)
    edit(cluster, frontend(), claiming("two"))
    await run(cluster)
    assert "gpusPerReplica" not in status(cluster)["components"]["decode"]


async def test_a_server_that_does_not_answer_takes_no_number_away(cluster: FakeCluster) -> None:
    cluster.seed(claim_template("two", "gpu.nvidia.com", 2))
    edit(cluster, frontend(), claiming("two"))
    await run(cluster)
    cluster.refuse("get", RESOURCE_CLAIM_TEMPLATES[0], Unreachable("503"))
    with pytest.raises(Unreachable):
        await run(cluster)
    assert status(cluster)["components"]["decode"]["gpusPerReplica"] == 2
