"""Which cluster a command reads, and where in it."""

from typing import Annotated

import typer

from dgdr_cli.found import Source

Namespace = Annotated[
    str | None,
    typer.Option("--namespace", "-n", help="Its namespace. Default: the context's."),
]
Context = Annotated[
    str | None, typer.Option(help="Context of the kubeconfig. Default: the current one.")
]


def source_of(ctx: typer.Context, context: str | None) -> Source:
    """Connect, or use what the caller of the app handed in (tests do)."""
    if ctx.obj is not None:
        handed_in: Source = ctx.obj
        return handed_in
    from dgdr_cli.cluster import KubeSource  # loads slowly, and --help needs no cluster

    return KubeSource(context)
