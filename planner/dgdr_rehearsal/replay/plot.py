"""One picture of rehearsals: replicas over time, and what each controller attained and cost."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dgdr_rehearsal.replay.baselines import GOAL
from dgdr_rehearsal.replay.rehearsal import Rehearsed

WINDOW_S = 60.0
# Times the middle one of the controllers' highest replicas that the picture is high.
CLIPPED = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One workload: its arrivals (shape (requests,)), and the runs to compare."""

    title: str
    arrival_s: np.ndarray
    runs: Sequence[Rehearsed]


def plot_png(panels: Sequence[Panel]) -> bytes:
    """Draw a column per panel: load, replicas of each controller, attainment against GPU-hours."""
    figure = Figure(figsize=(6.2 * len(panels), 11.0), layout="constrained")
    grid: Any = figure.subplots(3, len(panels), squeeze=False, height_ratios=(1, 2, 2))
    for column, panel in enumerate(panels):
        _draw_load(grid[0][column], panel)
        _draw_replicas(grid[1][column], panel)
        _draw_outcome(grid[2][column], panel)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _draw_load(axes: Axes, panel: Panel) -> None:
    counts = np.bincount((panel.arrival_s // WINDOW_S).astype(int))
    minutes = np.arange(len(counts) + 1) * WINDOW_S / 60.0
    rate_per_s = np.append(counts, counts[-1]) / WINDOW_S
    axes.fill_between(minutes, rate_per_s, step="post", color="0.8")
    axes.set(title=panel.title, ylabel="requests/s", ylim=(0, None))


def _draw_replicas(axes: Axes, panel: Panel) -> None:
    times_s = np.arange(0.0, float(panel.arrival_s.max()), 5.0)
    highest = []
    for run in panel.runs:
        total = sum(line.at(times_s) for line in run.timelines.values())
        highest.append(float(np.max(total)))
        width = 2.4 if run.controller == "ours" else 1.2
        axes.step(times_s / 60.0, total, where="post", linewidth=width)
    # A controller that runs away must not press all the others flat.
    top = min(max(highest), CLIPPED * float(np.median(highest)))
    axes.set(xlabel="minutes", ylabel="replicas held, all roles", ylim=(0, 1.05 * top))


def _draw_outcome(axes: Axes, panel: Panel) -> None:
    for run in panel.runs:
        told = f"{run.controller}: {100 * run.attained:.1f} %, {run.gpu_hours:.2f} GPU-h"
        marker = "*" if run.controller == "ours" else "o"
        axes.scatter(run.gpu_hours, 100 * run.attained, s=70, marker=marker, label=told)
    axes.axhline(100 * GOAL, color="0.6", linestyle=":", linewidth=1)
    axes.set(xlabel="GPU-hours", ylabel="requests within both targets, %", ylim=(-3, 103))
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)
