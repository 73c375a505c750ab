"""Rehearsals as a table and as JSON."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dgdr_cli.planner.rehearsals import Against, Rehearsal
from dgdr_cli.render import aligned
from dgdr_rehearsal.replay.rehearsal import Rehearsed
from dgdr_rehearsal.replay.why import Why, why

OURS = "ours"
# Points that are worth a word.
SHOWN = 0.05


def rehearsal_screen(
    what: Rehearsal, runs: Sequence[Rehearsed], with_why: bool = False
) -> RenderableType:
    """Draw one row for each controller and start-up time, and a line of causes for each of ours."""
    rows = aligned(
        ("START", ">"),
        ("CONTROLLER", "<"),
        ("ATTAINED", ">"),
        ("TTFT", ">"),
        ("ITL", ">"),
        ("GPU-HOURS", ">"),
        ("ACTIONS", ">"),
        ("MOST", "<"),
    )
    for run in runs:
        rows.add_row(
            f"{run.start_up_s:g} s",
            Text(run.controller, style="bold" if run.controller == OURS else ""),
            _percent(run.attained),
            _percent(run.ttft_attained),
            _percent(run.itl_attained),
            f"{run.gpu_hours:.2f}",
            str(run.actions),
            "+".join(f"{number}{role[0].upper()}" for role, number in run.most.items()),
        )
    causes = [Text(), *_causes(what, runs)] if with_why else []
    return Group(*_head(what, runs), Text(), rows, *causes)


def _causes(what: Rehearsal, runs: Sequence[Rehearsed]) -> Iterator[Text]:
    for run in runs:
        if run.controller != OURS:
            continue
        found = why(what.world, run, what.most)
        worst = sorted(found.points.items(), key=lambda one: -one[1])
        missed = ", ".join(f"{cause} {points:.1f}" for cause, points in worst if points >= SHOWN)
        yield Text(f"Points missed at {run.start_up_s:g} s: {missed or 'none'}")
        yield Text(
            f"GPU-hours: {found.needed_gpu_hours:.2f} that the load needed,"
            f" {found.spare_gpu_hours:.2f} to spare,"
            f" {found.starting_gpu_hours:.2f} starting or draining",
            style="dim",
        )


def _why_object(found: Why) -> dict[str, Any]:
    return {
        "points": {str(cause): points for cause, points in found.points.items()},
        "needed_gpu_hours": found.needed_gpu_hours,
        "spare_gpu_hours": found.spare_gpu_hours,
        "starting_gpu_hours": found.starting_gpu_hours,
    }


def rehearsal_object(
    what: Rehearsal, runs: Sequence[Rehearsed], with_why: bool = False
) -> dict[str, Any]:
    """Return the same for programs; shares are from 0 to 1."""
    targets = what.world.targets
    return {
        "requests": len(what.world.requests),
        "duration_s": float(what.world.requests.arrival_s[-1]),
        "targets": {"ttft_ms": targets.ttft_ms, "itl_ms": targets.itl_ms},
        "interval_s": what.world.options.interval_s,
        "runs": [
            {
                "controller": run.controller,
                "start_up_s": run.start_up_s,
                "attained": run.attained,
                "ttft_attained": run.ttft_attained,
                "itl_attained": run.itl_attained,
                "gpu_hours": run.gpu_hours,
                "actions": run.actions,
                "most": {str(role): number for role, number in run.most.items()},
                "failed": run.failed,
                "hopeless": run.hopeless,
                **(
                    {"why": _why_object(why(what.world, run, what.most))}
                    if with_why and run.controller == OURS
                    else {}
                ),
            }
            for run in runs
        ],
    }


def _head(what: Rehearsal, runs: Sequence[Rehearsed]) -> list[Text]:
    world = what.world
    minutes = float(world.requests.arrival_s[-1]) / 60.0
    lines = [
        Text(
            f"{len(world.requests)} requests in {minutes:.0f} min; TTFT <= "
            f"{world.targets.ttft_ms:g} ms and ITL <= {world.targets.itl_ms:g} ms;"
            f" a decision every {world.options.interval_s:g} s",
            style="dim",
        )
    ]
    lines += [Text(text, style="yellow") for text in (*_left_out(runs), *_failed(runs))]
    if Against.CLASSIC in what.against and what.classic is None:
        text = "classic is left out: upstream's planner cannot start with these roles or curves."
        lines.append(Text(text, style="yellow"))
    if what.policy.budget_ref is not None:
        text = f"The shared budget {what.policy.budget_ref} is not counted here."
        lines.append(Text(text, style="yellow"))
    return lines


def _left_out(runs: Sequence[Rehearsed]) -> Iterator[str]:
    """Say which requests are in no share, and what ours is of all requests."""
    if not runs or not runs[0].hopeless:
        return
    first = runs[0]
    share = first.hopeless / first.requests
    yield (
        f"{first.hopeless} requests ({_percent(share)}) would miss a target even alone, and are in"
        f" no share. Of all requests {first.controller} attains"
        f" {_percent(first.attained * (1.0 - share))} at {first.start_up_s:g} s."
    )


def _failed(runs: Sequence[Rehearsed]) -> Iterator[str]:
    for run in runs:
        if run.failed:
            yield f"{run.failed} requests failed under {run.controller} at {run.start_up_s:g} s."


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f} %"
