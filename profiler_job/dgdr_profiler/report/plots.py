"""The two curves as pictures: what was measured, what was fitted through it, and the target."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dgdr_api.points import Point, Source
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_perf.decode_surface import DecodeSurface
from dgdr_perf.prefill_curve import PrefillCurve
from dgdr_profiler.core.curves import context

SIZE_INCHES = (8.0, 4.8)
DPI = 150
SAME_CONTEXT = 1.05
STEPS = 200
# Head-room above the highest mark, for the legend and the target's label.
ROOM = 1.18

INK = "#1f2933"
MUTED = "#7b8794"
TARGET = "#c53030"
# Told apart by people who do not see red or green too (Okabe and Ito).
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Titles:
    """Words on a picture."""

    model: str
    mapping: str
    gpu: str

    def of(self, curve: str) -> str:
        """Return the title of a curve."""
        return f"{curve} · {self.model} · {self.mapping} on {self.gpu}"


def prefill_png(
    data: PrefillData, points: Sequence[Point], titles: Titles, target_ms: float | None
) -> bytes:
    """Draw the idle time to first token over the prompt length."""
    figure, axes = _sheet(titles.of("Prefill"), "prompt length (tokens)", "TTFT (ms)")
    curve = PrefillCurve.of(data)
    isl = np.linspace(min(data.isl), max(data.isl), STEPS)
    fitted = [curve.ttft_ms(value).value_ms for value in isl]
    axes.plot(isl, fitted, color=COLORS[0], linewidth=1.8, alpha=0.75, label="fit")
    _marks(axes, [(float(p.isl), p.ttft_ms or 0.0, p.source) for p in points], COLORS[0], "")
    _target(axes, target_ms, "TTFT target")
    return _png(figure, axes)


def decode_png(
    data: DecodeData, points: Sequence[Point], titles: Titles, target_ms: float | None
) -> bytes:
    """Draw the time between tokens over the batch, one line for each context length."""
    figure, axes = _sheet(titles.of("Decode"), "requests decoded together", "ITL (ms)")
    surface = DecodeSurface.of(data)
    for number, group in enumerate(_by_context(points)):
        color = COLORS[number % len(COLORS)]
        length = sum(context(p) for p in group) / len(group)
        batches = np.linspace(1, max(_batch(p) for p in group), STEPS)
        fitted = [surface.itl_ms(batch, length).value_ms for batch in batches]
        axes.plot(batches, fitted, color=color, linewidth=1.8, alpha=0.75)
        marks = [(_batch(p), p.itl_ms or 0.0, p.source) for p in group]
        _marks(axes, marks, color, f"context {length:,.0f} tokens")
    _target(axes, target_ms, "ITL target")
    return _png(figure, axes)


def _by_context(points: Sequence[Point]) -> list[list[Point]]:
    """Group points of about the same context: prompts of one asked length differ by few tokens."""
    groups: list[list[Point]] = []
    for point in sorted(points, key=context):
        if groups and context(point) <= SAME_CONTEXT * context(groups[-1][0]):
            groups[-1].append(point)
        else:
            groups.append([point])
    return groups


def _batch(point: Point) -> float:
    return point.effective_concurrency or float(point.concurrency)


def _sheet(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", color=INK, fontsize=12, pad=12)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.tick_params(colors=MUTED)
    axes.grid(color="#e4e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(MUTED)
    return figure, axes


def _marks(
    axes: Axes, marks: Sequence[tuple[float, float, Source]], color: str, label: str
) -> None:
    """Draw points; measured ones are filled, estimated ones hollow and named."""
    for source, face, suffix in (
        (Source.MEASURED, color, "measured"),
        (Source.ESTIMATED, "white", "estimated"),
    ):
        chosen = [(x, y) for x, y, of in marks if of is source]
        if chosen:
            named = f"{label}, {suffix}" if label and source is Source.ESTIMATED else label
            axes.scatter(
                [x for x, _ in chosen],
                [y for _, y in chosen],
                s=46,
                facecolor=face,
                edgecolor=color,
                linewidth=1.6,
                zorder=3,
                label=named or suffix,
            )


def _target(axes: Axes, target_ms: float | None, label: str) -> None:
    if target_ms is not None and np.isfinite(target_ms):
        axes.axhline(
            target_ms,
            color=TARGET,
            linestyle="--",
            linewidth=1.4,
            label=f"{label} {target_ms:g} ms",
        )


def _png(figure: Figure, axes: Axes) -> bytes:
    axes.set_xlim(left=0)
    axes.set_ylim(0, axes.get_ylim()[1] * ROOM)
    axes.legend(frameon=False, loc="upper left", ncols=3, fontsize=9, labelcolor=INK)
    buffer = io.BytesIO()
    # Neither date nor version inside: equal data give equal bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
