"""A sample of the fault campaign, small enough for every commit: no point violates anything.

All of it: ``make campaign``.
"""

import pytest

from campaign import runner
from campaign.classes import CLASSES
from campaign.points import Point
from campaign.scenarios import ALL

SEED = 1
# Of all scenarios together; each takes half a second.
POINTS = {"K": 30, "A": 24, "W": 10, "J": 8, "D": 6, "S": 6, "U": 6, "T": 6}


def points(letter: str) -> list[Point]:
    """All points of a class, but for those of planners, which take long."""
    quick = [scenario for scenario in ALL if not scenario.config.plans]
    return [
        point
        for scenario in quick
        for point in CLASSES[letter](scenario, runner.undisturbed(scenario, SEED).calls)
    ]


@pytest.mark.parametrize("letter", CLASSES)
def test_nothing_is_violated(letter: str) -> None:
    chosen = runner.sample(points(letter), POINTS[letter], SEED)
    outcomes = [runner.run(point, SEED) for point in chosen]
    found = [f"{one.point}: {violation}" for one in outcomes for violation in one.violations]
    assert found == []


def test_planners_keep_their_budget_where_they_are_killed() -> None:
    (budget,) = (scenario for scenario in ALL if scenario.config.plans)
    listed = CLASSES["K"](budget, runner.undisturbed(budget, SEED).calls)
    outcomes = [runner.run(point, SEED) for point in runner.sample(listed, 4, SEED)]
    assert [str(v) for one in outcomes for v in one.violations] == []
