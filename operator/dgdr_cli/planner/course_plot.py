"""The course of a planner as one SVG: load, replicas by role, attainment, over one time axis."""

import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dgdr_cli.planner.course import Array, Course

# Told apart by people who see no red or no green, too.
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#9aa0a6"
# matplotlib counts days.
DAY_S = 86_400.0


def course_svg(seen: Course, objective: float, decided: Sequence[datetime], shadow: bool) -> str:
    """Draw it; ``decided`` are the moments of decisions."""
    # Text stays text: it can be searched, and the file is small. The salt makes equal plots equal.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "dgdr", "font.size": 9}):
        figure = course_figure(seen, objective, decided, shadow)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def course_figure(
    seen: Course, objective: float, decided: Sequence[datetime], shadow: bool
) -> Figure:
    """Return the figure: a panel for the load, one for each role, one for attainment."""
    roles = sorted({role for role, _ in seen.replicas}, key=("prefill", "decode", "worker").index)
    heights = [1.4, *(1.2 for _ in roles), 1.0]
    figure = Figure(figsize=(10.0, 1.9 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    days = seen.at_s / DAY_S
    _draw_load(panels[0], days, seen)
    for role, axes in zip(roles, panels[1:], strict=False):
        _draw_replicas(axes, days, seen, role, shadow)
    _draw_within(panels[-1], days, seen, objective)
    for axes in panels:
        _finish(axes, days, decided)
    locator = AutoDateLocator(tz=UTC)  # type: ignore[no-untyped-call]
    panels[-1].xaxis.set_major_locator(locator)
    dates = ConciseDateFormatter(locator, tz=UTC)  # type: ignore[no-untyped-call]
    panels[-1].xaxis.set_major_formatter(dates)
    panels[-1].set_xlabel("UTC")
    return figure


def _draw_load(axes: Axes, days: Array, seen: Course) -> None:
    if "observed" in seen.load:
        axes.fill_between(days, seen.load["observed"], color=GREY, alpha=0.5, lw=0, label="seen")
    for of, color, style in (("expected", GREEN, "-"), ("planned", BLUE, "-")):
        if of in seen.load:
            axes.plot(days, seen.load[of], color=color, linestyle=style, lw=1.2, label=of)
    axes.set_ylabel("requests/s")


def _draw_replicas(axes: Axes, days: Array, seen: Course, role: str, shadow: bool) -> None:
    ready = seen.replicas.get((role, "ready"))
    if ready is not None:
        axes.fill_between(days, ready, step="post", color=GREY, alpha=0.5, lw=0, label="ready")
    lines = [("needed", ORANGE, "--"), ("wanted", BLUE, "-")]
    if shadow:
        lines.append(("chosen", GREEN, "-"))
    for state, color, style in lines:
        values = seen.replicas.get((role, state))
        if values is not None:
            axes.step(days, values, where="post", color=color, ls=style, lw=1.3, label=state)
    axes.set_ylabel(f"{role} replicas")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_within(axes: Axes, days: Array, seen: Course, objective: float) -> None:
    for target, color in (("ttft", BLUE), ("itl", ORANGE)):
        if target in seen.within:
            axes.plot(days, 100 * seen.within[target], color=color, lw=1.2, label=target.upper())
    axes.axhline(100 * objective, color="black", ls=":", lw=1, label=f"{100 * objective:g} %")
    axes.set_ylabel("in time, %")
    axes.set_ylim(_floor(seen.within.values(), objective), 100.5)


def _floor(shares: Iterable[Array], objective: float) -> float:
    """Return the lower end of the axis: the worst, and no higher than somewhat below the goal."""
    lowest = [float(np.nanmin(one)) for one in shares if np.isfinite(one).any()]
    return max(100 * min([*lowest, objective]) - 5, 0)


def _finish(axes: Axes, days: Array, decided: Sequence[datetime]) -> None:
    first, last = float(days[0]), float(days[-1])
    for moment in decided:
        day = moment.timestamp() / DAY_S
        if first <= day <= last:
            axes.axvline(day, color="black", alpha=0.25, lw=0.8)
    axes.set_xlim(first, last)
    if axes.get_ylabel() != "in time, %":
        axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)
