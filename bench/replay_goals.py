"""How near a planner comes to hindsight: for each start-up and begin, at p95 and at p99.

``short_points``: by how much it attains less than it could: of the share that its targets speak
of, or of what plenty attains where that is less. ``of_hindsight``: its GPU-hours over those of the
hindsight least that attains as much as it did; ``of_hindsight_goal``: over those of the hindsight
least that attains what it could. None: no schedule that was tried attains it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from bench.hindsight import BOOSTS, Courses, Hindsight, plenty
from dgdr_perf.sizing import Percentile
from dgdr_rehearsal.replay.baselines import begun
from dgdr_rehearsal.replay.rehearsal import Rehearsed, World

WARM, COLD = "warm", "1+1"
BEGINS = (WARM, COLD)
PERCENTILES = (Percentile.P95, Percentile.P99)
HEADINGS = (
    "workload", "goal", "start-up", "begin", "ours", "GPU-h", "plenty", "short", "hindsight same",
    "x", "hindsight goal", "x",
)  # fmt: skip


def goal_rows(
    workload: str,
    world: World,
    start_ups_s: Sequence[float],
    begins: Sequence[str],
    most: int,
    ours: Callable[[World], Rehearsed],
) -> Iterator[dict[str, Any]]:
    """Return one JSON object for each start-up and begin; the world says its percentile."""
    courses = Courses.of(world)
    for start_up_s in start_ups_s:
        for begin in begins:
            here = world.starting_in(start_up_s)
            here = begun(here) if begin == WARM else replace(here, initial=dict(world.gpus))
            boosts = BOOSTS if begin == COLD else (0,)
            hindsight = Hindsight(world=here, courses=courses, boosts=boosts)
            yield {
                "workload": workload,
                "start_up_s": start_up_s,
                "begin": begin,
                **_row(here, hindsight, ours(here), plenty(here, most)),
            }


def _row(world: World, hindsight: Hindsight, own: Rehearsed, most: Rehearsed) -> dict[str, Any]:
    percentile = world.targets.percentile
    goal = percentile.share or 0.0
    reachable = min(goal, most.attained)
    same, best = hindsight.least(own.attained), hindsight.least(reachable)
    return {
        "percentile": percentile.value,
        "requests": own.requests,
        "hopeless": own.hopeless,
        "attained": round(own.attained, 4),
        "ttft_attained": round(own.ttft_attained, 4),
        "itl_attained": round(own.itl_attained, 4),
        "gpu_hours": round(own.gpu_hours, 3),
        "plenty_attained": round(most.attained, 4),
        "short_points": round(100.0 * max(reachable - own.attained, 0.0), 2),
        "hindsight_gpu_hours": _hours(same),
        "of_hindsight": _ratio(own, same),
        "hindsight_goal_gpu_hours": _hours(best),
        "hindsight_goal_attained": None if best is None else round(best.attained, 4),
        "of_hindsight_goal": _ratio(own, best),
    }


def _hours(run: Rehearsed | None) -> float | None:
    return None if run is None else round(run.gpu_hours, 3)


def _ratio(own: Rehearsed, run: Rehearsed | None) -> float | None:
    return None if run is None else round(own.gpu_hours / run.gpu_hours, 3)


def goal_cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return one line of the table."""

    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}"

    return (
        row["workload"],
        row["percentile"],
        f"{row['start_up_s']:.0f} s",
        row["begin"],
        f"{100 * row['attained']:.1f} %",
        shown(row["gpu_hours"]),
        f"{100 * row['plenty_attained']:.1f} %",
        f"{row['short_points']:.1f}",
        shown(row["hindsight_gpu_hours"]),
        shown(row["of_hindsight"]),
        shown(row["hindsight_goal_gpu_hours"]),
        shown(row["of_hindsight_goal"]),
    )
