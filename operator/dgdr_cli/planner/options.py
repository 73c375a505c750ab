"""Options that the planner's commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dgdr_api.graph import Role
from dgdr_api.models.durations import duration_s
from dgdr_api.models.sla_planner_policy import Percentile, QueueKind
from dgdr_cli.errors import CliError

# A shorter time shows a handful of decisions.
SHORTEST_SPAN_S = 300.0

PlannerName = Annotated[str, typer.Argument(help="Name of the SLAPlanner.")]
MaybeName = Annotated[
    str | None,
    typer.Argument(help="Name of an SLAPlanner in the cluster. Without it: from files only."),
]
Spec = Annotated[
    Path | None, typer.Option(help="An SLAPlanner manifest, instead of one in the cluster.")
]
Profile = Annotated[
    Path | None,
    typer.Option(
        help="Folder with curves: selected_*_interpolation/raw_data.npz, or *_raw_data.json."
    ),
]
TtftMs = Annotated[float | None, typer.Option(help="Target of the time to first token, in ms.")]
ItlMs = Annotated[float | None, typer.Option(help="Target of the time between tokens, in ms.")]
WhichPercentile = Annotated[
    Percentile | None, typer.Option(help="Requests that the targets speak about.")
]
Queue = Annotated[QueueKind | None, typer.Option(help="How prompts find their engine.")]
BudgetGpus = Annotated[int | None, typer.Option(min=1, help="GPUs that all roles may hold.")]
Rate = Annotated[float | None, typer.Option(min=0, help="Requests per second.")]
Isl = Annotated[float | None, typer.Option(min=1, help="Mean prompt length in tokens.")]
Osl = Annotated[float | None, typer.Option(min=1, help="Mean answer length in tokens.")]
PrefillGpus = Annotated[int | None, typer.Option(min=0, help="GPUs of one prefill replica.")]
DecodeGpus = Annotated[int | None, typer.Option(min=0, help="GPUs of one decode replica.")]
WorkerGpus = Annotated[int | None, typer.Option(min=0, help="GPUs of one aggregated worker.")]
Aggregated = Annotated[
    bool, typer.Option("--aggregated", help="Workers that do both, prefill and decode.")
]

PrometheusUrl = Annotated[
    str | None,
    typer.Option(
        "--prometheus",
        help="URL of Prometheus. Default: the planner's, else the installation's; one of a Service"
        " is asked through the API server.",
    ),
]


class Output(StrEnum):
    """For whom the answer is."""

    TABLE = "table"
    JSON = "json"


OutputFormat = Annotated[Output, typer.Option("--output", "-o", help="For a person or a program.")]


def span_s(option: str, given: str) -> float:
    """Read how far back to go.

    Raises:
        CliError: no duration, or a very short one.
    """
    try:
        span = duration_s(given)
    except ValueError as exc:
        raise CliError(f"{option}: {exc}") from exc
    if span < SHORTEST_SPAN_S:
        raise CliError(f"{option} is {given}: give at least {SHORTEST_SPAN_S / 60:.0f}m")
    return span


def gpus_each(prefill: int | None, decode: int | None, worker: int | None) -> dict[Role, int]:
    """Return the GPUs of one replica of each role for which they are given."""
    given = {Role.PREFILL: prefill, Role.DECODE: decode, Role.WORKER: worker}
    return {role: gpus for role, gpus in given.items() if gpus is not None}
