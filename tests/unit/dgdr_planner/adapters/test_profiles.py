"""When ConfigMaps with curves are read, and when they are fitted."""

import asyncio

import pytest

from dgdr_kube.errors import Unreachable
from dgdr_kube.kinds import CONFIG_MAP
from dgdr_kube.ports import Manifest
from dgdr_perf.engine_profile import EngineProfile
from dgdr_planner.adapters.profiles import SHARED_FOR_S, TROUBLE_SHARED_FOR_S, ConfigMapProfiles
from dgdr_planner.observe.value import Trouble
from support.counting_cluster import CountingCluster
from support.planning import NAMESPACE, curves_config_map


class Shelf:
    """Curves, who reads them, and the time."""

    def __init__(self, *manifests: Manifest) -> None:
        self.now_s = 0.0
        self.cluster = CountingCluster()
        self.cluster.seed(*manifests)
        self.profiles = ConfigMapProfiles(self.cluster, clock=lambda: self.now_s)

    async def profile(self) -> EngineProfile | Trouble:
        return await self.profiles.profile(NAMESPACE, "curves")


async def test_planners_of_a_tick_share_one_read_and_one_fit() -> None:
    shelf = Shelf(curves_config_map())
    found = await asyncio.gather(*(shelf.profile() for _ in range(20)))
    assert shelf.cluster.reads == 1
    assert all(one is found[0] for one in found)


async def test_curves_that_did_not_change_are_not_fitted_again() -> None:
    shelf = Shelf(curves_config_map())
    before = await shelf.profile()
    shelf.now_s = SHARED_FOR_S
    assert await shelf.profile() is before
    assert shelf.cluster.reads == 2


async def test_other_curves_of_that_name_count_after_a_while() -> None:
    shelf = Shelf(curves_config_map())
    before = await shelf.profile()
    shelf.cluster.seed(curves_config_map())
    assert await shelf.profile() is before
    shelf.now_s = SHARED_FOR_S
    assert await shelf.profile() is not before


async def test_curves_that_come_late_count_at_the_next_tick() -> None:
    shelf = Shelf()
    missing = await shelf.profile()
    assert isinstance(missing, Trouble)
    shelf.cluster.seed(curves_config_map())
    shelf.now_s = TROUBLE_SHARED_FOR_S
    assert isinstance(await shelf.profile(), EngineProfile)


async def test_a_read_that_fails_is_everybodys_and_is_tried_again() -> None:
    shelf = Shelf(curves_config_map())
    shelf.cluster.refuse("get", CONFIG_MAP, Unreachable("no route to host"))
    failed = await asyncio.gather(*(shelf.profile() for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in failed] == [Unreachable] * 3
    with pytest.raises(Unreachable):
        await shelf.profile()
    shelf.cluster.refuse("get", CONFIG_MAP, None)
    assert isinstance(await shelf.profile(), EngineProfile)
    assert shelf.cluster.reads == 3
