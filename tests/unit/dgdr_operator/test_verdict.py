"""What a run found out about its targets is said on the request, and stays said."""

import json
from typing import Any

import pytest

from dgdr_api.run_verdict import read_verdict
from support.dgdr_world import World, dgdr

MISSED = {
    "slaReachable": False,
    "reason": "nothing measured holds the targets",
    "selection": {
        "prefill": {"candidate": "tp1", "ttftMs": 39.2},
        "decode": {"candidate": "tp2", "itlMs": 4.61},
    },
}
NEAREST = "targets not reached: nearest TTFT 39 ms, ITL 4.6 ms"
SHORTAGE = "the load needs 3 prefill and 2 decode replicas with 10 GPUs, but there are 8"


async def finished(report: Any, **spec: Any) -> World:
    world = World(dgdr(**spec))
    await world.settle()
    await world.profiler_finishes(**{"report.json": json.dumps(report)})
    await world.settle()
    return world


async def test_missed_targets_are_told_until_the_end() -> None:
    world = await finished(MISSED)
    assert world.condition("SLAReachable") == ("False", "TargetsNotReached", NEAREST)
    assert world.condition("SpecGenerated")[2] == (
        f"DynamoGraphDeployment spec generated successfully; {NEAREST}"
    )
    await world.live()
    assert world.phase == "Deployed"
    assert world.condition("Succeeded") == ("True", "Deployed", f"DGD q-dgd is ready; {NEAREST}")
    (warning,) = [event for event in world.cluster.events if event.severity == "Warning"]
    assert (warning.reason, warning.message) == ("TargetsNotReached", NEAREST)


async def test_a_request_for_review_says_it_once() -> None:
    world = await finished(MISSED, autoApply=False)
    assert world.phase == "Ready"
    assert world.condition("Succeeded")[2].count(NEAREST) == 1


async def test_a_load_for_which_gpus_do_not_suffice_is_told() -> None:
    world = await finished({**MISSED, "slaReachable": True, "shortage": SHORTAGE})
    text = f"targets hold: TTFT 39 ms, ITL 4.6 ms; {SHORTAGE}"
    assert world.condition("SLAReachable") == ("False", "LoadExceedsGpus", text)
    assert world.events.count("LoadExceedsGpus") == 1


async def test_targets_that_hold_are_told_without_a_warning() -> None:
    world = await finished({**MISSED, "slaReachable": True, "shortage": None})
    text = "targets hold: TTFT 39 ms, ITL 4.6 ms"
    assert world.condition("SLAReachable") == ("True", "TargetsHold", text)
    assert [event for event in world.cluster.events if event.severity == "Warning"] == []
    await world.live()
    assert world.condition("Succeeded")[2] == "DGD q-dgd is ready"


@pytest.mark.parametrize("report", ["", "{}", "no JSON", "[]", '{"slaReachable": "perhaps"}'])
async def test_a_run_that_says_nothing_of_targets_is_believed_nothing(report: str) -> None:
    world = World()
    await world.settle()
    await world.profiler_finishes(**{"report.json": report})
    await world.live()
    assert world.phase == "Deployed"
    assert "SLAReachable" not in world.conditions


def test_a_run_that_found_no_figures_gives_its_reason() -> None:
    bare = read_verdict(json.dumps({"slaReachable": False, "reason": "no point holds them"}))
    assert str(bare) == "targets not reached: no point holds them"
