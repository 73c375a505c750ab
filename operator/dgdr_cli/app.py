"""The commands. Each reads, makes a view, draws it."""

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from dgdr_cli.connection import Context, Namespace, source_of
from dgdr_cli.errors import NotThere
from dgdr_cli.found import Source
from dgdr_cli.planner.commands import explain, plan, what_if
from dgdr_cli.planner.replaying import replay
from dgdr_cli.render import render
from dgdr_cli.view import View, view_of

app = typer.Typer(
    name="kubectl-dgdr",
    help="Follow a DynamoGraphDeploymentRequest from profiling to scaling; ask its planner why.",
    no_args_is_help=True,
    add_completion=False,
)

Name = Annotated[str, typer.Argument(help="Name of the request.")]
Interval = Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")]
Until = Annotated[
    str | None, typer.Option(help="End when this phase is reached, such as Deployed.")
]


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
    ctx: typer.Context, name: Name, namespace: Namespace = None, context: Context = None
) -> None:
    """Show phase, candidates, deployment and the planner's last decisions."""
    view = look(source_of(ctx, context), name, namespace)
    Console().print(render(view))
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
    """Show the same, live; ends at --until, at a failure, or when interrupted."""
    source = source_of(ctx, context)
    view = look(source, name, namespace)
    with Live(render(view), auto_refresh=False) as live:
        while not _over(view, until):
            time.sleep(interval)
            view = look(source, name, namespace)
            live.update(render(view), refresh=True)
    raise typer.Exit(1 if view.failed else 0)


def _over(view: View, until: str | None) -> bool:
    return view.failed or (until is not None and view.phase.lower() == until.lower())


for command in (plan, explain, what_if, replay):
    app.command()(command)
