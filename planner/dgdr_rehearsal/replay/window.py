"""The last interval as a frontend's metrics would show it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dgdr_api.graph import Role
from dgdr_perf.simulator.arrivals import Array
from dgdr_perf.simulator.fleet import Counts
from dgdr_perf.simulator.tick import Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSeen:
    """What a controller may know. Means are NaN where no request tells them.

    Requests are noted when a frontend would: ISL and TTFT at the first token, OSL, ITL and
    duration at the last. ``prompts``, ``answers``, ``ttft_ms`` and ``itl_ms`` have one entry per
    request, ``gaps`` says how many gaps between tokens each entry of ``itl_ms`` stands for.
    """

    t_s: float
    window_s: float
    started: int
    completed: int
    in_flight: int
    isl: float
    osl: float
    duration_s: float
    prompts: Array
    answers: Array
    ttft_ms: Array
    itl_ms: Array
    gaps: Array
    roles: Mapping[Role, Counts]

    @property
    def rate_per_s(self) -> float:
        """Requests that were started, per second."""
        return self.started / self.window_s


def window_seen(tick: Tick) -> WindowSeen:
    """Aggregate what the simulator logged."""
    records = tick.records
    arrived = records.of("arrival_s", tick.first_tokens)
    isl = records.of("isl", tick.first_tokens)
    begun = records.of("first_token_s", tick.completed)
    ended = records.of("finish_s", tick.completed)
    osl = records.of("osl", tick.completed)
    several = osl > 1.0
    gaps = osl[several] - 1.0
    return WindowSeen(
        t_s=tick.t_s,
        window_s=tick.window_s,
        started=len(tick.started),
        completed=len(tick.completed),
        in_flight=tick.in_flight,
        isl=_mean(isl),
        osl=_mean(osl),
        duration_s=_mean(ended - records.of("arrival_s", tick.completed)),
        prompts=isl,
        answers=osl,
        ttft_ms=1000.0 * (records.of("first_token_s", tick.first_tokens) - arrived),
        itl_ms=1000.0 * (ended - begun)[several] / gaps,
        gaps=gaps,
        roles=tick.roles,
    )


def joined(parts: Sequence[WindowSeen]) -> WindowSeen:
    """Return windows that follow each other as the one that they make; replicas as in the last."""
    prompts = np.concatenate([part.prompts for part in parts])
    answers = np.concatenate([part.answers for part in parts])
    done = [part for part in parts if part.completed]
    lasted_s = sum(part.duration_s * part.completed for part in done)
    completed = sum(part.completed for part in done)
    return replace(
        parts[-1],
        window_s=sum(part.window_s for part in parts),
        started=sum(part.started for part in parts),
        completed=completed,
        isl=_mean(prompts),
        osl=_mean(answers),
        duration_s=lasted_s / completed if completed else math.nan,
        prompts=prompts,
        answers=answers,
        ttft_ms=np.concatenate([part.ttft_ms for part in parts]),
        itl_ms=np.concatenate([part.itl_ms for part in parts]),
        gaps=np.concatenate([part.gaps for part in parts]),
    )


def _mean(values: Array) -> float:
    return float(values.mean()) if values.size else math.nan
