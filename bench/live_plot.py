"""The picture of ``bench.live_planner``: load, replicas, and requests within both targets."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

WINDOW_S = 15.0


def plot_png(runs: Sequence[Any], found: Sequence[dict[str, Any]], sla: dict[str, Any]) -> bytes:
    """Draw one line per controller over the minutes since its first request."""
    figure = Figure(figsize=(9.0, 9.5), layout="constrained")
    load, replicas, attained = figure.subplots(3, 1, sharex=True, height_ratios=(1, 2, 2))
    for run, told in zip(runs, found, strict=True):
        begin_s = run.requests[0][1]
        sent_s = np.array([one[1] for one in run.requests]) - begin_s
        edges = np.arange(0.0, sent_s.max() + WINDOW_S, WINDOW_S)
        counts, _ = np.histogram(sent_s, edges)
        load.step(edges[:-1] / 60, counts / WINDOW_S, where="post", linewidth=1)
        times = np.array([look.at_s - begin_s for look in run.looks]) / 60
        inside = (times >= 0) & (times <= sent_s.max() / 60)
        style = {"linewidth": 2.4 if run.controller == "planner" else 1.2}
        (line,) = replicas.step(
            times[inside],
            [look.held_gpus for look, here in zip(run.looks, inside, strict=True) if here],
            where="post",
            label=f"{run.controller}: {told['gpu_hours']:.2f} GPU-h",
            **style,
        )
        good = np.array([_within(one, sla) for one in run.requests], dtype=float)
        kept, _ = np.histogram(sent_s, edges, weights=good)
        share = np.where(counts > 0, 100 * kept / np.maximum(counts, 1), np.nan)
        label = f"{run.controller}: {100 * told['attained']:.1f} %"
        attained.plot(
            (edges[:-1] + WINDOW_S / 2) / 60, share, color=line.get_color(), label=label, **style
        )
    load.set(ylabel="requests/s", ylim=(0, None), title="Mocked engines on a real cluster")
    replicas.set(ylabel="GPUs held", ylim=(0, None))
    attained.set(xlabel="minutes", ylabel="requests within both targets, %", ylim=(-3, 103))
    for axes in (replicas, attained):
        axes.legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _within(one: Any, sla: dict[str, Any]) -> bool:
    ttft_ms, itl_ms = one[2], one[3]
    if ttft_ms is None or itl_ms is None:
        return False
    return bool(ttft_ms <= sla["ttftMs"] and itl_ms <= sla["itlMs"])
