"""The planner's view of load through a real Prometheus: what it scrapes is what we read."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dgdr_planner.adapters.prometheus import PrometheusMetrics
from dgdr_planner.observe.endpoint import Endpoint
from dgdr_planner.observe.glance import glance
from dgdr_planner.observe.load import measure
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.snapshot import NoSnapshot, graph_key
from dgdr_planner.observe.value import Idle, Unknown, Value, number
from support.live_metrics import Frontend, LivePrometheus, prometheus, served

pytestmark = pytest.mark.integration

SCRAPE_S = 1.0
WINDOW_S = 6.0


@dataclass
class Scene:
    """Two frontends of one graph, one of another, and who scrapes them."""

    first: Frontend
    second: Frontend
    other: Frontend
    prometheus: LivePrometheus

    async def load(self, dynamo_namespace: str = "demo-q-dgd", frontends: int = 2) -> LoadSeen:
        # A new question each time: these tests look faster than planners do.
        metrics = PrometheusMetrics()
        snapshot = await metrics.snapshot(Endpoint(url=self.prometheus.url), WINDOW_S)
        await metrics.close()
        graph = graph_key("demo", dynamo_namespace)
        return measure(snapshot, graph, WINDOW_S, "model", frontends)

    async def load_when(self, seconds: float, *wanted: type) -> LoadSeen:
        """Ask until the rate is of the wanted kind."""
        deadline = time.monotonic() + seconds
        while True:
            seen = await self.load()
            if isinstance(seen.rate_per_s, wanted):
                return seen
            assert time.monotonic() < deadline, seen
            await asyncio.sleep(0.3)

    async def cause_when(self, seconds: float, dynamo_namespace: str, start: str) -> str:
        """Ask about a graph of one frontend until its load is unknown for such a cause."""
        deadline = time.monotonic() + seconds
        while True:
            seen = (await self.load(dynamo_namespace, frontends=1)).rate_per_s
            if isinstance(seen, Unknown) and seen.cause.startswith(start):
                return seen.cause
            assert time.monotonic() < deadline, seen
            await asyncio.sleep(0.3)


def labels(pod: str, graph: str) -> dict[str, str]:
    return {
        "namespace": "demo",
        "dynamo_namespace": graph,
        "dynamo_component": "Frontend",
        "pod": pod,
    }


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    first, second, other = Frontend(), Frontend(isl=10_000), Frontend(model="llama")
    with served(first) as a, served(second) as b, served(other) as c:
        targets = {
            a: labels("frontend-a", "demo-q-dgd"),
            b: labels("frontend-b", "demo-q-dgd"),
            c: labels("frontend-c", "demo-p-dgd"),
        }
        folder: Path = tmp_path_factory.mktemp("prometheus")
        with prometheus(folder, targets, SCRAPE_S) as server:
            yield Scene(first, second, other, server)


async def test_a_silent_graph_is_idle_and_a_strange_one_is_unknown(scene: Scene) -> None:
    assert (await scene.load_when(20, Idle)).rate_per_s == Idle()
    strange = await scene.load("demo-x-dgd")
    assert isinstance(strange.rate_per_s, Unknown)
    assert strange.rate_per_s.cause == (
        "No series for model model in namespace demo (dynamo_namespace demo-x-dgd);"
        " seen: graphs demo-p-dgd, demo-q-dgd"
    )
    # Each frontend is scraped at its own time, so one window may be full before another.
    named = await scene.cause_when(20, "demo-p-dgd", "No series")
    assert named == "No series for model model in namespace demo; seen: llama"


async def test_load_is_read_from_its_first_requests_on(scene: Scene) -> None:
    await scene.load_when(20, Idle)
    scene.first.rate_per_s, scene.second.rate_per_s = 33.0, 1 / 3
    began = time.monotonic()
    await scene.load_when(5, Value)
    assert time.monotonic() - began < 5
    await asyncio.sleep(WINDOW_S + 2 * scene.first.duration_s)
    seen = await scene.load()
    assert number(seen.rate_per_s) == pytest.approx(33.3, rel=0.15)
    assert number(seen.isl) == pytest.approx((33 * 2048 + 10_000 / 3) / 33.3, rel=0.05)
    assert number(seen.osl) == pytest.approx(128, rel=0.01)
    assert number(seen.ttft_ms) == pytest.approx(250, rel=0.01)
    assert number(seen.itl_ms) == pytest.approx(19, rel=0.01)
    assert seen.frontends == 2
    assert number(seen.quantiles["ttft_p50"]) == pytest.approx(125, rel=0.01)
    assert number(seen.quantiles["itl_p99"]) == pytest.approx(19 * 1.97, rel=0.01)


async def test_a_fast_look_counts_the_same_requests(scene: Scene) -> None:
    await scene.load_when(10, Value)
    metrics = PrometheusMetrics()
    endpoint = Endpoint(url=scene.prometheus.url)
    snapshot = await metrics.snapshot(endpoint, WINDOW_S, counts_only=True)
    await metrics.close()
    look = glance(snapshot, graph_key("demo", "demo-q-dgd"), time.time(), "model", 2)
    assert look is not None
    assert look.rate_per_s == pytest.approx(33.3, rel=0.25)
    assert look.in_flight is not None


async def test_the_past_is_restored_by_a_range_query(scene: Scene) -> None:
    await scene.load_when(10, Value)
    await asyncio.sleep(2 * WINDOW_S)
    metrics = PrometheusMetrics()
    graph = graph_key("demo", "demo-q-dgd")
    endpoint = Endpoint(url=scene.prometheus.url)
    past = await metrics.history(endpoint, graph, WINDOW_S, 100, SCRAPE_S)
    strange = await metrics.history(endpoint, graph_key("demo", "demo-x"), WINDOW_S, 100, SCRAPE_S)
    await metrics.close()
    assert strange == ()
    assert not isinstance(past, NoSnapshot)
    newest = past[-1]
    assert abs(newest.at_s - time.time()) < WINDOW_S
    assert newest.rate_per_s == pytest.approx(33.3, rel=0.25)
    assert newest.isl == pytest.approx(2128, rel=0.1)
    assert newest.osl == pytest.approx(128, rel=0.05)
    assert len(past) >= 2
    assert past[-1].at_s - past[-2].at_s == pytest.approx(WINDOW_S)


async def test_the_end_of_the_load_is_idleness(scene: Scene) -> None:
    scene.first.rate_per_s = scene.second.rate_per_s = 0.0
    await scene.load_when(30, Idle)


async def test_an_outage_is_unknown_and_over_within_a_window(scene: Scene) -> None:
    scene.first.rate_per_s = 20.0
    await scene.load_when(10, Value)
    scene.prometheus.stop()
    away = await scene.load()
    assert isinstance(away.rate_per_s, Unknown)
    assert away.rate_per_s.reason == "PrometheusUnreachable"
    await asyncio.sleep(4)
    scene.prometheus.start()
    began = time.monotonic()
    seen: list[object] = []
    while not seen or not isinstance(seen[-1], Value):
        assert time.monotonic() - began < 2 * WINDOW_S, seen
        seen.append((await scene.load()).rate_per_s)
        # Never idle, never a fraction of the load: unknown until there are enough samples.
        assert isinstance(seen[-1], Unknown | Value)
        await asyncio.sleep(0.2)
    assert isinstance(seen[-1], Value)
    assert seen[-1].number > 14
    # A busy machine makes a page up to a second after the time that its samples are dated with,
    # which two or three scrapes do not even out.
    while not isinstance(seen[-1], Value) or seen[-1].number != pytest.approx(20, rel=0.3):
        assert time.monotonic() - began < 3 * WINDOW_S, seen
        await asyncio.sleep(0.2)
        seen.append((await scene.load()).rate_per_s)
        assert isinstance(seen[-1], Unknown | Value)


async def test_a_frontend_that_is_not_scraped_makes_the_load_unknown(scene: Scene) -> None:
    await scene.load_when(10, Value)
    seen = await scene.load(frontends=3)
    assert isinstance(seen.rate_per_s, Unknown)
    assert seen.rate_per_s.cause == "2 of 3 ready frontends have fresh samples"
