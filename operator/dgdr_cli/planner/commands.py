"""``plan``, ``explain`` and ``what-if``: read, ask, draw.

Curves and clusters take long to load, so each command loads what it needs, and ``--help`` nothing.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer
from rich.console import RenderableType

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_policy import Percentile as ApiPercentile
from dgdr_api.models.sla_planner_policy import QueueKind
from dgdr_cli import render
from dgdr_cli.connection import Context, Namespace, source_of
from dgdr_cli.errors import CliError
from dgdr_cli.planner import options as given_as

if TYPE_CHECKING:
    from dgdr_cli.planner.case import Overrides

UNREACHABLE = 1


def plan(
    ctx: typer.Context,
    name: given_as.MaybeName = None,
    namespace: Namespace = None,
    context: Context = None,
    spec: given_as.Spec = None,
    profile: given_as.Profile = None,
    rate: given_as.Rate = None,
    isl: given_as.Isl = None,
    osl: given_as.Osl = None,
    ttft_ms: given_as.TtftMs = None,
    itl_ms: given_as.ItlMs = None,
    percentile: given_as.WhichPercentile = None,
    queue: given_as.Queue = None,
    budget_gpus: given_as.BudgetGpus = None,
    aggregated: given_as.Aggregated = False,
    prefill_gpus: given_as.PrefillGpus = None,
    decode_gpus: given_as.DecodeGpus = None,
    worker_gpus: given_as.WorkerGpus = None,
    output: given_as.OutputFormat = given_as.Output.TABLE,
) -> None:
    """Say how many replicas a steady load needs, and what that costs.

    With NAME: for an SLAPlanner of the cluster and the load that it plans for. Otherwise for
    --profile and --rate, --isl, --osl, with the targets of --spec or of --ttft-ms and --itl-ms.
    Ends with 1 when these replicas do not meet the targets, whatever keeps them from it.
    """
    from dgdr_cli.planner import as_json, questions, screens
    from dgdr_cli.planner.plan import plan as answer

    given = _overrides(
        (ttft_ms, itl_ms), (rate, isl, osl), percentile=percentile, queue=queue,
        budget_gpus=budget_gpus,
        gpus_each=given_as.gpus_each(prefill_gpus, decode_gpus, worker_gpus),
    )  # fmt: skip
    if name is not None:
        if spec is not None or aggregated:
            raise CliError("NAME and --spec or --aggregated exclude each other: give one of them")
        found = questions.found_planner(source_of(ctx, context), name, namespace)
        case = questions.case_of_found(found, profile, given)
    else:
        roles = (Role.WORKER,) if aggregated else (Role.PREFILL, Role.DECODE)
        case = questions.case_of_files(spec, profile, roles, given)
    with questions.curable():
        planned = answer(case)
    _show(output, screens.plan_screen(case, planned), as_json.plan_object(case, planned))
    raise typer.Exit(0 if planned.meets else UNREACHABLE)


def explain(
    ctx: typer.Context,
    name: given_as.PlannerName,
    namespace: Namespace = None,
    context: Context = None,
    output: given_as.OutputFormat = given_as.Output.TABLE,
) -> None:
    """Say why a planner has no more and no fewer replicas, and what comes next and when."""
    from dgdr_cli.planner import as_json, questions, screens
    from dgdr_cli.planner.explained import explained

    found = questions.found_planner(source_of(ctx, context), name, namespace)
    told = explained(found.planner, datetime.now(UTC), found.budget, found.target)
    answer = as_json.explanation_object(found.planner, told)
    _show(output, screens.explanation_screen(told), answer)


def what_if(
    ctx: typer.Context,
    name: given_as.PlannerName,
    namespace: Namespace = None,
    context: Context = None,
    profile: given_as.Profile = None,
    rate: given_as.Rate = None,
    isl: given_as.Isl = None,
    osl: given_as.Osl = None,
    ttft_ms: given_as.TtftMs = None,
    itl_ms: given_as.ItlMs = None,
    percentile: given_as.WhichPercentile = None,
    queue: given_as.Queue = None,
    budget_gpus: given_as.BudgetGpus = None,
    output: given_as.OutputFormat = given_as.Output.TABLE,
) -> None:
    """Compare what a planner's load needs now with other targets, budget, load or curves.

    Where the planner has not seen any load, --rate, --isl and --osl are the load of both sides.
    """
    from dgdr_cli.planner import as_json, questions, screens
    from dgdr_cli.planner.what_if import what_if as answer

    given = _overrides(
        (ttft_ms, itl_ms), (rate, isl, osl), percentile=percentile, queue=queue,
        budget_gpus=budget_gpus, gpus_each={},
    )  # fmt: skip
    found = questions.found_planner(source_of(ctx, context), name, namespace)
    now, then = questions.now_and_then(found, profile, given)
    with questions.curable():
        asked = answer(now, then)
    title = f"{found.planner.metadata.namespace}/{name}"
    _show(output, screens.what_if_screen(title, asked), as_json.what_if_object(asked))


def _overrides(
    targets: tuple[float | None, float | None],
    load: tuple[float | None, float | None, float | None],
    *,
    percentile: ApiPercentile | None,
    queue: QueueKind | None,
    budget_gpus: int | None,
    gpus_each: Mapping[Role, int],
) -> "Overrides":
    from dgdr_cli.planner.case import Overrides
    from dgdr_perf.queueing import Dispatch
    from dgdr_perf.sizing import Percentile

    return Overrides(
        ttft_ms=targets[0],
        itl_ms=targets[1],
        percentile=None if percentile is None else Percentile(percentile),
        queue=None if queue is None else Dispatch(queue),
        budget_gpus=budget_gpus,
        rate_per_s=load[0],
        isl=load[1],
        osl=load[2],
        gpus_each=gpus_each,
    )


def _show(output: given_as.Output, screen: RenderableType, answer: dict[str, Any]) -> None:
    from dgdr_cli.planner.as_json import text

    if output is given_as.Output.JSON:
        print(text(answer))
    else:
        render.screen().print(screen)
