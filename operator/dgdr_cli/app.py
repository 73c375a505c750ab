"""The commands. Each reads, makes a view, draws it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Annotated

import typer
from rich.live import Live

from dgdr_api.models.dgdr_v1beta1 import Phase
from dgdr_cli.adopt import adopt
from dgdr_cli.connection import Context, Namespace, source_of
from dgdr_cli.convert import convert
from dgdr_cli.errors import NotThere
from dgdr_cli.found import Source
from dgdr_cli.planner.commands import explain, plan, what_if
from dgdr_cli.planner.replaying import replay
from dgdr_cli.planner.report_command import report
from dgdr_cli.planner.slo_command import slo
from dgdr_cli.render import render, render_list, screen
from dgdr_cli.view import View, view_of

app = typer.Typer(
    name="kubectl-dgdr",
    help="Follow a DynamoGraphDeploymentRequest from profiling to scaling; ask its planner why.",
    no_args_is_help=True,
    add_completion=False,
)

Name = Annotated[str, typer.Argument(help="Name of the request.")]
MaybeName = Annotated[
    str | None, typer.Argument(help="Name of the request. Without one: a list of all.")
]
Interval = Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")]
Until = Annotated[
    Phase | None,
    typer.Option(case_sensitive=False, help="End when this phase, or a later one, is reached."),
]


def _say_version(asked: bool) -> None:
    if asked:
        print(f"kubectl-dgdr {version('dgdr-operator')}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version."),
]


@app.callback()
def everywhere(
    ctx: typer.Context,
    namespace: Namespace = None,
    context: Context = None,
    version: Version = False,
) -> None:
    """Take what may stand before a command as well as behind it, as kubectl does."""
    given = {"namespace": namespace, "context": context}
    defaults = {key: value for key, value in given.items() if value is not None}
    ctx.default_map = {name: defaults for name in ctx.command.commands}  # type: ignore[attr-defined]


def look(source: Source, name: str, namespace: str | None) -> View:
    """Read one request and make its view.

    Raises:
        NotThere: the namespace has no request of that name.
    """
    found = source.find(name, namespace)
    if found is None:
        where = f"namespace {namespace}" if namespace else "the context's namespace"
        raise NotThere(f"no request {name} in {where}; `kubectl get dgdr -A` lists all")
    return view_of(found)


@app.command()
def status(
    ctx: typer.Context, name: MaybeName = None, namespace: Namespace = None, context: Context = None
) -> None:
    """Show phase, candidates, deployment and the planner's last decisions.

    Ends with 1 when the request has failed, and with 2 when it cannot be read.
    """
    source = source_of(ctx, context)
    if name is None:
        screen().print(render_list(source.list_requests(namespace)))
        return
    view = look(source, name, namespace)
    screen().print(render(view))
    raise typer.Exit(1 if view.failed else 0)


@app.command()
def watch(
    ctx: typer.Context,
    name: Name,
    namespace: Namespace = None,
    context: Context = None,
    interval: Interval = 2.0,
    until: Until = None,
) -> None:
    """Show the same, live; ends at --until, at a failure, or when interrupted.

    Its exit code is that of status.
    """
    source = source_of(ctx, context)
    view = look(source, name, namespace)
    with _shown(view) as show:
        while not _over(view, until):
            time.sleep(interval)
            view = look(source, name, namespace)
            show(view)
    raise typer.Exit(1 if view.failed else 0)


@contextmanager
def _shown(view: View) -> Iterator[Callable[[View], None]]:
    """Draw over what was drawn; into a pipe, each change below the one before."""
    console = screen()
    if console.is_terminal:
        with Live(render(view), console=console, auto_refresh=False) as live:
            yield lambda now: live.update(render(now), refresh=True)
        return
    console.print(render(view))
    last = [view]

    def show(now: View) -> None:
        if now != last[0]:
            console.print(render(now))
            last[0] = now

    yield show


def _over(view: View, until: Phase | None) -> bool:
    return view.failed or (until is not None and view.phase in _from(until))


def _from(phase: Phase) -> list[Phase]:
    """Return the phases from this one on, in the order in which a request passes them."""
    return list(Phase)[list(Phase).index(phase) :]


for command in (plan, explain, slo, report, what_if, replay, convert, adopt):
    app.command()(command)
