"""Runs: of a point, and of all points of a class, or of a sample of them."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from support.virtual_time import run_virtually

from .calls import Call, Fault, NoFault
from .classes import CLASSES
from .oracle import Ending, Violation, judge
from .plants import Plant, planted
from .points import Beside, Deed, Point
from .scenarios import ALL as SCENARIOS
from .scenarios import Scenario
from .world import Stuck, world


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """How a scenario ends by itself, and what it has asked of the server."""

    ending: Ending
    calls: tuple[Call, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a point."""

    point: Point
    violations: tuple[Violation, ...]
    seconds: float


def live(scenario: Scenario, fault: Fault, seed: int, deed: Deed | None = None) -> Undisturbed:
    """Run a scenario, disturbed or not."""
    return run_virtually(_live(scenario, fault, seed, deed), seed=seed)


async def _live(scenario: Scenario, fault: Fault, seed: int, deed: Deed | None) -> Undisturbed:
    async with world(scenario.config, fault, seed) as made:
        if isinstance(fault, Beside):
            fault.world = made
        beside = asyncio.create_task(deed(made)) if deed is not None else None
        stuck = ""
        try:
            await scenario.story(made)
        except Stuck as exc:
            stuck = str(exc)
        if beside is not None:
            if beside.done():
                beside.result()
            beside.cancel()
        return Undisturbed(Ending.of(made, stuck), tuple(made.line.calls))


@cache
def undisturbed(scenario: Scenario, seed: int) -> Undisturbed:
    """Run a scenario by itself, once; it has to be faultless."""
    found = live(scenario, NoFault(), seed)
    assert not found.ending.stuck, f"{scenario.name}: {found.ending.stuck}"
    return found


def run(point: Point, seed: int) -> Outcome:
    """Run one point, and judge it."""
    began = time.perf_counter()
    still = undisturbed(point.scenario, seed)
    scenario = point.scenario if point.story is None else replace(point.scenario, story=point.story)
    found = live(scenario, point.fault(), seed, point.deed)
    violations = judge(found.ending, still.ending, point.allowed)
    if point.expected is not None:
        violations += tuple(point.expected(found.ending))
    return Outcome(point, violations, time.perf_counter() - began)


def sample(points: Sequence[Point], most: int | None, seed: int) -> list[Point]:
    """Return so many of the points, chosen by the seed, in their order."""
    if most is None or len(points) <= most:
        return [*points]
    chosen = random.Random(seed).sample(range(len(points)), most)
    return [points[i] for i in sorted(chosen)]


@dataclass(frozen=True, slots=True)
class Hunt:
    """How a planted bug was found: after how many runs, where, and by what; None: it was not."""

    plant: Plant
    runs: int
    where: str
    found: Violation | None
    seconds: float


def hunt(plant: Plant, most: int, seed: int, *, short: bool = False) -> Hunt:
    """Look for a bug: in its scenarios as they are, then at points of its class, by chance.

    A ``short`` one looks at those points only that are near it.
    """
    began, runs = time.perf_counter(), 0
    points = [_undisturbed(scenario) for scenario in SCENARIOS if scenario.name in plant.scenarios]
    for scenario in [point.scenario for point in points]:
        listed = CLASSES[plant.class_](scenario, undisturbed(scenario, seed).calls)
        listed = [one for one in listed if not short or plant.near in one.what]
        points += random.Random(seed).sample(listed, min(most, len(listed)))
    with planted(plant):
        for point in points:
            runs += 1
            violations = run(point, seed).violations
            if violations:
                return Hunt(plant, runs, str(point), violations[0], time.perf_counter() - began)
    return Hunt(plant, runs, "", None, time.perf_counter() - began)


def _undisturbed(scenario: Scenario) -> Point:
    return Point(class_="-", scenario=scenario, what="undisturbed")
