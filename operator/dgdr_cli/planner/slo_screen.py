"""Windows of an SLO as a table and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.models.sla_planner_policy import Percentile
from dgdr_cli.planner.explained import targets_text
from dgdr_cli.planner.outlook import UNKNOWN
from dgdr_cli.planner.slo import Kept, TargetKept, objective
from dgdr_cli.render import aligned

# Less of a window than this is told as what it is.
WHOLE = 0.98


def slo_screen(planner: SLAPlanner, windows: Sequence[Kept], *, recorded: bool) -> RenderableType:
    """Draw the windows, and where the numbers come from."""
    rows = aligned(
        ("WINDOW", "<"),
        ("REQUESTS", ">"),
        ("FAILED", ">"),
        ("TTFT", ">"),
        ("BUDGET LEFT", ">"),
        ("ITL", ">"),
        ("BUDGET LEFT", ">"),
    )
    for one in windows:
        rows.add_row(
            one.window,
            _count(one.requests),
            _count(one.failed),
            *_target(one.ttft),
            *_target(one.itl),
        )
    title = f"{planner.metadata.namespace or 'default'}/{planner.metadata.name}"
    return Group(
        Text.assemble((title, "bold"), "  ", (targets_text(planner.spec), "")),
        Text(_promise(planner), style="dim"),
        Text(),
        rows,
        Text(),
        *(Text(text, style="yellow") for text in _cautions(windows, recorded)),
    )


def slo_object(planner: SLAPlanner, windows: Sequence[Kept], *, recorded: bool) -> dict[str, Any]:
    """Return the same for programs; shares are from 0 to 1, null where nobody knows."""
    return {
        "namespace": planner.metadata.namespace,
        "name": planner.metadata.name,
        "sla": planner.spec.sla.to_json(),
        "objective": objective(planner),
        "source": "recording rules" if recorded else "counters",
        "windows": [asdict(one) for one in windows],
    }


def _promise(planner: SLAPlanner) -> str:
    share = f"{100 * objective(planner):g} %"
    if planner.spec.percentile is Percentile.MEAN:
        return f"A window counts by its mean, with all of its requests; {share} shall be in time."
    return f"{share} of the requests shall be in time; a failed one is not, for either target."


def _target(told: TargetKept | None) -> tuple[Text | str, Text | str]:
    if told is None:
        return Text(UNKNOWN, style="yellow"), Text(UNKNOWN, style="yellow")
    style = "red" if told.left < 0 else "yellow" if told.left < 0.2 else "green"
    return f"{100 * told.within:.2f} %", Text(f"{100 * told.left:.0f} %", style=style)


def _count(number: float | None) -> Text | str:
    return Text(UNKNOWN, style="yellow") if number is None else f"{number:,.0f}"


def _cautions(windows: Sequence[Kept], recorded: bool) -> list[str]:
    """Return what a reader of the numbers must know."""
    said = []
    if not recorded:
        text = "Read from the counters themselves: the recording rules of the chart"
        said.append(f"{text} (metrics.rules) are not loaded, or have not run yet.")
    short = [
        f"{_span(one.known_s)} of {one.window}"
        for one in windows
        if one.known_s is not None and one.known_s < WHOLE * one.window_s
    ]
    if short:
        said.append(f"Prometheus knows {', '.join(short)}: no more was recorded or kept.")
    said += [f"{one.window}: {one.trouble}." for one in windows if one.trouble]
    if all(one.failed is None for one in windows) and not any(one.trouble for one in windows):
        said.append("Nobody counts failed requests: Prometheus has no series of the frontends.")
    return said


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 60:.0f} min"
