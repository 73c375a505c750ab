"""Where a run stands, in upstream's phases and in a sentence with numbers."""

from dataclasses import dataclass
from typing import assert_never

from dgdr_api.models.dgdr_v1beta1 import ProfilingPhase
from dgdr_api.points import PointKind, Source
from dgdr_profiler.core.actions import (
    Action,
    Deploy,
    Fail,
    Finish,
    Measure,
    Plan,
    Reject,
    Retire,
    RunState,
    Stage,
)
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.ladder import judging_cells
from dgdr_profiler.core.options import DecodeOption, PrefillOption
from dgdr_profiler.core.pick import Selection
from dgdr_profiler.core.strategy import curve_cells, known, selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a user sees while the Job runs."""

    phase: ProfilingPhase
    message: str


STARTING = Progress(phase=ProfilingPhase.INITIALIZING, message="reading what is already measured")


def reading(what: str) -> Progress:
    """Return what to show while something is read, before there is a plan."""
    return Progress(phase=STARTING.phase, message=f"reading {what}")


def starting(plan: Plan) -> Progress:
    """Return what to show first: what is going to be tried, and why not more."""
    return Progress(phase=STARTING.phase, message=plan.space or STARTING.message)


def progress(plan: Plan, state: RunState, action: Action) -> Progress | None:
    """Return what to show while ``action`` is carried out; None: what was shown still holds."""
    match action:
        case Deploy(candidate=candidate):
            return Progress(
                phase=ProfilingPhase.SWEEPING_PREFILL,
                message=f"{_which(plan, candidate)}: deploying {candidate.gpus} GPUs",
            )
        case Measure():
            return _measuring(plan, state, action)
        case Reject(candidate=candidate, reason=reason):
            return Progress(
                phase=ProfilingPhase.SELECTING_CONFIG,
                message=f"{_which(plan, candidate)} given up: {reason}",
            )
        case Finish(selection=chosen):
            return Progress(phase=ProfilingPhase.GENERATING_DGD, message=describe(chosen))
        case Retire() | Fail():
            return None
    assert_never(action)


def waiting(
    plan: Plan, candidate: Candidate, phase: ProfilingPhase, waited_s: float, why: str
) -> Progress:
    """Return what to show while a candidate is waited for; the run is as far as it was."""
    message = f"{_which(plan, candidate)}: waiting {waited_s:.0f} s: {why}"
    return Progress(phase=phase, message=message)


def describe(chosen: Selection) -> str:
    """Return the pick in a sentence; says so when the targets are not reached."""
    p, d = chosen.prefill, chosen.decode
    backend = f"{d.candidate.backend} " if d.candidate.backend else ""
    prefill = f"TTFT {(p.ttft_ms if chosen.aggregated else chosen.ttft_ms):.0f} ms"
    decode = f"ITL {d.itl_ms:.1f} ms at {d.point.concurrency} in flight"
    if chosen.aggregated:
        text = f"{backend}{chosen.shape.label} ({prefill} alone, {decode})"
    else:
        text = (
            f"{backend}prefill {_named(p)} ({prefill}{_handover(p)}), decode {_named(d)} ({decode})"
        )
    return text if chosen.sla_reachable else f"{text}; targets NOT reached: {chosen.reason}"


def _handover(prefill: PrefillOption) -> str:
    """Say what part of the time to first token nobody measured."""
    transfer = prefill.transfer
    if transfer is not None and transfer.is_missing:
        return " without the KV transfer, which is unknown"
    if transfer is None or transfer.in_ttft or transfer.source is Source.MEASURED:
        return ""
    return f", of which {prefill.handover_ms:.0f} ms of KV transfer are estimated"


def _named(option: PrefillOption | DecodeOption) -> str:
    return option.mapping.label if option.mapping else option.candidate.label


def _which(plan: Plan, candidate: Candidate) -> str:
    place = plan.candidates.index(candidate) + 1
    return f"candidate {place} of {len(plan.candidates)}: {candidate.label}"


def _measuring(plan: Plan, state: RunState, action: Measure) -> Progress:
    if action.stage is Stage.SELECTION:
        return Progress(phase=_sweeping(action), message=_judging(plan, state, action))
    return Progress(phase=ProfilingPhase.BUILDING_CURVES, message=_drawing(plan, state, action))


def _sweeping(action: Measure) -> ProfilingPhase:
    if any(cell.kind is PointKind.DECODE for cell in action.call.cells):
        return ProfilingPhase.SWEEPING_DECODE
    return ProfilingPhase.SWEEPING_PREFILL


def _judging(plan: Plan, state: RunState, action: Measure) -> str:
    evidence = known(plan, state, action.candidate)
    cells = {*judging_cells(plan.demand, evidence), *action.call.cells}
    done = len(cells) - len(evidence.missing(cells))
    return f"{_which(plan, action.candidate)}, {done} of {len(cells)} points"


def _drawing(plan: Plan, state: RunState, action: Measure) -> str:
    chosen = selection(plan, state)
    by_candidate = curve_cells(plan, state, chosen) if chosen else {}
    total = done = 0
    for candidate in plan.candidates:
        cells = by_candidate.get(candidate.id, ())
        total += len(cells)
        done += len(cells) - len(known(plan, state, candidate).missing(cells))
    return f"curves of {action.candidate.label}, {done} of {total} points"
