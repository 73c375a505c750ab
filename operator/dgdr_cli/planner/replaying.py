"""``replay``: a trace under our planner and under others, simulated."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dgdr_cli.errors import CliError
from dgdr_cli.planner import options as given_as
from dgdr_cli.render import screen

if TYPE_CHECKING:
    from dgdr_cli.planner.rehearsals import Rehearsal
    from dgdr_rehearsal.replay.rehearsal import Rehearsed

# What the planner assumes until it has seen a start.
DEFAULT_START_UP_S = [120.0]
OTHERS = ("static", "hpa", "classic", "oracle")

Spec = Annotated[Path, typer.Option(help="An SLAPlanner manifest.")]
Profile = Annotated[Path, typer.Option(help="Folder with curves, NPZ layout or JSON.")]
Trace = Annotated[
    Path,
    typer.Option(help="Mooncake .jsonl, Azure .csv, or a Prometheus range .json; also .gz."),
]
Isl = Annotated[str | None, typer.Option(help="Prompt length of a range: tokens, or a file.")]
Osl = Annotated[str | None, typer.Option(help="Answer length of a range: tokens, or a file.")]
Times = Annotated[float, typer.Option(help="Users of the trace, multiplied: 20 for 20 times.")]
StartUp = Annotated[
    list[float], typer.Option("--start-up-s", min=0, help="Seconds to start a replica; repeatable.")
]
Against = Annotated[
    list[str], typer.Option(help=f"Whom to compare with, of {', '.join(OTHERS)}; repeatable.")
]
Seed = Annotated[int, typer.Option(min=0, help="Another seed is another run of the same chances.")]
WithWhy = Annotated[
    bool, typer.Option("--why", help="Say what our planner missed for, and spent GPU-hours on.")
]
Plot = Annotated[Path | None, typer.Option(help="Draw load and replicas into this PNG.")]


def replay(
    spec: Spec,
    profile: Profile,
    trace: Trace,
    isl: Isl = None,
    osl: Osl = None,
    times: Times = 1.0,
    start_up_s: StartUp = DEFAULT_START_UP_S,
    against: Against = list(OTHERS),  # noqa: B006  typer copies it
    prefill_gpus: given_as.PrefillGpus = None,
    decode_gpus: given_as.DecodeGpus = None,
    worker_gpus: given_as.WorkerGpus = None,
    seed: Seed = 0,
    with_why: WithWhy = False,
    plot: Plot = None,
    output: given_as.OutputFormat = given_as.Output.TABLE,
) -> None:
    """Rehearse a trace: what would have been attained, at which cost, by whom.

    Engines are simulated from the curves, so every number here is estimated, not measured. A
    planner in Shadow is rehearsed as if it were Active.
    """
    from dgdr_cli.planner import as_json, rehearsal_screen
    from dgdr_cli.planner.questions import curable, rehearsal_of
    from dgdr_cli.planner.rehearsals import Against as Other
    from dgdr_cli.planner.rehearsals import rehearsed
    from dgdr_cli.planner.traces import read_requests

    unknown = [name for name in against if name not in OTHERS]
    if unknown:
        raise CliError(f"--against is {unknown[0]}: give one of {', '.join(OTHERS)}")
    if not times > 0:
        raise CliError(f"--times is {times:g}: give a number above 0, as 20")
    gpus = {"prefill": prefill_gpus, "decode": decode_gpus, "worker": worker_gpus}
    with curable():
        requests = read_requests(trace, isl, osl, times, seed)
        others = tuple(Other(name) for name in OTHERS if name in against)
        what = rehearsal_of(spec, profile, requests, others, gpus, seed)
        runs = []
        with Console(stderr=True).status("simulating") as waiting:
            for run in rehearsed(what, start_up_s):
                waiting.update(f"simulated {run.controller} at {run.start_up_s:g} s")
                runs.append(run)
        if plot is not None:
            _draw(plot, what, runs)
    if output is given_as.Output.JSON:
        print(as_json.text(rehearsal_screen.rehearsal_object(what, runs, with_why)))
    else:
        screen().print(rehearsal_screen.rehearsal_screen(what, runs, with_why))


def _draw(path: Path, what: "Rehearsal", runs: "list[Rehearsed]") -> None:
    """Draw the runs of the first start-up time."""
    from dgdr_rehearsal.replay.plot import Panel, plot_png

    shown = [run for run in runs if run.start_up_s == runs[0].start_up_s]
    title = f"start-up {shown[0].start_up_s:g} s"
    panel = Panel(title=title, arrival_s=what.world.requests.arrival_s, runs=shown)
    try:
        path.write_bytes(plot_png([panel]))
    except OSError as exc:
        raise CliError(f"{path} cannot be written: {exc.strerror}") from exc
