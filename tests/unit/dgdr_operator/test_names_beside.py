"""Beside NVIDIA's operator a name that it does not let in is refused before GPUs are spent."""

import pytest

from dgdr_kube.served import Mode
from dgdr_operator.passes.dgdr_pass import DgdrPass
from support.dgdr_world import SETTINGS, World, dgdr

LONG = "a" * 38


@pytest.mark.parametrize(("mode", "phase"), [("Standalone", "Profiling"), ("Beside", "Failed")])
async def test_a_name_that_grove_is_too_short_for_is_refused_before_it_is_profiled(
    mode: str, phase: str
) -> None:
    override = {"apiVersion": "nvidia.com/v1beta1", "kind": "DynamoGraphDeployment"}
    world = World(dgdr(overrides={"dgd": override | {"metadata": {"name": LONG}}}))
    world.run = DgdrPass(world.cluster, SETTINGS.model_copy(update={"mode": Mode(mode)}))
    await world.settle()
    said = world.condition("Validation")[2]
    assert world.phase == phase, said
    assert ("spec.overrides.dgd.metadata.name" in said) is (mode == "Beside")
