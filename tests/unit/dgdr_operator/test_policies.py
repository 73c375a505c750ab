"""Which ProfilingPolicies a request may choose among."""

from typing import Any

from dgdr_operator.passes.dgdr_pass import DgdrPass
from dgdr_operator.settings import Profiling
from support.dgdr_world import NS, SETTINGS, World, dgdr

CENTRAL = "platform"


def policy(name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "dgdr.dev/v1alpha1",
        "kind": "ProfilingPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"deadline": "1h", **spec},
    }


def central(chosen: str | None, *policies: dict[str, Any]) -> World:
    request = dgdr()
    if chosen is not None:
        request["metadata"]["annotations"] = {"dgdr.dev/profiling-policy": chosen}
    world = World(request, *policies)
    profiling = Profiling(policy_namespace=CENTRAL)
    world.run = DgdrPass(world.cluster, SETTINGS.model_copy(update={"profiling": profiling}))
    return world


async def test_a_policy_elsewhere_counts_for_nothing() -> None:
    world = central("mine", policy("mine", NS))
    await world.settle()
    assert world.phase == "Pending"
    assert (
        f"ProfilingPolicy mine not found in namespace {CENTRAL}" in world.condition("Validation")[2]
    )


async def test_a_policy_for_other_namespaces_cannot_be_chosen() -> None:
    world = central("big", policy("big", CENTRAL, namespaces=["other"]))
    await world.settle()
    assert world.phase == "Pending"
    assert (
        f"is not for requests of namespace {NS}; choose another" in world.condition("Validation")[2]
    )


async def test_a_policy_for_this_namespace_applies() -> None:
    for allowed in ({}, {"namespaces": ["other", NS]}):
        world = central("big", policy("big", CENTRAL, **allowed))
        await world.settle()
        assert world.phase == "Profiling"
        assert (world.job or {})["spec"]["activeDeadlineSeconds"] == 3600 + 1800 + 1800


async def test_the_default_policy_is_the_central_one_too() -> None:
    world = central(None, policy("default", CENTRAL), policy("default", NS, deadline="9h"))
    await world.settle()
    assert (world.job or {})["spec"]["activeDeadlineSeconds"] == 3600 + 1800 + 1800
