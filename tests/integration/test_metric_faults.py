"""Everything that can be wrong with metrics, on a real Prometheus: replicas never pay for it.

All scenarios run at the same time in one process, as planners do, so each is also a neighbour of
every other one: none may delay another one's ticks. What is claimed is counted in passes, not in
seconds: a busy machine makes them fewer, not wrong.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import pytest

from dgdr_planner.observe import queries
from support import fault_proxy as faults
from support.fault_proxy import FaultProxy, Reply, fault_proxy
from support.live_metrics import Frontend, LivePrometheus, free_port, prometheus, served
from support.live_planners import LivePlanners, Tick
from support.planning import DGD_NAME

pytestmark = pytest.mark.integration

SCRAPE_S = 1.0
INTERVAL_S = 5.0
WINDOW_S = queries.window_s(INTERVAL_S, SCRAPE_S)
# The slow server's; everybody else's is longer than any machine may take.
IMPATIENT, PATIENT = "5s", "60s"
# Of these, one scrape at least has arrived, or its absence shows.
SCRAPES = 4
# Passes in which a fault is looked at.
PASSES = 3
# For what must come, but nobody knows when on a busy machine.
LONGEST_S = 240.0
# Planners whose Prometheus never answers: more than any pool of threads by default.
STUCK = 40
# A third less needs as many replicas, and so does more: there are no more.
RATE_PER_S = 11.0
NEEDED = (3, 2)


@dataclass
class Scene:
    """One deployment: its frontends, what stands before Prometheus, and how it is hurt."""

    name: str
    reason: str | None
    hurt: Callable[["Scene"], Awaitable[None]]
    heal: Callable[["Scene"], Awaitable[None]]
    frontends: list[Frontend] = field(default_factory=lambda: [Frontend(rate_per_s=RATE_PER_S)])
    servers: list[ExitStack] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    proxy: FaultProxy | None = None
    hurt_s: float = inf
    healed_s: float = inf
    cured_s: float = inf

    def serve(self, number: int) -> None:
        stack, (host, port) = ExitStack(), self.addresses[number].split(":")
        stack.enter_context(served(self.frontends[number], host, int(port)))
        self.servers[number] = stack

    @property
    def is_of_prometheus(self) -> bool:
        """Whether the fault is the server's, so that the next question meets it."""
        return self.name in OF_PROMETHEUS

    @property
    def shown_s(self) -> float:
        """Since when Prometheus has the fault, for certain."""
        if self.is_of_prometheus:
            return self.hurt_s
        later = [at_s for at_s in self.frontends[0].pages_s if at_s > self.hurt_s]
        return later[SCRAPES - 1] if len(later) >= SCRAPES else inf

    @property
    def clean_s(self) -> float:
        """Since when a window has nothing of the fault any more."""
        return self.cured_s + (0.0 if self.is_of_prometheus else WINDOW_S + SCRAPE_S)

    def hurt_ticks(self, ticks: list[Tick]) -> list[Tick]:
        """Passes that began after the fault and ended before the cure."""
        return [
            tick for tick in ticks if self.hurt_s <= tick.began_s and tick.ended_s <= self.healed_s
        ]

    def told(self, ticks: list[Tick]) -> Tick | None:
        """The first pass that told of the fault; for one that looks like none, that saw through."""
        return next(filter(self._tells, self.hurt_ticks(ticks)), None)

    def well(self, ticks: list[Tick]) -> Tick | None:
        """The first pass after the cure that knew the load again."""
        return next((tick for tick in ticks if tick.began_s >= self.clean_s and knows(tick)), None)

    def is_told(self, ticks: list[Tick]) -> bool:
        """Whether there are passes enough to judge from."""
        hurt = self.hurt_ticks(ticks)
        if len(hurt) < PASSES or self.told(ticks) is None:
            return False
        return self.reason is None or self.name == "dead" or hurt[-1].began_s >= self.shown_s

    def _tells(self, tick: Tick) -> bool:
        if self.reason is None:
            return tick.began_s >= self.hurt_s + WINDOW_S + SCRAPE_S and knows(tick)
        return tick.available == "False" and self.reason in ("", tick.reason)


def knows(tick: Tick) -> bool:
    return tick.available == "True" and tick.rate_per_s == pytest.approx(RATE_PER_S, rel=0.35)


async def nothing(_: Scene) -> None:
    pass


def proxied(name: str, reason: str | None, fault: Reply) -> Scene:
    async def hurt(scene: Scene) -> None:
        assert scene.proxy is not None
        scene.proxy.fault = fault

    async def heal(scene: Scene) -> None:
        assert scene.proxy is not None
        scene.proxy.fault = None

    return Scene(name, reason, hurt, heal)


def mangled(name: str, reason: str | None, mangle: Callable[[str], str]) -> Scene:
    """The frontend itself says something strange."""

    async def hurt(scene: Scene) -> None:
        scene.frontends[0].mangled = mangle

    async def heal(scene: Scene) -> None:
        scene.frontends[0].mangled = lambda page: page

    return Scene(name, reason, hurt, heal)


def counters_read(text: str) -> Callable[[str], str]:
    return lambda page: re.sub(rf"^({queries.COMPLETED}.*}}) .*$", rf"\1 {text}", page, flags=re.M)


def injected(page: str) -> str:
    """Labels that pretend to be another deployment's, and a value made to break a query."""
    forged = 'namespace="team-b",dynamo_namespace="x",pod="y",job="z",instance="i",'
    forged += 'evil="a\\"} or vector(0) or up{x=\\"",'
    lines = [re.sub(r"{", "{" + forged, line) for line in page.splitlines()]
    bare = [line if "{" in line else line.replace(" ", f"{{{forged[:-1]}}} ") for line in lines]
    return "\n".join(bare) + "\n"


async def down(scene: Scene) -> None:
    assert scene.proxy is not None
    await scene.proxy.down()


async def up(scene: Scene) -> None:
    assert scene.proxy is not None
    await scene.proxy.up()


async def frontend_dies(scene: Scene) -> None:
    await asyncio.to_thread(scene.servers[0].close)


async def frontend_is_back(scene: Scene) -> None:
    scene.frontends[0].restart()
    scene.serve(0)


async def frontend_is_replaced(scene: Scene) -> None:
    """The series of the dead one stay in the window for a while."""
    await frontend_dies(scene)
    scene.frontends[1].rate_per_s = RATE_PER_S


async def frontend_restarts(scene: Scene) -> None:
    scene.frontends[0].restart()


async def role_is_missing(scene: Scene) -> None:
    scene.frontends[0].mangled = lambda page: page + worker("decode")


def worker(role: str) -> str:
    return f'dynamo_component_requests_total{{dynamo_component="{role}"}} 7\n'


def scenes() -> list[Scene]:
    return [
        Scene("healthy", None, nothing, nothing),
        Scene("down", "PrometheusUnreachable", down, up),
        *(
            proxied(f"http-{code}", "PrometheusRefused", faults.status(code))
            for code in (401, 403, 500, 503)
        ),
        proxied("html", "PrometheusAnswerUnreadable", faults.html),
        proxied("cut", "PrometheusAnswerUnreadable", faults.cut),
        proxied("empty", "NoSeries", faults.empty),
        proxied("slow", "PrometheusTimeout", faults.slow),
        proxied("ahead", None, faults.skewed(600)),
        proxied("behind", None, faults.skewed(-600)),
        proxied("answers-nan", "NoSeries", faults.values("NaN")),
        *(
            mangled(f"counter-{name}", "BadSamples", counters_read(text))
            for name, text in (
                ("nan", "NaN"),
                ("inf", "+Inf"),
                ("negative", "-5"),
                ("huge", "1e300"),
                ("jump", "1e15"),
            )
        ),
        Scene("dead", "", frontend_dies, frontend_is_back),
        Scene(
            "replaced",
            None,
            frontend_is_replaced,
            nothing,
            [Frontend(rate_per_s=RATE_PER_S), Frontend()],
        ),
        Scene("restarted", None, frontend_restarts, nothing),
        Scene(
            "role",
            None,
            role_is_missing,
            nothing,
            [
                Frontend(
                    rate_per_s=RATE_PER_S,
                    mangled=lambda page: page + worker("prefill") + worker("decode"),
                )
            ],
        ),
        Scene(
            "injected",
            None,
            nothing,
            nothing,
            [Frontend(rate_per_s=RATE_PER_S, mangled=injected)],
        ),
        Scene("twice", None, nothing, nothing),
    ]


def labels(scene: Scene, number: int) -> dict[str, str]:
    return {
        "namespace": scene.name,
        "dynamo_namespace": f"{scene.name}-{DGD_NAME}",
        "pod": f"frontend-{number}",
    }


@dataclass
class Story:
    """What every planner said, from the first tick to the end of the load."""

    scenes: dict[str, Scene]
    ticks: dict[str, list[Tick]]
    shrunk: dict[str, tuple[int, int]]
    stuck: int
    stuck_waits: list[tuple[float, float]]


def served_all(stack: ExitStack) -> dict[str, Scene]:
    found = {scene.name: scene for scene in scenes()}
    for scene in found.values():
        scene.addresses = [f"127.0.0.1:{free_port()}" for _ in scene.frontends]
        scene.servers = [ExitStack() for _ in scene.frontends]
        for number in range(len(scene.frontends)):
            scene.serve(number)
            stack.callback(lambda scene=scene, number=number: scene.servers[number].close())
    return found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with ExitStack() as stack:
        found = served_all(stack)
        targets = {
            address: labels(scene, number)
            for scene in found.values()
            for number, address in enumerate(scene.addresses)
        }
        again = labels(found["twice"], 0) | {"endpoint": "http", "region": "r", "model": "m"}
        jobs = [
            {
                "job_name": "again",
                "static_configs": [{"targets": found["twice"].addresses, "labels": again}],
            }
        ]
        folder: Path = tmp_path_factory.mktemp("prometheus")
        server = stack.enter_context(prometheus(folder, targets, SCRAPE_S, jobs))
        yield asyncio.run(told(found, server))


async def told(found: dict[str, Scene], server: LivePrometheus) -> Story:
    """Settle, hurt, heal, end the load: for all scenes at the same time."""
    live = LivePlanners(INTERVAL_S, SCRAPE_S)
    async with AsyncExitStack() as stack:
        for scene in found.values():
            scene.proxy = await stack.enter_async_context(fault_proxy(server.url))
            timeout = IMPATIENT if scene.name == "slow" else PATIENT
            live.add(scene.name, scene.proxy.url, *NEEDED, timeout=timeout)
        hanging = await stack.enter_async_context(fault_proxy(server.url))
        hanging.fault = faults.slow
        stuck = [f"stuck-{number}" for number in range(STUCK)]
        for name in stuck:
            # Each asks for itself, as those of different tenants do.
            live.add(name, hanging.url, *NEEDED, timeout=PATIENT, parameters={"tenant": name})
        await eventually(lambda: all(scraped(scene) for scene in found.values()))
        running = asyncio.create_task(live.run())
        try:
            ticks = await played(live, found)
            asked = len(hanging.asked)
            for scene in found.values():
                for frontend in scene.frontends:
                    frontend.rate_per_s = 0.0
            await eventually(lambda: all(live.replicas(name) == (1, 1) for name in found))
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    waits = all_wait([live.ticks[name] for name in stuck])
    shrunk = {name: live.replicas(name) for name in found}
    return Story(found, ticks, shrunk, asked, waits)


def all_wait(stuck: list[list[Tick]]) -> list[tuple[float, float]]:
    """From when to when none of them is between two passes: the first time, the second ..."""
    first_s = min((ticks[0].ended_s for ticks in stuck if ticks), default=inf)
    later = zip(*(ticks[1:] for ticks in stuck), strict=False)
    return [
        (-inf, first_s),
        *((max(t.began_s for t in one), min(t.ended_s for t in one)) for one in later),
    ]


async def played(live: LivePlanners, found: dict[str, Scene]) -> dict[str, list[Tick]]:
    ticks = live.ticks
    await eventually(lambda: all(ticks[name] and knows(ticks[name][-1]) for name in found))
    for scene in found.values():
        await scene.hurt(scene)
        scene.hurt_s = time.monotonic()
    await eventually(lambda: all(scene.is_told(ticks[scene.name]) for scene in found.values()))
    for scene in found.values():
        # Before the cure: a pass that begins meanwhile may meet either.
        scene.healed_s = time.monotonic()
        await scene.heal(scene)
        scene.cured_s = time.monotonic()
    await eventually(lambda: all(scene.well(ticks[scene.name]) for scene in found.values()))
    return {name: list(ticks[name]) for name in found}


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait, but not for ever: what did not come is for the tests to say."""
    until_s = time.monotonic() + LONGEST_S
    while True:
        if holds() or time.monotonic() > until_s:
            return
        await asyncio.sleep(0.2)


def scraped(scene: Scene) -> bool:
    """Whether a window is full."""
    return all(
        at_s[-1:] and at_s[-1] - at_s[0] > WINDOW_S + 2 * SCRAPE_S
        for at_s in (frontend.pages_s for frontend in scene.frontends)
    )


OF_PROMETHEUS = {
    *("down", "http-401", "http-403", "http-500", "http-503"),
    *("html", "cut", "empty", "slow", "ahead", "behind", "answers-nan"),
}
# What a machine that is too busy to scrape, or to answer, brings as well.
BUSY = ("NoSeries", "PrometheusTimeout")
NAMES = [scene.name for scene in scenes()]
UNKNOWN = [scene.name for scene in scenes() if scene.reason is not None]
KNOWN = [scene.name for scene in scenes() if scene.reason is None]


@pytest.mark.parametrize("name", NAMES)
def test_missing_or_strange_data_take_no_replica_away(story: Story, name: str) -> None:
    seen = story.ticks[name]
    assert any(knows(tick) for tick in seen if tick.ended_s < story.scenes[name].hurt_s), seen
    assert {tick.replicas for tick in seen} == {NEEDED}


@pytest.mark.parametrize("name", NAMES)
def test_the_end_of_the_load_does(story: Story, name: str) -> None:
    """Without this the test above would pass with a planner that never shrinks."""
    assert story.shrunk[name] == (1, 1)


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_condition_says_so_at_the_next_pass(story: Story, name: str) -> None:
    scene = story.scenes[name]
    hurt, first = scene.hurt_ticks(story.ticks[name]), scene.told(story.ticks[name])
    assert first is not None, hurt
    if scene.is_of_prometheus:
        assert first is hurt[0], hurt
    # A frontend that dies is seen to be dead when its scrapes stay away.
    sure = [tick for tick in hurt if tick.began_s >= min(scene.shown_s, first.began_s)]
    assert {tick.available for tick in sure} == {"False"}, sure
    assert not any("s3cret" in tick.message for tick in hurt)


@pytest.mark.parametrize("name", UNKNOWN)
def test_it_recovers_with_the_first_clean_window(story: Story, name: str) -> None:
    scene = story.scenes[name]
    clean = [tick for tick in story.ticks[name] if tick.began_s >= scene.clean_s]
    assert scene.well(clean) is not None, clean
    if scene.reason not in BUSY:
        assert scene.reason not in {tick.reason for tick in clean}, clean


@pytest.mark.parametrize("name", KNOWN)
def test_what_looks_strange_but_is_known_stays_known(story: Story, name: str) -> None:
    scene = story.scenes[name]
    assert scene.told(story.ticks[name]) is not None, scene.hurt_ticks(story.ticks[name])


@pytest.mark.parametrize("name", NAMES)
def test_nobody_delays_anybody(story: Story, name: str) -> None:
    """There are far more planners that wait for a Prometheus than the machine has threads."""
    assert story.stuck >= STUCK
    assert any(
        from_s <= tick.began_s and tick.ended_s < until_s
        for tick in story.ticks[name]
        for from_s, until_s in story.stuck_waits
    )
