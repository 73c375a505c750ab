"""Rehearsals as a table and as JSON. Shares on the screen are of all requests."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dgdr_api.graph import Role
from dgdr_cli.planner.rehearsals import Against, Answer, Rehearsal
from dgdr_cli.render import aligned
from dgdr_perf.sizing import Percentile
from dgdr_planner.policy import Limits
from dgdr_rehearsal.replay.rehearsal import Rehearsed
from dgdr_rehearsal.replay.why import Why, why

# Points that are worth a word.
SHOWN = 0.05
DAY_S, HOUR_S, MINUTE_S = 86_400.0, 3600.0, 60.0


def rehearsal_screen(
    what: Rehearsal, answers: Sequence[Answer], with_why: bool = False
) -> RenderableType:
    """Draw a headline, what each did, what to set, and a line of causes for each of ours."""
    causes = [Text(), *_causes(what, answers)] if with_why else []
    return Group(
        *_head(what),
        Text(),
        *(Text(_headline(what, one), style="bold") for one in answers),
        *(Text(text, style="yellow") for text in _warnings(what, answers)),
        Text(),
        _runs(answers),
        Text(),
        Text(f"To set for {100 * what.goal:g} % of the requests that can be in time"),
        _advice(what, answers),
        *causes,
        Text(),
        Text(
            "All estimated, from the curves. In time, and each target, are of all requests. P, D"
            " and W are replicas: prefill, decode, worker; most are those ready at once.",
            style="dim",
        ),
    )


def _head(what: Rehearsal) -> Iterator[Text]:
    targets = what.world.targets
    of = "" if targets.percentile is Percentile.MEAN else f"{targets.percentile} "
    yield Text(what.name, style="bold")
    yield Text(
        f"{len(what.world.requests):,} requests in {_time(what.world.duration_s)},"
        f" {what.load.source}",
        style="dim",
    )
    yield Text(
        f"TTFT {of}<= {targets.ttft_ms:g} ms, ITL {of}<= {targets.itl_ms:g} ms;"
        f" a decision every {what.world.options.interval_s:g} s",
        style="dim",
    )
    yield Text(f"Allowed to all: {_allowed(what)}", style="dim")


def _allowed(what: Rehearsal) -> str:
    bounds = [f"{role} {_bounds(limits)}" for role, limits in what.policy.limits.items()]
    budget = what.policy.budget_gpus
    return ", ".join([*bounds, "no budget" if budget is None else f"{budget} GPUs"])


def _bounds(limits: Limits) -> str:
    return f"{limits.fewest} to {limits.most}"


def _headline(what: Rehearsal, answer: Answer) -> str:
    ours = answer.runs[0]
    told = (
        f"{_percent(ours.of_all.attained)} of all {ours.requests:,} requests in time for"
        f" {ours.gpu_hours:.2f} GPU-hours at a start-up of {answer.start_up_s:g} s"
    )
    best = next((run for run in answer.runs if run.controller == Against.ORACLE), None)
    if best is None:
        return f"{told}."
    return (
        f"{told}; an oracle that knows the load: {_percent(best.of_all.attained)} for"
        f" {best.gpu_hours:.2f}."
    )


def _warnings(what: Rehearsal, answers: Sequence[Answer]) -> Iterator[str]:
    ours = answers[0].runs[0]
    if ours.hopeless:
        yield (
            f"{ours.hopeless:,} requests ({_percent(ours.hopeless / ours.requests)}) would miss a"
            " target even alone: no replicas help them, and what to set does not count them."
        )
    if what.load.unknown:
        yield (
            f"Prometheus does not know the load of {_percent(what.load.unknown)} of the time: it"
            " counts as none."
        )
    for answer in answers:
        for run in answer.runs:
            if run.failed:
                at = f"{run.controller} at {run.start_up_s:g} s"
                yield f"{run.failed:,} requests failed under {at}."
        if not answer.advice.attains:
            yield (
                f"At a start-up of {answer.start_up_s:g} s no min attains {100 * what.goal:g} %:"
                f" {_percent(answer.advice.run.attained)} is the most within max."
            )
    if Against.CLASSIC in what.against and what.classic is None:
        yield "classic is left out: upstream's planner cannot start with these roles or curves."
    if what.policy.budget_ref is not None:
        yield f"The shared budget {what.policy.budget_ref} is not counted here."


def _runs(answers: Sequence[Answer]) -> Table:
    rows = aligned(
        ("START", ">"),
        ("CONTROLLER", "<"),
        ("IN TIME", ">"),
        ("TTFT", ">"),
        ("ITL", ">"),
        ("GPU-HOURS", ">"),
        ("ACTIONS", ">"),
        ("MOST", "<"),
    )
    for run in (run for answer in answers for run in answer.runs):
        rows.add_row(
            f"{run.start_up_s:g} s",
            Text(run.controller, style="bold" if run.controller == "ours" else ""),
            _percent(run.of_all.attained),
            _percent(run.of_all.ttft),
            _percent(run.of_all.itl),
            f"{run.gpu_hours:.2f}",
            str(run.actions),
            _replicas(run.most),
        )
    return rows


def _advice(what: Rehearsal, answers: Sequence[Answer]) -> Table:
    """Return what to set beside what is set."""
    rows = aligned(
        ("START", ">"),
        ("", "<"),
        ("MIN", "<"),
        ("BUDGET", ">"),
        ("IN TIME", ">"),
        ("GPU-HOURS", ">"),
    )
    fewest = {role: limits.fewest for role, limits in what.policy.limits.items()}
    for answer in answers:
        start, best, budget = f"{answer.start_up_s:g} s", answer.advice, what.policy.budget_gpus
        rows.add_row(start, "now", _replicas(fewest), _gpus(budget), *_came_of(answer.runs[0]))
        rows.add_row(
            start, "to set", _replicas(best.fewest), _gpus(best.budget_gpus), *_came_of(best.run)
        )
    return rows


def _came_of(run: Rehearsed) -> tuple[str, str]:
    return _percent(run.of_all.attained), f"{run.gpu_hours:.2f}"


def _gpus(budget: int | None) -> str:
    return "none" if budget is None else f"{budget} GPUs"


def _replicas(numbers: Mapping[Role, int]) -> str:
    return "+".join(f"{number}{role[0].upper()}" for role, number in numbers.items())


def _causes(what: Rehearsal, answers: Sequence[Answer]) -> Iterator[Text]:
    for answer in answers:
        found = why(what.world, answer.runs[0], what.allowed.most)
        worst = sorted(found.points.items(), key=lambda one: -one[1])
        missed = ", ".join(f"{cause} {points:.1f}" for cause, points in worst if points >= SHOWN)
        yield Text(f"Points missed at {answer.start_up_s:g} s: {missed or 'none'}")
        yield Text(
            f"GPU-hours: {found.needed_gpu_hours:.2f} that the load needed,"
            f" {found.spare_gpu_hours:.2f} to spare,"
            f" {found.starting_gpu_hours:.2f} starting or draining",
            style="dim",
        )


def rehearsal_object(
    what: Rehearsal, answers: Sequence[Answer], with_why: bool = False
) -> dict[str, Any]:
    """Return the same for programs; shares are from 0 to 1."""
    targets, policy = what.world.targets, what.policy
    return {
        "planner": what.name,
        "load": {"source": what.load.source, "unknown_share": what.load.unknown},
        "requests": len(what.world.requests),
        "duration_s": what.world.duration_s,
        "targets": {
            "ttft_ms": targets.ttft_ms,
            "itl_ms": targets.itl_ms,
            "percentile": str(targets.percentile),
            "share": what.goal,
        },
        "interval_s": what.world.options.interval_s,
        "allowed": {
            "replicas": {
                str(role): {"min": limits.fewest, "max": limits.most}
                for role, limits in policy.limits.items()
            },
            "budget_gpus": policy.budget_gpus,
        },
        "runs": [
            _run_object(run)
            | ({"why": _why_object(why(what.world, run, what.allowed.most))} if told else {})
            for answer in answers
            for run in answer.runs
            for told in (with_why and run is answer.runs[0],)
        ],
        "to_set": [_advice_object(answer) for answer in answers],
    }


def _run_object(run: Rehearsed) -> dict[str, Any]:
    """``attained`` and both targets leave out hopeless requests; ``of_all`` does not."""
    return {
        "controller": run.controller,
        "start_up_s": run.start_up_s,
        "of_all": {
            "attained": run.of_all.attained,
            "ttft_attained": run.of_all.ttft,
            "itl_attained": run.of_all.itl,
        },
        "attained": run.attained,
        "ttft_attained": run.ttft_attained,
        "itl_attained": run.itl_attained,
        "gpu_hours": run.gpu_hours,
        "actions": run.actions,
        "most": {str(role): number for role, number in run.most.items()},
        "failed": run.failed,
        "hopeless": run.hopeless,
    }


def _advice_object(answer: Answer) -> dict[str, Any]:
    best = answer.advice
    return {
        "start_up_s": answer.start_up_s,
        "min": {str(role): number for role, number in best.fewest.items()},
        "budget_gpus": best.budget_gpus,
        "attains": best.attains,
        "attained": best.run.attained,
        "gpu_hours": best.run.gpu_hours,
    }


def _why_object(found: Why) -> dict[str, Any]:
    return {
        "points": {str(cause): points for cause, points in found.points.items()},
        "needed_gpu_hours": found.needed_gpu_hours,
        "spare_gpu_hours": found.spare_gpu_hours,
        "starting_gpu_hours": found.starting_gpu_hours,
    }


def _time(seconds: float) -> str:
    if seconds >= 2 * DAY_S:
        return f"{seconds / DAY_S:.3g} d"
    return f"{seconds / HOUR_S:.3g} h" if seconds >= HOUR_S else f"{seconds / MINUTE_S:.0f} min"


def _percent(share: float) -> str:
    """Return it rounded down: 100 % are all of them."""
    return f"{math.floor(1000.0 * share + 1e-9) / 10.0:.1f} %"
