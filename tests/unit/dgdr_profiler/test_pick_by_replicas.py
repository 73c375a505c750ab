"""Picks under a named load, beside a search over everything that could be picked."""

from datetime import UTC, datetime

import numpy as np
import pytest

from dgdr_api.points import Point, PointKind, Source
from dgdr_perf import sizing
from dgdr_perf.engine_profile import EngineProfile
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.engine_curves import EngineCurves
from dgdr_profiler.core.options import (
    Offer,
    aggregated_options,
    decode_options,
    prefill_options,
)
from dgdr_profiler.core.pick import pick
from dgdr_profiler.core.targets import Targets, Workload
from support.profiling import pair

GPUS = (1, 2, 4, 8)
BATCHES = (1, 4, 16, 64)


class World:
    """Candidates whose speed-up over one GPU is anything between bad and better than linear."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.isl, self.osl = int(rng.integers(100, 8000)), int(rng.integers(20, 1500))
        self.fixed_ms, self.prompt_ms = rng.uniform(5, 40), self.isl * rng.uniform(0.01, 0.1)
        self.step_ms = rng.uniform(5, 40)
        self.grows = rng.uniform(0.5, 3), rng.uniform(0.7, 1.2)
        self.speed = {gpus: gpus ** rng.uniform(0.4, 1.1) for gpus in GPUS}
        self.targets = Targets(
            osl=self.osl,
            ttft_ms=self.ttft_ms(1) * float(np.exp(rng.uniform(-2.5, 1.5))),
            itl_ms=self.itl_ms(1, 1) * float(np.exp(rng.uniform(-2, 1))),
        )
        self.workload = Workload(
            isl=self.isl, osl=self.osl, request_rate_per_s=float(np.exp(rng.uniform(-3, 5)))
        )
        self.candidates = [pair(gpus) for gpus in GPUS]

    def ttft_ms(self, gpus: int) -> float:
        return float(self.fixed_ms + self.prompt_ms / self.speed[gpus])

    def itl_ms(self, gpus: int, batch: int) -> float:
        grown = 1 + self.grows[0] * (batch / 64) ** self.grows[1]
        return float(self.step_ms * grown / self.speed[gpus])

    def points(self, candidate: Candidate) -> tuple[list[Point], list[Point]]:
        gpus = candidate.shape.largest.gpus
        prefill = self._point(gpus, PointKind.PREFILL, 1, {"ttft_ms": self.ttft_ms(gpus)})
        decode = [self._decode(gpus, batch) for batch in BATCHES]
        return [prefill], decode

    def _decode(self, gpus: int, batch: int) -> Point:
        itl_ms = self.itl_ms(gpus, batch)
        figures = {"itl_ms": itl_ms, "output_tokens_per_s": 1000 * batch / itl_ms}
        return self._point(gpus, PointKind.DECODE, batch, figures)

    def _point(self, gpus: int, kind: PointKind, batch: int, figures: dict[str, float]) -> Point:
        return Point(
            key=f"{kind}-{gpus}-{batch}",
            candidate=f"p-tp{gpus}",
            kind=kind,
            isl=self.isl,
            osl=self.osl,
            concurrency=batch,
            requests=1,
            completed=1,
            gpus=gpus,
            max_kv_tokens=200 * (self.isl + self.osl) * gpus,
            max_batch=256,
            source=Source.MEASURED,
            started_at=datetime(2026, 1, 1, tzinfo=UTC),
            wall_s=1,
            ttft_ms=figures.get("ttft_ms"),
            itl_ms=figures.get("itl_ms"),
            output_tokens_per_s=figures.get("output_tokens_per_s"),
        )

    def offer(self) -> Offer:
        measured = [(c, *self.points(c)) for c in self.candidates]
        return Offer(
            prefill=[o for c, p, _ in measured for o in prefill_options(c, p)],
            decode=[o for c, _, d in measured for o in decode_options(c, d)],
            aggregated=[o for c, p, d in measured for o in aggregated_options(c, p, d)],
        )

    def fewest_gpus(self) -> int | None:
        """Try every pair and every aggregated engine; None when none holds the targets."""
        load = sizing.Workload(
            rate_per_s=self.workload.request_rate_per_s or 0, isl=self.isl, osl=self.osl
        )
        asked = sizing.Targets(ttft_ms=self.targets.ttft_ms or 0, itl_ms=self.targets.itl_ms or 0)
        found: list[int] = []
        for p in self.candidates:
            for d in self.candidates:
                engine = self._profile(p, d)
                prefill = sizing.size_prefill(engine, load, asked)
                decode = sizing.size_decode(engine, load, asked)
                if prefill.reachable and decode.reachable:
                    found.append(
                        prefill.replicas * p.prefill_gpus + decode.replicas * d.decode_gpus
                    )
            whole = sizing.size_aggregated(self._profile(p, p), load, asked)
            if whole.reachable:
                found.append(whole.replicas * p.prefill_gpus)
        return min(found, default=None)

    def _profile(self, prefill: Candidate, decode: Candidate) -> EngineProfile:
        return EngineCurves.of(self.points(prefill)[0], self.points(decode)[1]).profile()


@pytest.mark.parametrize("seed", range(200))
def test_no_other_choice_holds_the_targets_on_fewer_gpus(seed: int) -> None:
    world = World(seed)
    chosen = pick(world.offer(), world.workload, world.targets)
    assert chosen is not None
    fewest = world.fewest_gpus()
    assert chosen.sla_reachable == (fewest is not None)
    if fewest is not None:
        curves = world.offer().curves(chosen)
        need = chosen.need(curves, world.workload, world.targets)
        assert need is not None
        assert need.gpus == fewest


def test_the_worlds_tried_are_won_by_unlike_pairs_by_aggregated_engines_and_by_none() -> None:
    found = [pick(w.offer(), w.workload, w.targets) for w in map(World, range(60))]
    chosen = [one for one in found if one is not None]
    unlike = [one for one in chosen if one.prefill.candidate != one.decode.candidate]
    assert len(unlike) >= 5
    assert sum(one.aggregated for one in chosen) >= 5
    assert sum(not one.sla_reachable for one in chosen) >= 5
