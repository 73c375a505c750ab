"""``replay``: a load under our planner and under others, simulated."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.status import Status

from dgdr_cli.connection import Context, Namespace, source_of
from dgdr_cli.errors import CliError
from dgdr_cli.planner import options as given_as
from dgdr_cli.render import screen, write_file

if TYPE_CHECKING:
    from dgdr_cli.found import FoundPlanner, Source
    from dgdr_cli.planner.rehearsals import Against, Answer, Load, Rehearsal, Terms

# What the planner assumes until it has seen a start.
DEFAULT_START_UP_S = 120.0
OTHERS = ("static", "hpa", "classic", "oracle")

Trace = Annotated[
    Path | None,
    typer.Option(help="Mooncake .jsonl, Azure .csv, or a Prometheus range .json; also .gz."),
]
Since = Annotated[
    str, typer.Option("--from", help="Without --trace: how far back in Prometheus, such as 24h.")
]
Isl = Annotated[str | None, typer.Option(help="Prompt length of a range: tokens, or a file.")]
Osl = Annotated[str | None, typer.Option(help="Answer length of a range: tokens, or a file.")]
Times = Annotated[float, typer.Option(help="Users of the load, multiplied: 20 for 20 times.")]
StartUp = Annotated[
    list[float] | None,
    typer.Option(
        "--start-up-s",
        min=0,
        help="Seconds to start a replica; repeatable. Default: what the planner found, else 120.",
    ),
]
ComparedWith = Annotated[
    list[str], typer.Option(help=f"Whom to compare with, of {', '.join(OTHERS)}; repeatable.")
]
Seed = Annotated[int, typer.Option(min=0, help="Another seed is another run of the same chances.")]
WithWhy = Annotated[
    bool, typer.Option("--why", help="Say what our planner missed for, and spent GPU-hours on.")
]
Plot = Annotated[Path | None, typer.Option(help="Draw load and replicas into this PNG.")]


def replay(
    ctx: typer.Context,
    name: given_as.MaybeName = None,
    namespace: Namespace = None,
    context: Context = None,
    since: Since = "24h",
    prometheus: given_as.PrometheusUrl = None,
    spec: given_as.Spec = None,
    profile: given_as.Profile = None,
    trace: Trace = None,
    isl: Isl = None,
    osl: Osl = None,
    times: Times = 1.0,
    start_up_s: StartUp = None,
    against: ComparedWith = list(OTHERS),  # noqa: B006  typer copies it
    prefill_gpus: given_as.PrefillGpus = None,
    decode_gpus: given_as.DecodeGpus = None,
    worker_gpus: given_as.WorkerGpus = None,
    seed: Seed = 0,
    with_why: WithWhy = False,
    plot: Plot = None,
    output: given_as.OutputFormat = given_as.Output.TABLE,
) -> None:
    """Rehearse a load: what is attained, at which cost, by whom, and which min and budget to set.

    With NAME: an SLAPlanner of the cluster under the load that Prometheus remembers, or under
    --trace. Otherwise --spec, --profile and --trace. Engines are simulated from the curves, so
    every number here is estimated, not measured. A planner in Shadow is rehearsed as if Active.
    """
    from dgdr_cli.planner import questions
    from dgdr_cli.planner import rehearsal_setup as setup
    from dgdr_cli.planner.rehearsals import Terms
    from dgdr_cli.planner.replay_load import of_file

    terms = Terms(
        against=_others(against), seed=seed, isl=isl, osl=osl, times=_multiple(times),
        gpus=given_as.gpus_each(prefill_gpus, decode_gpus, worker_gpus),
    )  # fmt: skip
    with questions.curable(), Console(stderr=True).status("reading the load") as waiting:
        if name is None:
            load = of_file(_needed("--trace", trace), terms)
            files = _needed("--spec", spec), _needed("--profile", profile)
            what = setup.rehearsal_of_files(*files, load, terms)
        elif spec is not None:
            raise CliError("NAME and --spec exclude each other: give one of them")
        else:
            source = source_of(ctx, context)
            found = questions.found_planner(source, name, namespace)
            load = (
                _past(source, found, prometheus, since, terms)
                if trace is None
                else of_file(trace, terms)
            )
            what = setup.rehearsal_of_found(found, profile, load, terms)
        answers = _answers(what, start_up_s, waiting)
        if plot is not None:
            _draw(plot, what, answers)
    _show(output, what, answers, with_why)


def _others(against: Sequence[str]) -> "tuple[Against, ...]":
    from dgdr_cli.planner.rehearsals import Against

    unknown = [name for name in against if name not in OTHERS]
    if unknown:
        raise CliError(f"--against is {unknown[0]}: give one of {', '.join(OTHERS)}")
    return tuple(Against(one) for one in OTHERS if one in against)


def _multiple(times: float) -> float:
    if not times > 0:
        raise CliError(f"--times is {times:g}: give a number above 0, as 20")
    return times


def _past(
    source: "Source", found: "FoundPlanner", prometheus: str | None, since: str, terms: "Terms"
) -> "Load":
    """Read what the planner's Prometheus remembers."""
    from dgdr_cli.planner.replay_load import of_prometheus

    server = source.prometheus(prometheus or found.planner.spec.prometheus_url)
    span_s = given_as.span_s("--from", since)
    return of_prometheus(server, found.planner, span_s, datetime.now(UTC), terms)


def _answers(
    what: "Rehearsal", start_ups_s: Sequence[float] | None, waiting: Status
) -> "Sequence[Answer]":
    from dgdr_cli.planner.rehearsals import rehearsed

    return rehearsed(
        what,
        start_ups_s or [what.start_up_s or DEFAULT_START_UP_S],
        lambda run: waiting.update(f"simulated {run.controller} at {run.start_up_s:g} s"),
    )


def _show(
    output: given_as.Output, what: "Rehearsal", answers: "Sequence[Answer]", with_why: bool
) -> None:
    from dgdr_cli.planner import as_json, rehearsal_screen

    if output is given_as.Output.JSON:
        print(as_json.text(rehearsal_screen.rehearsal_object(what, answers, with_why)))
    else:
        screen().print(rehearsal_screen.rehearsal_screen(what, answers, with_why))


def _needed(option: str, path: Path | None) -> Path:
    if path is None:
        raise CliError(
            f"{option} is missing: give the NAME of a planner, or --spec, --profile and --trace"
        )
    return path


def _draw(path: Path, what: "Rehearsal", answers: "Sequence[Answer]") -> None:
    """Draw the runs of the first start-up time."""
    from dgdr_rehearsal.replay.plot import Panel, plot_png

    first = answers[0]
    panel = Panel(
        title=f"{what.name}, start-up {first.start_up_s:g} s",
        arrival_s=what.world.requests.arrival_s,
        goal=what.goal,
        runs=first.runs,
    )
    write_file(path, plot_png([panel]))
