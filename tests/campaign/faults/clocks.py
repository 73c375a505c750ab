"""T: the clock of our processes jumps, and jumps back."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from campaign.calls import Call
from campaign.oracle import Allowance
from campaign.players.profiler import CANDIDATES
from campaign.points import Point
from campaign.scenarios import Scenario
from campaign.world import World
from dgdr_kube.kinds import LEASE

from .watches import FromCall

LASTS_S = 120.0
JUMPS = {
    "an hour ahead": timedelta(hours=1),
    "an hour back": timedelta(hours=-1),
    "a month ahead": timedelta(days=30),
    "a month back": timedelta(days=-30),
}


async def jump(by: timedelta, back: bool, world: World) -> None:
    world.skew = by
    if back:
        await asyncio.sleep(LASTS_S)
        world.skew = timedelta()


def points(scenario: Scenario, calls: Sequence[Call]) -> list[Point]:
    """Return each jump, for good and for two minutes, at each write."""
    return [
        Point(
            class_="T",
            scenario=scenario,
            what=f"the clock is {name}{', for two minutes,' if back else ''} "
            f"from call {call.number}, {call}",
            fault=partial(FromCall, call.number, partial(jump, by, back)),
            allowed=Allowance(births=again(scenario), measured=1),
        )
        for call in calls
        if call.is_write and call.kind != LEASE
        for name, by in JUMPS.items()
        for back in (False, True)
    ]


def again(scenario: Scenario) -> dict[tuple[str, str], int]:
    """Allow that each candidate is made once more: to be swept costs a start, never a GPU.

    A jump may look like a minute without a profiler.
    """
    kinds = (
        "DynamoGraphDeployment", "Deployment", "Service", "ServiceAccount", "Role", "RoleBinding",
        "DynamoGraphDeploymentScalingAdapter",
    )  # fmt: skip
    parts = ("", "-frontend", "-prefill", "-decode", "-k8s-service-discovery")
    return {
        (kind, f"q-{candidate}{part}"): 1
        for candidate in CANDIDATES[: scenario.config.candidates]
        for kind in kinds
        for part in parts
    }
