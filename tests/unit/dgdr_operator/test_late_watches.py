"""Passes that look at what watches told: at rest nothing is asked, and late news do no harm."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest

from dgdr_api.names import Annotation
from dgdr_kube.errors import Conflict
from dgdr_kube.kinds import DEPLOYMENT, DGD, DGDR, DGDSA, JOB
from dgdr_kube.ports import Key
from dgdr_operator.core.steps import AwaitReferences
from dgdr_operator.followed import COLLECTIONS
from dgdr_operator.passes.adapter_pass import AdapterPass
from dgdr_operator.passes.dgdr_pass import AT_REST_S, DgdrPass
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.passes.orphans import sweep_orphans
from dgdr_operator.passes.waits import waited_for
from dgdr_operator.settings import parse
from support.counting_cluster import CountingCluster
from support.dgdr_world import NAME, NS, SETTINGS, World, dgdr
from support.dgds import decode_worker, dgd, frontend
from support.fake_cluster import FakeCluster
from support.late_watches import LateWatches

NOW = datetime(2025, 1, 1, tzinfo=UTC)
PLAIN = parse("images: {profiler: p}")
GRAPH, DECODE = Key("ns", "g"), Key("ns", "g-decode")
MANY_ROUNDS = 40


class LateWorld(World):
    """A life of a request whose operator hears of everything after a number of passes only."""

    late_by = 1

    def new_pass(self) -> DgdrPass:
        counting = CountingCluster(self.cluster.now)
        counting._objects, self.cluster = self.cluster._objects, counting
        self.watches = LateWatches(self.cluster, COLLECTIONS)
        self.passes = 0
        return DgdrPass(self.watches.cluster, SETTINGS)

    async def one_pass(self) -> float | None:
        self.passes += 1
        if self.passes % self.late_by == 0:
            self.watches.tell()
        return await super().one_pass()

    async def live(self) -> None:
        for _ in range(MANY_ROUNDS):
            before = self.cluster.everything()
            for _ in range(self.late_by):
                await self.one_pass()
            await self.others()
            if self.cluster.everything() == before:
                return
        raise AssertionError("never comes to rest")


def plain(world: World) -> dict[str, object]:
    return {
        name: (manifest.get("spec"), sorted(manifest.get("data") or {}))
        for name, manifest in world.cluster.everything().items()
    }


@pytest.mark.parametrize("late_by", [1, 2, 5])
async def test_a_request_comes_to_its_deployment_however_late_the_watches_are(
    late_by: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LateWorld, "late_by", late_by)
    at_once, late = World(dgdr()), LateWorld(dgdr())
    await at_once.live()
    await late.live()
    assert late.phase == "Deployed"
    assert plain(late).keys() == plain(at_once).keys()
    jobs = [w for w in late.cluster.writes if (w.verb, w.kind) == ("create", "Job")]
    assert len(jobs) == 1


async def test_a_deployed_request_at_rest_asks_the_server_nothing() -> None:
    world = LateWorld(dgdr())
    await world.live()
    await world.one_pass()
    assert isinstance(world.cluster, CountingCluster)
    world.cluster.reads = 0
    for _ in range(3):
        await world.one_pass()
    assert world.cluster.reads == 0


@pytest.mark.parametrize("is_profiling", [False, True])
async def test_a_suspended_request_at_rest_asks_the_server_nothing(is_profiling: bool) -> None:
    world = LateWorld(dgdr())
    if is_profiling:
        await world.settle()
    suspend = {"metadata": {"annotations": {Annotation.SUSPEND: "true"}}}
    await world.cluster.patch(DGDR, NS, NAME, suspend, "kubectl")
    await world.settle()
    assert isinstance(world.cluster, CountingCluster)
    world.cluster.reads = 0
    assert await world.one_pass() == AT_REST_S
    assert world.cluster.reads == 0
    assert world.condition("Profiling")[1] == "Suspended"


async def test_a_request_that_waits_asks_nothing_and_says_what_wakes_it() -> None:
    world = LateWorld(dgdr(modelCache={"pvcName": "models"}))
    await world.one_pass()
    await world.one_pass()
    assert isinstance(world.cluster, CountingCluster)
    world.cluster.reads = 0
    await world.one_pass()
    assert world.cluster.reads == 0
    seen = await world.run._observer.observe(world.request)
    woken_by = waited_for(AwaitReferences("x"), seen)
    assert ("PersistentVolumeClaim", "models") in {(k.kind, name) for k, _, name in woken_by}


async def test_a_deleted_request_is_not_started_by_what_was_heard_before() -> None:
    world = LateWorld(dgdr())
    world.watches.tell()
    await world.cluster.delete(DGDR, NS, NAME)
    assert await world.run(Key(NS, NAME), world.now) is None
    assert world.cluster.peek(JOB, NS, f"profile-{NAME}") is None


async def test_a_candidate_whose_request_was_not_heard_of_yet_is_no_orphan() -> None:
    world = LateWorld(dgdr())
    candidate = dgd(frontend())
    candidate["metadata"] |= {"name": "other-tp2", "namespace": NS}
    candidate["metadata"]["labels"] = {"dgdr.dev/run": "uid-other"}
    candidate["metadata"]["ownerReferences"] = [{"kind": DGDR.kind, "uid": "uid-other"}]
    world.cluster.seed(candidate)
    world.watches.tell()
    other = dgdr()
    other["metadata"] |= {"name": "other", "uid": "uid-other"}
    world.cluster.seed(other)
    assert await sweep_orphans(world.watches.cluster, NS) == []
    await world.cluster.delete(DGDR, NS, "other")
    world.cluster.seed(candidate)
    assert await sweep_orphans(world.watches.cluster, NS) == ["other-tp2"]


class Graphs:
    """A graph with an adapter, and the passes of an operator that hears late."""

    def __init__(self) -> None:
        self.server = CountingCluster(NOW)

    async def start(self) -> None:
        wanted = dgd(frontend(), decode_worker(replicas=1, scalingAdapter={}))
        await self.server.create(wanted, "dgdr-init")
        self.watches = LateWatches(self.server, COLLECTIONS)
        self.graph = GraphPass(self.watches.cluster, PLAIN)
        self.adapter = AdapterPass(self.watches.cluster, PLAIN)

    async def passes(self) -> None:
        await self.graph(GRAPH, NOW)
        await self.adapter(DECODE, NOW)

    async def settle(self) -> None:
        for name in ("g-frontend", "g-decode"):
            ready = {
                "replicas": 1,
                "updatedReplicas": 1,
                "readyReplicas": 1,
                "availableReplicas": 1,
            }
            status = {**ready, "observedGeneration": 1}
            self.server.set_status(DEPLOYMENT, "ns", name, status)
        for _ in range(3):
            self.watches.tell()
            await self.passes()
        self.watches.tell()


@pytest.fixture
async def graphs() -> Graphs:
    found = Graphs()
    await found.start()
    return found


async def test_a_ready_graph_and_its_adapter_ask_the_server_nothing(graphs: Graphs) -> None:
    await graphs.passes()
    await graphs.settle()
    graphs.server.reads, writes = 0, len(graphs.server.writes)
    await graphs.passes()
    assert (graphs.server.reads, graphs.server.writes[writes:]) == (0, [])


async def test_what_a_pass_has_made_is_not_made_again_before_it_is_heard_of(
    graphs: Graphs,
) -> None:
    await graphs.graph(GRAPH, NOW)
    writes = len(graphs.server.writes)
    await graphs.graph(GRAPH, NOW)
    assert graphs.server.writes[writes:] == []


async def test_nothing_is_made_for_a_graph_whose_deletion_was_not_heard_of_yet(
    graphs: Graphs,
) -> None:
    await graphs.graph(GRAPH, NOW)
    graphs.watches.tell()
    held = {"metadata": {"finalizers": ["a.test/hold"]}}
    await graphs.server.patch(DGD, "ns", "g", held, "kubectl")
    graphs.watches.tell()
    await graphs.server.delete(DGD, "ns", "g")
    await graphs.server.delete(DEPLOYMENT, "ns", "g-decode")
    graphs.watches.tell(DEPLOYMENT)
    await graphs.graph(GRAPH, NOW)
    assert graphs.server.peek(DEPLOYMENT, "ns", "g-decode") is None


async def test_a_stale_number_is_refused_and_the_next_pass_writes_the_new_one(
    graphs: Graphs,
) -> None:
    await graphs.passes()
    await graphs.settle()
    await graphs.server.scale(DGDSA, "ns", "g-decode", 3, "dgdr-planner")
    await graphs.adapter(DECODE, NOW)  # has not heard of it
    graphs.watches.tell()
    await graphs.adapter(DECODE, NOW)
    components = (graphs.server.peek(DGD, "ns", "g") or {})["spec"]["components"]
    assert [c["replicas"] for c in components if c["name"] == "decode"] == [3]


async def test_while_the_watches_are_broken_the_server_is_asked(graphs: Graphs) -> None:
    await graphs.passes()
    await graphs.settle()
    graphs.watches.lose()
    graphs.server.reads = 0
    await graphs.passes()
    assert graphs.server.reads > 0


async def test_a_fake_that_is_asked_each_time_and_one_that_is_watched_agree() -> None:
    asked, watched = FakeCluster(NOW), Graphs()
    await watched.start()
    wanted = dgd(frontend(), decode_worker(replicas=1, scalingAdapter={}))
    await asked.create(wanted, "dgdr-init")
    for _ in range(3):
        await GraphPass(asked, PLAIN)(GRAPH, NOW)
        watched.watches.tell()
        await watched.graph(GRAPH, NOW)
    assert asked.everything().keys() == watched.server.everything().keys()


async def test_a_number_that_was_taken_back_is_not_copied_late() -> None:
    server = FakeCluster(NOW)
    server.seed(dgd(frontend(), decode_worker(replicas=1, scalingAdapter={})))
    watches = LateWatches(server, COLLECTIONS)
    await GraphPass(watches.cluster, PLAIN)(GRAPH, NOW)
    await server.scale(DGDSA, *DECODE, 5, "somebody")
    watches.tell()
    await server.scale(DGDSA, *DECODE, 1, "somebody")
    with suppress(Conflict):  # of its report, which comes again
        await AdapterPass(watches.cluster, PLAIN)(DECODE, NOW)
    components = (server.peek(DGD, *GRAPH) or {})["spec"]["components"]
    assert [one.get("replicas") for one in components if one["name"] == "decode"] == [1]
