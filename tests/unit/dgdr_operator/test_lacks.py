"""What installation and cluster lack is said on the object that needs it, with the cure."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dgdr_kube.errors import Rejected
from dgdr_kube.kinds import CRD, DGD, DGDR, NODE, SLA_PLANNER, WORKER_METADATA
from dgdr_kube.ports import Key
from dgdr_operator.core.data_plane import DataPlane, Discovery
from dgdr_operator.core.lacks import ClusterFacts, LackReason, lacks_of_graph
from dgdr_operator.passes.dgdr_pass import DgdrPass
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.settings import Prometheus, parse
from support.crds import crd, installed
from support.dgdr_world import NAME, NS, SETTINGS, World, dgdr, node
from support.dgds import decode_worker, dgd, entry, frontend, graph
from support.fake_cluster import FakeCluster

NOW = datetime(2025, 1, 1, tzinfo=UTC)
NATS = DataPlane(nats_url="nats://n:4222")
MOCKER: dict[str, Any] = {
    "image": "r.test/vllm-runtime:1.0.2",
    "command": ["python3", "-m", "dynamo.mocker"],
    "args": ["--model-path", "/m"],
}
PLANNER: dict[str, Any] = {
    "image": "r.test/dynamo-planner:1.0.2",
    "command": ["python3", "-m", "dynamo.planner"],
    "args": ["--config", "{}"],
}
GLOBAL_PLANNER = {**PLANNER, "command": ["python3", "-m", "dynamo.global_planner"], "args": []}
WITH_PROMETHEUS = DataPlane(prometheus_url="http://p:9090")
WANTS_NATS = {"env": [{"name": "DYN_EVENT_PLANE", "value": "nats"}]}


def with_env(*more: dict[str, Any]) -> dict[str, Any]:
    return {"env": [*WANTS_NATS["env"], *more]}


def gpus(count: int) -> dict[str, Any]:
    return {"resources": {"limits": {"nvidia.com/gpu": str(count)}}}


@pytest.mark.parametrize(
    ("component", "plane", "reason", "words"),
    [
        pytest.param(
            decode_worker(main=MOCKER),
            DataPlane(),
            LackReason.NATS,
            "component decode has no NATS server and runs dynamo.mocker, which needs it; set the "
            "chart's dataPlane.natsUrl, or NATS_SERVER in its env",
            id="a stock mocker",
        ),
        pytest.param(
            entry("Planner", "planner", main=PLANNER),
            WITH_PROMETHEUS,
            LackReason.NATS,
            "component Planner has no NATS server and runs dynamo.planner, which needs it",
            id="a planner of 1.0",
        ),
        pytest.param(
            entry("GlobalPlanner", "planner", main=GLOBAL_PLANNER),
            WITH_PROMETHEUS,
            LackReason.NATS,
            "component GlobalPlanner has no NATS server and runs dynamo.global_planner",
            id="a global planner of 1.0",
        ),
        pytest.param(
            decode_worker(main=WANTS_NATS),
            DataPlane(),
            LackReason.NATS,
            "component decode has no NATS server and asks for it",
            id="a manifest that asks for NATS",
        ),
        pytest.param(
            decode_worker(),
            DataPlane(discovery=Discovery.ETCD),
            LackReason.ETCD,
            "set the chart's dataPlane.etcdEndpoints",
            id="etcd",
        ),
        pytest.param(
            entry("Planner", "planner"),
            DataPlane(),
            LackReason.PROMETHEUS,
            "component Planner has no Prometheus to ask; set the chart's prometheus.url",
            id="a stock planner",
        ),
    ],
)
def test_a_component_says_what_it_needs(
    component: dict[str, Any], plane: DataPlane, reason: LackReason, words: str
) -> None:
    (lack,) = lacks_of_graph(graph(component), plane, ClusterFacts())
    assert lack.reason is reason
    assert words in lack.message


@pytest.mark.parametrize(
    ("component", "plane"),
    [
        pytest.param(decode_worker(), DataPlane(), id="nothing is needed"),
        pytest.param(decode_worker(main=MOCKER), NATS, id="the installation has a server"),
        pytest.param(
            decode_worker(main={**MOCKER, "image": "r.test/vllm-runtime:1.6.1"}),
            DataPlane(),
            id="a mocker that needs no server",
        ),
        pytest.param(
            decode_worker(main=with_env({"name": "NATS_SERVER", "value": "nats://mine:4222"})),
            DataPlane(),
            id="the component has its own",
        ),
        pytest.param(
            decode_worker(
                main=with_env({"name": "NATS_SERVER", "valueFrom": {"secretKeyRef": {"name": "s"}}})
            ),
            DataPlane(),
            id="from a Secret",
        ),
        pytest.param(
            decode_worker(main={**WANTS_NATS, "envFrom": [{"configMapRef": {"name": "c"}}]}),
            DataPlane(),
            id="maybe from a ConfigMap: not claimed",
        ),
        pytest.param(entry("Planner", "planner"), WITH_PROMETHEUS, id="planner"),
        pytest.param(
            entry("Planner", "planner", main={**PLANNER, "image": "r.test/dynamo-planner:1.1.0"}),
            WITH_PROMETHEUS,
            id="a planner that needs no server",
        ),
        pytest.param(decode_worker(main=gpus(8)), DataPlane(), id="nobody looked at nodes"),
    ],
)
def test_nothing_is_claimed_that_is_not_so(component: dict[str, Any], plane: DataPlane) -> None:
    assert lacks_of_graph(graph(component), plane, ClusterFacts()) == ()


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        pytest.param((), "needs 4 nvidia.com/gpu and no node has any allocatable", id="no nodes"),
        pytest.param((0, 2), "and the largest node has 2 allocatable", id="too small"),
        pytest.param((4,), "", id="large enough"),
    ],
)
def test_the_largest_pod_needs_a_node(nodes: tuple[int, ...], words: str) -> None:
    asked = graph(frontend(), decode_worker(main=gpus(4)))
    lacks = lacks_of_graph(asked, DataPlane(), ClusterFacts(gpus_by_node=nodes))
    assert [words in lack.message for lack in lacks] == ([True] if words else [])


# -- on a deployment


def lacking(found: Any) -> tuple[str, str, str] | None:
    conditions = (found or {}).get("status", {}).get("conditions", ())
    told = [c for c in conditions if c["type"] == "DataPlaneReady"]
    return (told[0]["status"], told[0]["reason"], told[0]["message"]) if told else None


async def graph_pass(cluster: FakeCluster, settings: str = "images: {profiler: p}") -> Any:
    await GraphPass(cluster, parse(settings))(Key("ns", "g"), NOW)
    return lacking(cluster.peek(DGD, "ns", "g"))


async def test_a_deployment_says_what_it_lacks_until_it_is_there() -> None:
    cluster = FakeCluster(NOW)
    cluster.seed(dgd(frontend(), decode_worker(main=MOCKER)), *installed())
    told = await graph_pass(cluster)
    assert told[:2] == ("False", "NatsNotConfigured")
    settings = "images: {profiler: p}\ndataPlane: {natsUrl: 'nats://n:4222'}"
    assert (await graph_pass(cluster, settings))[1] == "NatsNotConfigured", "no pod knows of it yet"
    asked = {"metadata": {"annotations": {"dgdr.dev/upgrade-requested-at": "now"}}}
    await cluster.patch(DGD, "ns", "g", asked, "kubectl")
    assert await graph_pass(cluster, settings) == ("True", "Complete", "nothing is lacking")


async def test_a_deployment_that_lacks_nothing_says_nothing() -> None:
    cluster = FakeCluster(NOW)
    cluster.seed(dgd(frontend(), decode_worker()), *installed())
    assert await graph_pass(cluster) is None


async def test_a_pod_without_a_node_is_compared_with_the_nodes() -> None:
    cluster = FakeCluster(NOW)
    condition = {"type": "PodScheduled", "status": "False", "message": "Insufficient gpu"}
    labels = {"nvidia.com/dynamo-graph-deployment-name": "g"}
    meta = {"name": "p", "namespace": "ns", "labels": labels}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta}
    cluster.seed(dgd(frontend(), decode_worker(main=gpus(4))), node(gpus=2), *installed())
    assert await graph_pass(cluster) is None
    cluster.seed({**pod, "status": {"conditions": [condition]}})
    told = await graph_pass(cluster)
    assert told[:2] == ("False", "GpusNotAllocatable")


async def test_discovery_without_its_kind_is_told() -> None:
    cluster = FakeCluster(NOW)
    cluster.seed(dgd(frontend(), decode_worker()))
    told = await graph_pass(cluster)
    assert told[:2] == ("False", "CrdsMissing")
    assert "dynamoworkermetadatas.nvidia.com" in told[2]


async def test_what_may_not_be_read_is_not_claimed() -> None:
    cluster = FakeCluster(NOW)
    cluster.seed(dgd(frontend(), decode_worker()))
    cluster.refuse("get", CRD, Rejected(403, "forbidden"))
    assert await graph_pass(cluster) is None


# -- on a request


async def test_a_planner_without_prometheus_is_told_before_anything_is_measured() -> None:
    world = World(dgdr(features={"planner": {}}))
    await world.settle()
    status, reason, message = world.condition("DataPlaneReady")
    assert (world.phase, status, reason) == ("Profiling", "False", "PrometheusNotConfigured")
    assert "set the chart's prometheus.url" in message
    url = Prometheus(url="http://prometheus.test:9090")
    world.run = DgdrPass(world.cluster, SETTINGS.model_copy(update={"prometheus": url}))
    await world.settle()
    assert world.condition("DataPlaneReady")[:2] == ("True", "Complete")


async def test_a_planner_with_a_prometheus_of_its_own_lacks_nothing() -> None:
    url = {"metric_pulling_prometheus_endpoint": "http://prometheus.test:9090"}
    world = World(dgdr(features={"planner": url}))
    await world.settle()
    assert lacking(world.cluster.peek(DGDR, NS, NAME)) is None


async def test_nodes_without_gpus_are_told_though_the_user_names_the_hardware() -> None:
    hardware = {"gpuSku": "h100_sxm", "numGpusPerNode": 8, "totalGpus": 8}
    world = World(dgdr(hardware=hardware))
    await world.cluster.delete(NODE, None, "node-1")
    await world.settle()
    assert world.phase == "Profiling"
    assert world.condition("DataPlaneReady")[:2] == ("False", "GpusNotAllocatable")
    world.cluster.seed(node())
    await world.settle()
    assert world.condition("DataPlaneReady")[0] == "True"


@pytest.mark.parametrize(
    ("features", "kind", "reason"),
    [
        pytest.param({}, WORKER_METADATA, "CrdsForeign", id="foreign"),
        pytest.param({}, SLA_PLANNER, None, id="foreign, but not needed"),
    ],
)
async def test_kinds_of_another_operator_are_told(
    features: dict[str, Any], kind: Any, reason: str | None
) -> None:
    world = World(dgdr(features=features), crd(kind, ours=False))
    await world.settle()
    told = lacking(world.cluster.peek(DGDR, NS, NAME))
    assert (told and told[1]) == reason
