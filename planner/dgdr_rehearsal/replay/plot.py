"""One picture of rehearsals: replicas by role, and what each controller attained and cost."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dgdr_api.graph import Role
from dgdr_rehearsal.replay.rehearsal import Rehearsed

WINDOW_S = 60.0
# Times the middle one of the controllers' highest replicas that the picture is high.
CLIPPED = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One workload: its arrivals (shape (requests,)), the share to attain, the runs to compare."""

    title: str
    arrival_s: np.ndarray
    goal: float
    runs: Sequence[Rehearsed]

    @property
    def roles(self) -> tuple[Role, ...]:
        """Roles that have replicas."""
        return tuple(self.runs[0].timelines)


def plot_png(panels: Sequence[Panel]) -> bytes:
    """Draw a column per panel: load, each role's replicas, attainment against GPU-hours."""
    roles = max(len(panel.roles) for panel in panels)
    heights = (1.0, *(1.4 for _ in range(roles)), 2.0)
    figure = Figure(figsize=(7.0 * len(panels), 2.2 * sum(heights)), layout="constrained")
    grid: Any = figure.subplots(len(heights), len(panels), squeeze=False, height_ratios=heights)
    for column, panel in enumerate(panels):
        _draw_load(grid[0][column], panel)
        for row, role in enumerate(panel.roles, 1):
            _draw_replicas(grid[row][column], panel, role)
        for row in range(1, 1 + len(panel.roles)):
            grid[row][column].sharex(grid[0][column])
        grid[len(panel.roles)][column].set_xlabel("minutes from the begin")
        _draw_outcome(grid[-1][column], panel)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _draw_load(axes: Axes, panel: Panel) -> None:
    counts = np.bincount((panel.arrival_s // WINDOW_S).astype(int))
    minutes = np.arange(len(counts) + 1) * WINDOW_S / 60.0
    rate_per_s = np.append(counts, counts[-1]) / WINDOW_S
    axes.fill_between(minutes, rate_per_s, step="post", color="0.8")
    axes.set(title=panel.title, ylabel="requests/s", ylim=(0, None))


def _draw_replicas(axes: Axes, panel: Panel, role: Role) -> None:
    times_s = np.arange(0.0, float(panel.arrival_s.max()), 5.0)
    highest = []
    for run in panel.runs:
        held = run.timelines[role].at(times_s)
        highest.append(float(np.max(held)))
        width = 2.4 if run.controller == "ours" else 1.2
        axes.step(times_s / 60.0, held, where="post", linewidth=width, label=run.controller)
    # A controller that runs away must not press all the others flat.
    top = min(max(highest), CLIPPED * float(np.median(highest)))
    axes.set(ylabel=f"{role} replicas held", ylim=(0, 1.05 * max(top, 1.0)))
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)


def _draw_outcome(axes: Axes, panel: Panel) -> None:
    for run in panel.runs:
        told = f"{run.controller}: {100 * run.of_all.attained:.1f} %, {run.gpu_hours:.2f} GPU-h"
        marker = "*" if run.controller == "ours" else "o"
        axes.scatter(run.gpu_hours, 100 * run.of_all.attained, s=70, marker=marker, label=told)
    goal = 100 * panel.goal
    axes.axhline(goal, color="0.6", linestyle=":", linewidth=1, label=f"goal: {goal:g} %")
    axes.set(xlabel="GPU-hours", ylabel="requests in time, %", ylim=(-3, 103))
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
