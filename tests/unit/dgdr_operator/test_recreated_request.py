"""A request that was deleted and made again under its name finds what the first one left."""

from typing import Any

import pytest

from dgdr_kube.kinds import DGD, DGDR, SLA_PLANNER
from dgdr_kube.ports import Manifest
from dgdr_operator.core.final_config import succeeding_spec
from support.dgdr_world import DGD_NAME, NAME, NS, World, dgdr, generated_dgd, sla_planner
from support.fake_cluster import Killed

UID = "dgdr.dev/request-uid"


async def first_life() -> World:
    world = World(dgdr())
    await world.live()
    await world.cluster.delete(DGDR, NS, NAME)
    await world.one_pass()
    assert world.dgd is not None
    return world


async def second_life(world: World, documents: list[Manifest]) -> World:
    world.cluster.events.clear()
    world.documents = documents
    again = dgdr()
    again["metadata"]["uid"] = "second-request"
    world.cluster.seed(again)
    await world.live()
    return world


async def test_one_that_is_leaving_is_waited_for_however_long_it_takes() -> None:
    """What has a finalizer stays for a while; this request has created nothing yet."""
    world = await first_life()
    held = {"metadata": {"finalizers": ["a.test/hold"]}}
    await world.cluster.patch(DGD, NS, DGD_NAME, held, "kubectl")
    await world.cluster.delete(DGD, NS, DGD_NAME)
    world = await second_life(world, [sla_planner(), generated_dgd()])
    for _ in range(2):
        await world.one_pass()
        assert (world.phase, world.condition("DeploymentReady")[1]) == (
            "Deploying",
            "DeploymentBlocked",
        )
    text = f"DGD {DGD_NAME} is being deleted; it is created again after that; waiting since 2025"
    assert world.condition("DeploymentReady")[2].startswith(text)
    await world.cluster.patch(DGD, NS, DGD_NAME, {"metadata": {"finalizers": None}}, "kubectl")
    await world.live()
    assert world.phase == "Deployed"


def planner(ttft_ms: int, profile: str) -> Manifest:
    found = sla_planner()
    found["spec"]["sla"]["ttftMs"] = ttft_ms
    found["spec"]["profile"] = {"configMapRef": {"name": profile}}
    return found


def with_worker(dgd: Manifest) -> Manifest:
    """One more component, which the second result has not."""
    dgd["spec"]["components"].append({**dgd["spec"]["components"][-1], "name": "extra"})
    return dgd


async def test_what_is_generated_names_the_request_it_is_for() -> None:
    world = World(dgdr())
    await world.live()
    found = [
        *(world.cluster.peek(kind, NS, DGD_NAME) for kind in (DGD, SLA_PLANNER)),
        *(m for name, m in world.cluster.everything().items() if "planner-profile-data" in name),
    ]
    assert [m and m["metadata"]["labels"][UID] for m in found] == [world.uid] * 3


async def test_deployment_planner_and_curves_become_those_of_the_new_request() -> None:
    world = World(dgdr())
    world.documents = [planner(500, "old-curves"), with_worker(generated_dgd(gpus=1))]
    await world.live()
    await world.cluster.patch(SLA_PLANNER, NS, DGD_NAME, {"spec": {"suspend": True}}, "kubectl")
    before = world.dgd
    await world.cluster.delete(DGDR, NS, NAME)
    await second_life(world, [planner(200, "new-curves"), generated_dgd(gpus=2)])
    assert (world.phase, before is not None) == ("Deployed", True)
    after = world.dgd or {}
    assert after["metadata"]["uid"] == (before or {})["metadata"]["uid"]
    assert after["metadata"]["labels"][UID] == "second-request"
    assert [c["name"] for c in after["spec"]["components"]] == ["frontend", "prefill", "decode"]
    slap = world.cluster.peek(SLA_PLANNER, NS, DGD_NAME) or {}
    assert slap["spec"] == planner(200, "new-curves")["spec"]
    assert slap["metadata"]["labels"][UID] == "second-request"
    assert "DeploymentTakenOver" in world.events
    assert "DeploymentCreated" not in world.events


async def test_a_planner_that_the_new_request_does_not_want_goes() -> None:
    world = await second_life(await first_life(), [generated_dgd()])
    assert world.phase == "Deployed"
    assert world.cluster.peek(SLA_PLANNER, NS, DGD_NAME) is None


async def test_a_planner_of_the_users_own_stays() -> None:
    world = World(dgdr())
    mine = {**planner(900, "mine"), "metadata": {"name": DGD_NAME, "namespace": NS}}
    world.cluster.seed(mine)
    await world.live()
    found = world.cluster.peek(SLA_PLANNER, NS, DGD_NAME) or {}
    assert (world.phase, found["spec"]) == ("Deployed", mine["spec"])


async def test_a_deployment_that_nvidias_operator_left_is_taken_over() -> None:
    left = generated_dgd()
    labels = {"dgdr.nvidia.com/name": NAME, "dgdr.nvidia.com/namespace": NS}
    left["metadata"].update(namespace=NS, labels=labels)
    world = World(dgdr(), left)
    await world.live()
    assert world.phase == "Deployed"
    assert (world.dgd or {})["metadata"]["labels"][UID] == world.uid
    assert world.cluster.peek(SLA_PLANNER, NS, DGD_NAME) is not None


@pytest.mark.parametrize("kills", range(8))
async def test_a_kill_in_the_midst_of_it_changes_nothing_about_the_end(kills: int) -> None:
    world = World(dgdr())
    world.documents = [planner(500, "old"), with_worker(generated_dgd())]
    await world.live()
    await world.cluster.delete(DGDR, NS, NAME)
    world.documents = [planner(200, "new"), generated_dgd(gpus=2)]
    again = dgdr()
    again["metadata"]["uid"] = "second-request"
    world.cluster.seed(again)
    await killed_after(world, kills)
    await world.live()
    slap = world.cluster.peek(SLA_PLANNER, NS, DGD_NAME) or {}
    assert slap["spec"]["sla"]["ttftMs"] == 200
    assert len((world.dgd or {})["spec"]["components"]) == 3
    curves = [name for name in world.cluster.everything() if "planner-profile-data" in name]
    assert len(curves) == 2


async def killed_after(world: World, writes: int) -> None:
    """Live up to the deployment; then let the operator be killed after so many writes."""
    while world.phase != "Deploying":
        await world.one_pass()
        await world.others()
    world.cluster.kill_after_writes = writes
    try:
        await world.one_pass()
    except Killed:
        pass
    finally:
        world.cluster.kill_after_writes = None


def component(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, **fields}


@pytest.mark.parametrize(
    ("live", "wanted", "replicas"),
    [
        pytest.param(
            component("decode", replicas=5),
            component("decode", replicas=1, scalingAdapter={}),
            5,
            id="scaled by somebody",
        ),
        pytest.param(
            component("decode", replicas=5),
            component("decode", replicas=2),
            2,
            id="as the result says",
        ),
        pytest.param(
            component("worker", replicas=5),
            component("decode", replicas=2, scalingAdapter={}),
            2,
            id="a new component",
        ),
    ],
)
def test_replicas_after_a_take_over(
    live: dict[str, Any], wanted: dict[str, Any], replicas: int
) -> None:
    spec = succeeding_spec({"spec": {"components": [live]}}, {"spec": {"components": [wanted]}})
    assert [c["replicas"] for c in spec["components"]] == [replicas]
