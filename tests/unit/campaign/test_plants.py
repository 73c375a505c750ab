"""The campaign finds the bugs that are put in on purpose: without that it would prove nothing."""

import pytest

from campaign.plants import PLANTS, Plant
from campaign.runner import hunt

SEED = 1
MOST = 40


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: str(plant.name))
def test_a_planted_bug_is_found(plant: Plant) -> None:
    assert hunt(plant, MOST, SEED, short=True).found is not None


def test_there_are_enough_of_them() -> None:
    assert len({plant.name for plant in PLANTS}) >= 20
