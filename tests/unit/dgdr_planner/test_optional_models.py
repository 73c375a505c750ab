"""SLAPlanners that name a model whose library is an extra."""

import sys
from collections.abc import Iterator

import numpy as np
import pytest

from dgdr_planner.forecast import Model, forecaster_for
from dgdr_planner.forecast.extras import NEEDS
from dgdr_planner.observe.history import Sample
from support.planning import sla_planner

from .test_planner_pass import World

INTERVAL_S = 15.0


@pytest.fixture
def without_prophet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, NEEDS[Model.PROPHET][0], None)
    forecaster_for.cache_clear()
    yield
    forecaster_for.cache_clear()


def world_with(model: str) -> World:
    world = World(sla_planner(forecast={"model": model, "quantile": 0.5}))
    world.metrics.rate_per_s = 9.4
    return world


async def test_arima_speaks_where_its_library_is() -> None:
    world = world_with("ARIMA")
    now_s = world.clock().timestamp()
    # Without noise the likelihood has no peak, and the fit depends on the machine's arithmetic.
    noise_per_s = np.random.default_rng(7).normal(scale=0.3, size=61)
    world.metrics.past = tuple(
        Sample(
            at_s=now_s - INTERVAL_S * ago,
            window_s=INTERVAL_S,
            rate_per_s=(12.0 if ago % 2 else 3.0) + noise_per_s[ago],
            isl=2048.0,
            osl=128.0,
        )
        for ago in range(60, 0, -1)
    )
    world.metrics.rate_per_s = 3.0
    await world.passes()
    assert world.condition("Ready")[1] == "Planning"
    assert world.status()["forecast"]["model"] == "ARIMA"


@pytest.mark.usefixtures("without_prophet")
async def test_a_missing_library_changes_nothing_and_names_the_cure() -> None:
    world = world_with("Prophet")
    await world.passes(2)
    assert world.replicas() == (1, 1)
    told = (
        "forecast model Prophet needs prophet, which is not installed:"
        " install dgdr-operator[prophet] or choose Auto"
    )
    assert world.condition("Ready") == ("False", "ForecasterMissing", f"nothing is changed: {told}")
    assert world.condition("Stalled")[:2] == ("True", "ForecasterMissing")
