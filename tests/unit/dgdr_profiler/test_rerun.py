"""A request that failed is run again: operator and profiler on one cluster, with fake engines."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dgdr_api.graph import Graph
from dgdr_api.request import ProfilingRequest
from dgdr_kube.errors import AlreadyExists as Exists
from dgdr_kube.kinds import CONFIG_MAP, DGDR
from dgdr_profiler.adapters.kube import AlreadyExists, Manifest, Resource
from dgdr_profiler.adapters.records import KubeRecords
from dgdr_profiler.core.candidate import EngineFacts
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.ports import Tell
from dgdr_profiler.prepare import prepare
from dgdr_profiler.report.result import result
from dgdr_profiler.run import NothingMeasured
from support.dgdr_world import NAME, NS, World, dgdr
from support.profiler_ports import FakeDeployments, FakeLoad
from support.profiler_runs import run_of

WRONG, RIGHT = "registry.test/vllm-runtime:9", "registry.test/vllm-runtime:1"


class ConfigMaps:
    """The profiler's client, for the one kind that records need."""

    namespace = NS

    def __init__(self, world: World) -> None:
        self._cluster = world.cluster

    async def get(self, _: Resource, name: str) -> Manifest | None:
        return await self._cluster.get(CONFIG_MAP, NS, name)

    async def create(self, _: Resource, manifest: Manifest) -> Manifest:
        placed = {**manifest, "metadata": {**manifest["metadata"], "namespace": NS}}
        try:
            return await self._cluster.create(placed, "dgdr-profiler")
        except Exists as exc:
            raise AlreadyExists(str(exc), 409) from exc

    async def merge(self, _: Resource, name: str, patch: Manifest) -> Manifest:
        return await self._cluster.patch(CONFIG_MAP, NS, name, patch, "dgdr-profiler")


class Registry(FakeDeployments):
    """A cluster on which an image that nobody has pushed does not start."""

    async def deploy(self, graph: Graph, model: str, tell: Tell) -> EngineFacts:
        facts = await super().deploy(graph, model, tell)
        image = graph.components[0].image
        if image == WRONG:
            raise CandidateFailed(f"ErrImagePull ({image}: not found)", image=image)
        return facts


async def pod_of(world: World, deployments: FakeDeployments, load: FakeLoad | None = None) -> bool:
    """Be the Job's pod, and its kubelet; returns whether there is a result."""
    found = world.cluster.peek(CONFIG_MAP, NS, f"profile-{NAME}")
    assert found is not None
    told = ProfilingRequest.from_text(found["data"]["request.json"])
    prepared = prepare(told, None)
    records = KubeRecords(ConfigMaps(world), told)  # type: ignore[arg-type]
    await records.open(datetime.now(UTC))
    run = run_of(prepared, records=records, deployments=deployments, load=load or FakeLoad())
    try:
        chosen = await run.measure_all()
    except NothingMeasured as exc:
        await records.fail(str(exc))
        world.job_is("Failed", "PodFailurePolicy")
        return False
    finally:
        await world.settle()
    await records.succeed(
        result(told, prepared.setting, prepared.plan, run.state, chosen, run.ledger())
    )
    return True


async def failed(deployments: FakeDeployments, **spec: Any) -> World:
    """A request none of whose candidates started."""
    small = {"workload": {"isl": 2048, "osl": 96}, "hardware": {"totalGpus": 4}}
    world = World(dgdr(backend="vllm", **small, **spec))
    await world.settle()
    assert not await pod_of(world, deployments)
    await world.settle()
    assert world.phase == "Failed"
    return world


async def ask(world: World, value: str) -> None:
    annotations = {"dgdr.dev/rerun-requested-at": value}
    await world.cluster.patch(DGDR, NS, NAME, {"metadata": {"annotations": annotations}}, "kubectl")
    await world.settle()
    assert world.phase == "Profiling"


async def test_an_edit_of_the_image_has_all_candidates_tried_again() -> None:
    world = await failed(Registry(), image=WRONG)
    assert "ErrImagePull" in world.condition("Profiling")[2]
    await world.edit(image=RIGHT)
    await world.settle()
    assert world.phase == "Profiling"
    assert await pod_of(world, Registry())


async def test_who_asks_for_a_rerun_has_all_candidates_tried_again_each_time() -> None:
    broken = Registry()
    world = await failed(broken, image=WRONG)
    for value in ("monday", "tuesday", "monday"):
        await ask(world, value)
        again = Registry()
        assert not await pod_of(world, again)
        assert again.log == broken.log
        await world.settle()
    await ask(world, "wednesday")
    assert await pod_of(world, FakeDeployments())


class Dies(Registry):
    """A cluster that loses the profiler's pod at the second candidate."""

    async def deploy(self, graph: Graph, model: str, tell: Tell) -> EngineFacts:
        if self.log:
            raise KeyboardInterrupt
        return await super().deploy(graph, model, tell)


async def test_a_killed_pod_of_the_same_run_has_nothing_tried_again() -> None:
    world = await failed(Registry(), image=WRONG)
    await ask(world, "monday")
    with pytest.raises(KeyboardInterrupt):
        await pod_of(world, Dies(broken={"q-p-tp1": "CrashLoopBackOff"}))
    after = FakeDeployments()
    assert await pod_of(world, after)
    assert "deploy q-p-tp1" not in after.log
    assert "deploy q-p-tp2" in after.log
