"""Rehearsals as a table and as JSON."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dgdr_cli.planner.rehearsals import Against, Rehearsal
from dgdr_cli.render import aligned
from dgdr_rehearsal.replay.rehearsal import Rehearsed


def rehearsal_screen(what: Rehearsal, runs: Sequence[Rehearsed]) -> RenderableType:
    """Draw one row for each controller and start-up time."""
    rows = aligned(
        ("START-UP", ">"),
        ("CONTROLLER", "<"),
        ("ATTAINED", ">"),
        ("TTFT", ">"),
        ("ITL", ">"),
        ("GPU-HOURS", ">"),
        ("ACTIONS", ">"),
        ("MOST REPLICAS", "<"),
        ("FAILED", ">"),
    )
    for run in runs:
        rows.add_row(
            f"{run.start_up_s:g} s",
            Text(run.controller, style="bold" if run.controller == "ours" else ""),
            _percent(run.attained),
            _percent(run.ttft_attained),
            _percent(run.itl_attained),
            f"{run.gpu_hours:.2f}",
            str(run.actions),
            ", ".join(f"{number} {role}" for role, number in run.most.items()),
            str(run.failed),
        )
    return Group(*_head(what, runs), Text(), rows)


def rehearsal_object(what: Rehearsal, runs: Sequence[Rehearsed]) -> dict[str, Any]:
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
    hopeless = runs[0].hopeless if runs else 0
    if hopeless:
        text = f"{hopeless} requests would miss a target even alone; they are in no share."
        lines.append(Text(text, style="yellow"))
    if Against.CLASSIC in what.against and what.classic is None:
        text = "classic is left out: upstream's planner cannot start with these roles or curves."
        lines.append(Text(text, style="yellow"))
    if what.policy.budget_ref is not None:
        text = f"The shared budget {what.policy.budget_ref} is not counted here."
        lines.append(Text(text, style="yellow"))
    return lines


def _percent(share: float) -> str:
    return f"{100.0 * share:.1f} %"
