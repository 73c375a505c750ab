"""What upstream's planner 0.9.1 makes of the curves that we write.

Upstream loads the NPZ and interpolates its rows. Its way is written down here once more, plainly
and from its description: a cubic over the prompt length, clamped to the rows' range, and a
100 x 100 grid of cubics over KV usage and context, holes filled with the nearest row.

The engines are of another family than our fit: reading and computing overlap partly (a p-norm
instead of a sum), and all growth is by powers other than 1. They are measured where the profiler
measures: at three contexts, up to somewhat beyond a target, with 3 % noise. From the points alone
upstream's ITL would be off by 21 % at the 95th percentile and 71 % at worst.

Compared are the cells of upstream's grid. That it looks up the nearest cell, half a percent of the
cache apart, comes on top and is its own. Engines whose steps bend more sharply between two measured
batches than these (computing 8 or 16 times reading at batch 256) are missed by 16 to 18 % at worst:
no curve through ten points knows where they bend.
"""

import io
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.interpolate import griddata, interp1d
from scipy.spatial import Delaunay

from dgdr_api.points import Source
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_api.provenance import Provenance
from dgdr_perf import npz
from dgdr_perf.drawn import drawn_decode, drawn_prefill

Array = NDArray[np.float64]

SEEDS = range(200)
NOISE = 0.03
CELLS = 100
GPUS = 2


@dataclass(frozen=True)
class Engine:
    """An engine whose times are known."""

    step_ms: float
    max_kv_tokens: int
    reading: tuple[float, float]
    computing: tuple[float, float]
    overlap: float
    prompt: tuple[float, float, float]

    @classmethod
    def of(cls, rng: np.random.Generator) -> "Engine":
        return cls(
            step_ms=rng.uniform(4, 25),
            max_kv_tokens=int(np.exp(rng.uniform(np.log(3e4), np.log(1e6)))),
            reading=(rng.uniform(0.3, 3), rng.uniform(0.9, 1.1)),
            computing=(np.exp(rng.uniform(np.log(0.3), np.log(6))), rng.uniform(0.85, 1.1)),
            overlap=rng.uniform(1, 1.5),
            prompt=(rng.uniform(5, 40), rng.uniform(0.01, 0.1), rng.uniform(1.0, 1.15)),
        )

    def itl_ms(self, usage: Array, batch: Array) -> Array:
        read = 1 + self.reading[0] * usage ** self.reading[1]
        computed = self.computing[0] * (batch / 256) ** self.computing[1]
        both: Array = (read**self.overlap + computed**self.overlap) ** (1 / self.overlap)
        return self.step_ms * both

    def ttft_ms(self, isl: Array) -> Array:
        fixed, each, power = self.prompt
        times: Array = fixed + each * isl**power
        return times


@dataclass(frozen=True)
class Measured:
    """Where an engine was measured, and what was found."""

    engine: Engine
    prefill: PrefillData
    decode: DecodeData

    @classmethod
    def of(cls, seed: int) -> "Measured":
        rng = np.random.default_rng(seed)
        engine = Engine.of(rng)
        isl = np.exp(rng.uniform(np.log(256), np.log(min(8000, engine.max_kv_tokens / 12))))
        half = np.exp(rng.uniform(np.log(64), np.log(1000))) / 2
        lengths = np.array([max(64, isl / 8), isl, min(3 * isl, engine.max_kv_tokens / 4)])
        batch, context = cells(engine, lengths + half, rng.uniform(1.5, 4))
        usage = batch * context / engine.max_kv_tokens
        itl_ms = noisy(rng, engine.itl_ms(usage, batch))
        isls = np.unique(np.rint(np.geomspace(lengths[0], lengths[2], 6)))
        ttft_ms = noisy(rng, engine.ttft_ms(isls))
        return cls(
            engine,
            PrefillData(
                isl=tuple(isls),
                ttft_ms=tuple(ttft_ms),
                thpt_per_gpu=tuple(1000 * isls / ttft_ms / GPUS),
                provenance=measured(len(isls)),
            ),
            DecodeData(
                kv_usage=tuple(usage),
                context_length=tuple(context),
                itl_ms=tuple(itl_ms),
                thpt_per_gpu=tuple(1000 * batch / itl_ms / GPUS),
                max_kv_tokens=engine.max_kv_tokens,
                max_num_seqs=256,
                provenance=measured(len(itl_ms)),
            ),
        )


def measured(rows: int) -> Provenance:
    return Provenance(sources=(Source.MEASURED,) * rows)


def noisy(rng: np.random.Generator, values: Array) -> Array:
    return np.asarray(values * np.exp(NOISE * rng.standard_normal(len(values))))


def cells(engine: Engine, contexts: Array, slack: float) -> tuple[Array, Array]:
    """Lay a ladder by fours and an edge at the middle context, and three batches at the others."""
    crossing = crossing_of(engine, contexts[1], slack)
    top = min(held(engine, contexts[1]), 256)
    ladder = {1, round(top / 16), round(top / 4), top, round(0.9 * crossing)}
    found = [(max(1, n), contexts[1]) for n in ladder]
    for context in contexts[[0, 2]]:
        moved = 1.25 * crossing * contexts[1] / context
        most = max(2, min(held(engine, context), 256, int(moved)))
        found += [(n, context) for n in {1, round(most**0.5), most}]
    batch, context = zip(*sorted(set(found)), strict=True)
    return np.array(batch, dtype=float), np.array(context, dtype=float)


def held(engine: Engine, context: float) -> int:
    return int(0.9 * engine.max_kv_tokens / context)


def crossing_of(engine: Engine, context: float, slack: float) -> int:
    batch = np.arange(1.0, max(2, min(held(engine, context), 256)) + 1)
    itl_ms = engine.itl_ms(batch * context / engine.max_kv_tokens, batch)
    return max(1, int((itl_ms <= slack * itl_ms[0]).sum()))


def upstream_prefill(rows: dict[str, Array], isl: Array) -> tuple[Array, Array]:
    clamped = np.clip(isl, min(rows["prefill_isl"]), max(rows["prefill_isl"]))
    ttft_ms, thpt = (
        interp1d(rows["prefill_isl"], rows[name], kind="cubic")(clamped)
        for name in ("prefill_ttft", "prefill_thpt_per_gpu")
    )
    return ttft_ms, thpt


def upstream_decode(rows: dict[str, Array]) -> tuple[Array, Array, Array, Array]:
    """Return KV usage, context, ITL and throughput of all cells."""
    points = (rows["x_kv_usage"], rows["y_context_length"])
    usage, context = np.meshgrid(np.linspace(0, 1, CELLS), np.linspace(0, max(points[1]), CELLS))
    values = np.stack([rows["z_itl"], rows["z_thpt_per_gpu"]], axis=1)
    cubic = griddata(points, values, (usage, context), method="cubic")
    nearest = griddata(points, values, (usage, context), method="nearest")
    filled = np.where(np.isnan(cubic), nearest, cubic)
    return usage, context, filled[..., 0], filled[..., 1]


def loaded(content: bytes) -> dict[str, Array]:
    with np.load(io.BytesIO(content)) as archive:
        return {name: archive[name] for name in archive.files}


def prefill_errors(of: Measured, written: PrefillData) -> Array:
    isl = np.linspace(min(of.prefill.isl), max(of.prefill.isl), 50)
    ttft_ms, thpt = upstream_prefill(loaded(npz.write_prefill(written)), isl)
    true_ms = of.engine.ttft_ms(isl)
    return off(np.append(ttft_ms / true_ms, thpt / (1000 * isl / true_ms / GPUS)))


def decode_errors(of: Measured, written: DecodeData) -> Array:
    """Errors of ITL and throughput in the cells between measured points."""
    usage, context, itl_ms, thpt = upstream_decode(loaded(npz.write_decode(written)))
    inside = between(of.decode, usage, context)
    usage, context, itl_ms, thpt = (a[inside] for a in (usage, context, itl_ms, thpt))
    batch = usage * of.engine.max_kv_tokens / context
    true_ms = of.engine.itl_ms(usage, batch)
    return off(np.append(itl_ms / true_ms, thpt / (1000 * batch / true_ms / GPUS)))


def between(points: DecodeData, usage: Array, context: Array) -> NDArray[np.bool_]:
    scale = np.array([max(points.kv_usage), max(points.context_length)])
    hull = Delaunay(np.column_stack([points.kv_usage, points.context_length]) / scale)
    return np.asarray(hull.find_simplex(np.stack([usage, context], axis=-1) / scale) >= 0)


def off(ratio: Array) -> Array:
    return np.abs(ratio - 1)


@pytest.fixture(scope="module")
def engines() -> list[Measured]:
    return [Measured.of(seed) for seed in SEEDS]


def test_prefill_between_measured_points_is_off_by_little(engines: list[Measured]) -> None:
    off_by = np.concatenate([prefill_errors(e, drawn_prefill(e.prefill, GPUS)) for e in engines])
    assert np.quantile(off_by, 0.95) <= 0.06
    assert off_by.max() <= 0.15


def test_decode_between_measured_points_is_off_by_little(engines: list[Measured]) -> None:
    off_by = np.concatenate([decode_errors(e, drawn_decode(e.decode, GPUS)) for e in engines])
    assert np.quantile(off_by, 0.95) <= 0.06
    assert off_by.max() <= 0.15


def test_the_points_alone_would_mislead_upstream(engines: list[Measured]) -> None:
    off_by = np.concatenate([decode_errors(e, e.decode) for e in engines[:20]])
    assert np.quantile(off_by, 0.95) > 0.2


def test_no_cell_is_left_to_the_nearest_row(engines: list[Measured]) -> None:
    rows = loaded(npz.write_decode(drawn_decode(engines[0].decode, GPUS)))
    points = (rows["x_kv_usage"], rows["y_context_length"])
    grid = np.meshgrid(np.linspace(0, 1, CELLS), np.linspace(0, max(points[1]), CELLS))
    assert not np.isnan(griddata(points, rows["z_itl"], tuple(grid), method="cubic")).any()


def test_a_fuller_cache_never_looks_much_faster(engines: list[Measured]) -> None:
    for engine in engines[:20]:
        _, _, itl_ms, thpt = upstream_decode(
            loaded(npz.write_decode(drawn_decode(engine.decode, GPUS)))
        )
        assert (itl_ms[:, 1:] / itl_ms[:, :-1]).min() > 0.98
        assert thpt.min() > 0
