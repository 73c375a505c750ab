"""Rehearsals as a table and as JSON."""

from collections.abc import Sequence
from typing import Any

from dgdr_rehearsal.replay.rehearsal import Rehearsed

HEADINGS = (
    "workload", "start-up", "controller", "attained", "TTFT", "ITL", "GPU-h", "x oracle",
    "static GPU-h", "actions", "most", "failed", "hopeless",
)  # fmt: skip


def rows(
    workload: str,
    runs: Sequence[Rehearsed],
    oracle: Rehearsed,
    static_hours: dict[str, float | None],
) -> list[dict[str, Any]]:
    """Return one JSON object per run, against the oracle and the cheapest equal static setting."""
    return [
        {
            "workload": workload,
            "start_up_s": run.start_up_s,
            "controller": run.controller,
            "attained": round(run.attained, 4),
            "ttft_attained": round(run.ttft_attained, 4),
            "itl_attained": round(run.itl_attained, 4),
            "gpu_hours": round(run.gpu_hours, 3),
            "of_oracle_gpu_hours": round(run.gpu_hours / oracle.gpu_hours, 3),
            "equal_static_gpu_hours": static_hours.get(run.controller),
            "actions": run.actions,
            "most": {role.value: number for role, number in run.most.items()},
            "failed": run.failed,
            "hopeless": run.hopeless,
            "requests": run.requests,
        }
        for run in runs
    ]


def table(found: Sequence[dict[str, Any]]) -> str:
    """Return aligned lines, one per row."""
    lines = [HEADINGS, *(_cells(row) for row in found)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in (0, 2) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    static = row["equal_static_gpu_hours"]
    return (
        row["workload"],
        f"{row['start_up_s']:.0f} s",
        row["controller"],
        f"{100 * row['attained']:.1f} %",
        f"{100 * row['ttft_attained']:.1f} %",
        f"{100 * row['itl_attained']:.1f} %",
        f"{row['gpu_hours']:.2f}",
        f"{row['of_oracle_gpu_hours']:.2f}",
        "-" if static is None else f"{static:.2f}",
        str(row["actions"]),
        "+".join(f"{number}{role[0].upper()}" for role, number in row["most"].items()),
        str(row["failed"]),
        str(row["hopeless"]),
    )
