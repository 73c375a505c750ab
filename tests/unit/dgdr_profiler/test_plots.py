"""What a plot shows, as far as a test can say; how it looks is for eyes."""

from dgdr_api.points import Point, PointKind, Source
from dgdr_profiler.report.plots import _by_context


def decode(isl: int, batch: float) -> Point:
    return Point(
        key=f"{isl}-{batch}",
        candidate="p-tp1",
        kind=PointKind.DECODE,
        isl=isl,
        osl=64,
        concurrency=round(batch),
        effective_concurrency=batch,
        itl_ms=10.0 + batch,
        requests=8,
        completed=8,
        gpus=1,
        source=Source.MEASURED,
        started_at="2026-01-01T00:00:00Z",
        wall_s=1.0,
    )


def test_prompts_that_differ_by_a_few_tokens_share_a_line() -> None:
    points = [decode(2049, 1), decode(255, 6), decode(2048, 16), decode(257, 1)]
    assert [[p.isl for p in group] for group in _by_context(points)] == [[255, 257], [2048, 2049]]
