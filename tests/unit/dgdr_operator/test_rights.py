"""Every right of the operator is used, and every call that it makes is allowed.

Lives of requests and deployments in memory; what they call is compared with the chart's manifests.
A rule that is removed from the chart fails the first test, one that is for nothing the second.
"""

import copy

import pytest

from dgdr_kube.kinds import (
    BESIDE_DGDR,
    DGD,
    DGDR,
    NETWORK_POLICY,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    Kind,
)
from dgdr_kube.ports import Key, Manifest
from dgdr_kube.served import Mode, Served
from dgdr_operator.core.discovery_rbac import DISCOVERY_RULES, PLANNER_READS, PLANNER_WRITES
from dgdr_operator.followed import COLLECTIONS, collections
from dgdr_operator.passes.adapter_pass import AdapterPass
from dgdr_operator.passes.dgdr_pass import DgdrPass
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.passes.sole_owner import Owners, SoleOwner
from dgdr_operator.settings import parse
from support.dgdr_world import NAME, NS, SETTINGS, World, dgdr, generated_dgd, sla_planner
from support.dgds import decode_worker, dgd, frontend
from support.fake_cluster import FakeCluster
from support.leader_worker_set import stand_in
from support.rights import granted, needed, of_rules, watching

Calls = set[tuple[str, Kind]]

# Nobody may grant what he does not hold, or bind what he may not bind: these are no calls.
PASSED_ON = of_rules((*DISCOVERY_RULES, *PLANNER_READS, *PLANNER_WRITES)) | {
    ("rbac.authorization.k8s.io", "clusterroles", "bind")
}


async def a_request_that_is_made_again() -> Calls:
    """Profiled, deployed, deleted; its namesake takes over, and a third wants no planner."""
    world = World(dgdr(modelCache={"pvcName": "weights"}))
    await world.settle()
    world = World(dgdr())
    await world.live()
    for uid, documents in (
        ("second", [sla_planner(), generated_dgd(replicas=2)]),
        ("third", [generated_dgd()]),
    ):
        await world.cluster.delete(DGDR, NS, NAME)
        await world.one_pass()
        world.documents = documents
        again = dgdr()
        again["metadata"]["uid"] = uid
        world.cluster.seed(again)
        await world.live()
    return world.cluster.calls


async def a_cache_that_is_missing() -> Calls:
    world = World(dgdr(modelCache={"pvcName": "weights"}))
    await world.settle()
    return world.cluster.calls


async def a_failed_request_that_is_run_again() -> Calls:
    world = World(dgdr())
    await world.settle()
    await world.profiler_reports("SweepingPrefill", "x", profiler_status="failed")
    world.job_is("Failed", "BackoffLimitExceeded")
    await world.settle()
    asked = {"metadata": {"annotations": {"dgdr.dev/rerun-requested-at": "now"}}}
    calls = set(world.cluster.calls)
    await world.cluster.patch(DGDR, NS, NAME, asked, "kubectl")
    world.cluster.calls = calls
    await world.settle()
    return world.cluster.calls


async def a_binding_of_an_earlier_installation() -> Calls:
    world = World(dgdr())
    await world.settle()
    stale = world.cluster.peek(ROLE_BINDING, NS, "dgdr-profiling-job-q-binding") or {}
    request = world.cluster.peek(DGDR, NS, NAME) or {}
    del request["status"]
    stale["roleRef"]["name"] = "old"
    world = World(request, stale)
    await world.settle()
    return world.cluster.calls


async def a_request_whose_forerunner_left_its_account() -> Calls:
    """Deleted with ``--cascade=orphan``."""
    first, world = World(dgdr()), World(dgdr())
    await first.settle()
    for kind in (SERVICE_ACCOUNT, ROLE, ROLE_BINDING):
        left = first.cluster.peek(kind, NS, "dgdr-profiling-job-q") or {}
        del left["metadata"]["ownerReferences"]
        await world.cluster.create(left, "dgdr-operator")
    await world.settle()
    assert world.phase == "Profiling"
    return world.cluster.calls


async def a_network_policy_that_comes_changes_and_goes() -> Calls:
    calls: Calls = set()
    there: list[Manifest] = [dgdr()]
    for ports in ((443,), (443, 3128), ()):
        world = World(*there)
        security = SETTINGS.security.model_copy(update={"job_egress_ports": ports})
        world.run = DgdrPass(world.cluster, SETTINGS.model_copy(update={"security": security}))
        await world.settle()
        calls |= world.cluster.calls
        policy = world.cluster.peek(NETWORK_POLICY, NS, "dgdr-profiling-job-q")
        told = [one["port"] for one in policy["spec"]["egress"][0]["ports"]] if policy else []
        assert told == ([53, 53, *ports] if ports else [])
        request = world.cluster.peek(DGDR, NS, NAME) or {}
        del request["status"]
        there = [request, *([policy] if policy else [])]
    return calls


async def a_deployment_that_is_edited_scaled_and_moved_to_etcd() -> Calls:
    cluster, key = FakeCluster(), Key("ns", "g")
    scaled = decode_worker(replicas=1, scalingAdapter={})
    cluster.seed(dgd(frontend(), scaled))
    settings = parse("images: {profiler: p}")
    run = GraphPass(cluster, settings)
    await run(key, cluster.now)
    await AdapterPass(cluster, settings)(Key("ns", "g-decode"), cluster.now)
    edited = copy.deepcopy(cluster.peek(DGD, "ns", "g") or {})
    edited["spec"]["components"] = [frontend()]
    cluster.seed(edited)
    await run(key, cluster.now)
    etcd = parse(
        "{images: {profiler: p}, dataPlane: {discovery: etcd, etcdEndpoints: 'http://etcd:2379'}}"
    )
    moved = copy.deepcopy(cluster.peek(DGD, "ns", "g") or {})
    moved["metadata"]["annotations"] = {"dgdr.dev/upgrade-requested-at": "with etcd"}
    cluster.seed(moved)
    await GraphPass(cluster, etcd)(key, cluster.now)
    return cluster.calls


async def an_engine_over_nodes_that_shrinks_to_one() -> Calls:
    cluster, key = FakeCluster(), Key("ns", "g")
    claims = [
        {"name": "a", "resourceClaimTemplateName": "t"},
        {"name": "b", "resourceClaimName": "c"},
    ]
    main = {"command": ["own"], "args": ["x"]}
    wide = decode_worker(main=main, pod={"resourceClaims": claims}, multinode={"nodeCount": 2})
    cluster.seed(dgd(frontend(), wide), stand_in())
    settings = parse("images: {profiler: p}")
    await GraphPass(cluster, settings)(key, cluster.now)
    edited = copy.deepcopy(cluster.peek(DGD, "ns", "g") or {})
    edited["spec"]["components"] = [frontend()]
    cluster.seed(edited)
    await GraphPass(cluster, settings)(key, cluster.now)
    return cluster.calls


async def a_deployment_that_may_have_a_second_owner() -> Calls:
    cluster = FakeCluster()
    cluster.seed(dgd(frontend()))
    run = GraphPass(cluster, parse("images: {profiler: p}"))
    await SoleOwner(run, DGD, cluster, Owners(cluster))(Key("ns", "g"), cluster.now)
    return cluster.calls


REQUESTS = (
    a_request_that_is_made_again,
    a_cache_that_is_missing,
    a_failed_request_that_is_run_again,
    a_binding_of_an_earlier_installation,
    a_request_whose_forerunner_left_its_account,
    a_network_policy_that_comes_changes_and_goes,
)
# The Job's side of these lives writes through the same cluster, as does the user's.
THEIRS = {("delete", DGDR), ("patch", DGDR)}


@pytest.fixture
async def called() -> set[tuple[str, str, str]]:
    calls: Calls = set()
    for life in (
        *REQUESTS,
        a_deployment_that_is_edited_scaled_and_moved_to_etcd,
        an_engine_over_nodes_that_shrinks_to_one,
        a_deployment_that_may_have_a_second_owner,
    ):
        calls |= await life()
    return needed(calls - THEIRS) | watching(c.kind for c in COLLECTIONS)


def test_every_call_of_the_operator_is_allowed(called: set[tuple[str, str, str]]) -> None:
    assert called - granted("dgdr-operator", "dgdr-operator-cluster") == set()


def test_every_right_of_the_operator_is_used(called: set[tuple[str, str, str]]) -> None:
    held = granted("dgdr-operator", "dgdr-operator-cluster")
    assert held - called - PASSED_ON == set()


async def test_beside_nvidias_operator_it_has_the_rights_that_requests_take_and_no_others() -> None:
    calls: Calls = set()
    for life in REQUESTS:
        calls |= await life()
    served = Served({DGDR: BESIDE_DGDR})
    there = {(verb, served.of(kind)) for verb, kind in calls - THEIRS}
    followed = {served.of(one.kind) for one in collections(Mode.BESIDE)}
    called = needed(there) | watching(followed)
    held = granted("dgdr-operator", "dgdr-operator-cluster", case="beside")
    assert called - held == set()
    # Claims of a result: of no life above.
    rare = {right for right in held if right[0] == "resource.k8s.io"}
    assert held - called - PASSED_ON == rare


def test_what_the_operator_passes_on_it_holds() -> None:
    assert PASSED_ON - granted("dgdr-operator") == set()
