"""One trace, one world, one controller: what it attained and what it cost."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from dgdr_api.graph import Role
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.simulator.arrivals import Array, Requests
from dgdr_perf.simulator.engine import Engine
from dgdr_perf.simulator.options import Options
from dgdr_perf.simulator.outcome import Settled, Tally, Timeline
from dgdr_perf.sizing import Targets
from dgdr_rehearsal.replay.controllers import Controller, Replicas, Static
from dgdr_rehearsal.replay.window import window_seen


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What all controllers find: requests, engines, targets, and the replicas at the begin.

    ``engine`` is how engines are, ``profile`` what is known of them; they need not agree.
    """

    requests: Requests
    engine: Engine
    profile: EngineProfile
    targets: Targets
    gpus: Mapping[Role, int]
    initial: Replicas
    options: Options
    seed: int = 0

    @property
    def duration_s(self) -> float:
        """What is billed and controlled: until the last arrival where nobody says otherwise."""
        return self.options.duration_s or float(self.requests.arrival_s[-1])

    def starting_in(self, start_up_s: float) -> "World":
        """Return the same world with another start-up time."""
        return replace(self, options=replace(self.options, start_up_s=start_up_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class OfAll:
    """Shares of all requests that met both targets, or one."""

    attained: float
    ttft: float
    itl: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """Attainment is a share of the requests that are not hopeless, or, as ``of_all``, of all.

    ``hopeless`` requests would miss a target even alone. ``late`` counts, by the world's interval
    in which they arrived, the others that missed a target.
    """

    controller: str
    start_up_s: float
    requests: int
    hopeless: int
    failed: int
    attained: float
    ttft_attained: float
    itl_attained: float
    of_all: OfAll
    gpu_hours: float
    actions: int
    most: Replicas
    timelines: Mapping[Role, Timeline]
    late: Array


@dataclass(frozen=True, slots=True)
class _Late:
    """Counts requests that missed a target, though they need not have, by interval."""

    targets: Targets
    interval_s: float
    counts: Array

    def __call__(self, settled: Settled) -> None:
        """Count some more; those that arrive after the end belong to the last interval."""
        limits = self.targets.ttft_ms, self.targets.itl_ms
        late = ~settled.within(*limits) & ~settled.hopeless(*limits)
        place = (settled.requests.arrival_s[late] / self.interval_s).astype(np.int64)
        np.add.at(self.counts, np.minimum(place, self.counts.size - 1), 1.0)


def rehearse(
    world: World, name: str, controller: Controller, interval_s: float | None = None
) -> Rehearsed:
    """Run the world's requests under a controller, which may have an interval of its own."""
    # Numba takes a second to import, and what only reads worlds never simulates.
    from dgdr_perf.simulator.run import simulate_chunks

    options = replace(world.options, duration_s=world.duration_s)
    if interval_s is not None:
        options = replace(options, interval_s=interval_s)
    tally = Tally(ttft_ms=world.targets.ttft_ms, itl_ms=world.targets.itl_ms)
    every_s = world.options.interval_s
    late = _Late(world.targets, every_s, np.zeros(math.ceil(world.duration_s / every_s - 1e-9)))

    def settled(found: Settled) -> None:
        tally(found)
        late(found)

    course = simulate_chunks(
        world.engine,
        world.requests.chunks(),
        world.initial,
        settled,
        rng=np.random.default_rng(world.seed),
        plan=None if isinstance(controller, Static) else lambda t: controller(window_seen(t)),
        options=options,
    )
    return Rehearsed(
        controller=name,
        start_up_s=options.start_up_s,
        requests=len(world.requests),
        hopeless=tally.requests - tally.possible,
        failed=tally.failed,
        attained=tally.share(tally.within),
        ttft_attained=tally.share(tally.ttft_within),
        itl_attained=tally.share(tally.itl_within),
        of_all=_of_all(tally),
        gpu_hours=course.gpu_hours(world.gpus),
        actions=len(course.actions),
        most={role: int(course.timelines[role].ready.max()) for role in world.gpus},
        timelines=course.timelines,
        late=late.counts,
    )


def _of_all(tally: Tally) -> OfAll:
    every = max(tally.requests, 1)
    return OfAll(
        attained=tally.within / every,
        ttft=tally.ttft_of_all / every,
        itl=tally.itl_of_all / every,
    )
