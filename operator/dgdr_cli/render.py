"""The view as text: rich draws it on a terminal, and plainly into a pipe."""

import os
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from dgdr_cli.candidates import Candidate
from dgdr_cli.errors import CliError
from dgdr_cli.found import Listed
from dgdr_cli.view import Deployment, Planner, View, message_of, phase_text

NOT_MEASURED = "-"
# Nobody looks at a pipe's width; rich would cut tables after 80 columns.
PIPE_COLUMNS = 240
_PHASE_STYLE = {"Deployed": "bold green", "Ready": "bold green", "Failed": "bold red"}


def screen() -> Console:
    """Return where to draw: as wide as the terminal, and into a pipe as wide as is needed."""
    console = Console()
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(width=PIPE_COLUMNS)


def write_file(path: Path, content: bytes) -> None:
    """Write what a user asked for as a file.

    Raises:
        CliError: it cannot be written there.
    """
    try:
        path.write_bytes(content)
    except OSError as exc:
        raise CliError(f"{path} cannot be written: {exc.strerror}") from exc


def render_list(requests: Iterable[Listed]) -> RenderableType:
    """Draw one line for each request."""
    table = aligned(("REQUEST", "<"), ("PHASE", "<"), ("MESSAGE", "<"))
    for one in requests:
        phase = phase_text(one.status, one.phase)
        style = _PHASE_STYLE.get(phase, "bold yellow")
        table.add_row(one.name, Text(phase, style=style), message_of(one.status))
    return table


def render(view: View) -> RenderableType:
    """Draw everything that is known."""
    parts: list[RenderableType] = [*_head(view)]
    if view.candidates:
        parts += [Text(), _candidates(view.candidates, view.is_measuring)]
    parts += [Text(remark, style="yellow") for remark in view.remarks]
    if view.deployment:
        parts += [Text(), _deployment(view.deployment)]
    if view.planner:
        parts += [Text(), *_planner(view.planner)]
    return Group(*parts)


def _head(view: View) -> list[Text]:
    phase = "/".join(part for part in (view.phase, view.profiling_phase) if part)
    title = Text.assemble(
        (f"{view.namespace}/{view.name}", "bold"),
        "  ",
        (phase, _PHASE_STYLE.get(view.phase, "bold yellow")),
    )
    lines = [title, Text(view.wanted, style="dim"), Text(f"Targets: {view.targets}", style="dim")]
    if view.message:
        lines.append(Text(view.message, style="red" if view.failed else ""))
    return lines


def aligned(*columns: tuple[str, str]) -> Table:
    """Return a table of left and right aligned columns (``<`` and ``>``)."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title, side in columns:
        right = side == ">"
        table.add_column(title, justify="right" if right else "left", no_wrap=right)
    return table


def _candidates(candidates: tuple[Candidate, ...], is_measuring: bool) -> Table:
    table = aligned(
        ("CANDIDATE", "<"),
        ("GPUS", ">"),
        ("TTFT ms", ">"),
        ("ITL ms", ">"),
        ("TOKENS/S/GPU", ">"),
        ("POINTS", ">"),
        ("TARGETS", "<"),
        ("", "<"),
    )
    for row in candidates:
        table.add_row(
            row.name,
            str(row.gpus),
            _number(row.ttft_ms, 0),
            _number(row.itl_ms, 1),
            _number(row.output_tokens_per_s_per_gpu, 0),
            f"{row.points} {'estimated' if row.estimated else 'measured'}",
            _targets(row, is_measuring),
            _picked(row),
        )
    return table


def _number(value: float | None, digits: int) -> str:
    return NOT_MEASURED if value is None else f"{value:.{digits}f}"


def _targets(row: Candidate, is_measuring: bool) -> Text:
    if row.missed:
        return Text(f"{' and '.join(row.missed)} missed", style="red")
    if not row.measured:
        return Text("measuring" if is_measuring else "not measured", style="dim")
    if row.is_aggregated and not row.picked_for:
        # Nobody measured what its prompts do to its tokens; what is picked was sized for that.
        return Text("met alone", style="dim")
    return Text("met", style="green")


def _picked(row: Candidate) -> Text:
    both = len(row.picked_for) > 1
    text = "picked" if both else f"picked for {row.picked_for[0]}" if row.picked_for else ""
    return Text(text, style="bold green")


def _deployment(deployment: Deployment) -> Table:
    table = aligned(("DEPLOYMENT", "<"), ("STATE", "<"), ("READY REPLICAS", "<"))
    replicas = ", ".join(
        f"{role.name} {NOT_MEASURED if role.ready is None else role.ready}/{role.wanted}"
        for role in deployment.roles
    )
    table.add_row(deployment.name, deployment.state, replicas)
    return table


def _planner(planner: Planner) -> list[RenderableType]:
    table = aligned(("PLANNER", "<"), ("MODE", "<"), ("LOAD", "<"))
    table.add_row(planner.name, planner.mode, planner.load)
    parts: list[RenderableType] = [table]
    parts += [Text(trouble, style="yellow") for trouble in planner.troubles]
    if planner.decisions:
        parts += [Text(), _decisions(planner)]
    return parts


def _decisions(planner: Planner) -> Table:
    table = aligned(("DECIDED", "<"), ("REASON", "<"), ("REPLICAS", "<"), ("WHY", "<"))
    for decision in planner.decisions:
        table.add_row(
            f"{decision.time:%H:%M:%S}", decision.reason, decision.changes, decision.message
        )
    return table
