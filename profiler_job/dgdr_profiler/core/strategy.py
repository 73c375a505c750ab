"""The run as a state machine, pure: what is known goes in, the next action comes out.

Whoever runs it carries the action out, adds what came of it to the state, and asks again. After a
restart the state is what was stored, so the same questions lead to the end by a shorter way.
"""

from collections.abc import Iterable, Sequence

from dgdr_api.points import Point, PointKind, Source
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
from dgdr_profiler.core.candidate import Candidate, least_gpus
from dgdr_profiler.core.cells import Cell
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.evidence import Evidence, evidence
from dgdr_profiler.core.grid import decode_cells, prefill_cells
from dgdr_profiler.core.handover import handover
from dgdr_profiler.core.ladder import estimate, judging_cells, ladder
from dgdr_profiler.core.lending import borrowed, lenders
from dgdr_profiler.core.options import (
    Offer,
    aggregated_options,
    decode_options,
    prefill_options,
)
from dgdr_profiler.core.patience import patient_call
from dgdr_profiler.core.pick import Selection, pick

MAX_ATTEMPTS = 2
"""What failed twice will fail again; the rest of the run must not wait for it."""


def next_action(plan: Plan, state: RunState) -> Action:
    """Return what to do next."""
    suspect = [c for c in plan.candidates if c.id in state.suspect and c.id in state.deployed]
    if suspect:
        return Retire(candidate=suspect[0])
    return _judge(plan, state) or _confirm(plan, state) or _build_curves(plan, state)


def known(plan: Plan, state: RunState, candidate: Candidate) -> Evidence:
    """Return what is known of a candidate."""
    facts = state.deployed.get(candidate.id)
    return evidence(candidate, plan.subjects[candidate.id], facts, state.points)


def selection(plan: Plan, state: RunState) -> Selection | None:
    """Return the pick by what is known, also before the last candidate is judged.

    What was not measured takes part with its estimate: a rung of a ladder, or an aggregated engine,
    whose two kinds of work were measured apart. When it is picked, it has to be measured next. So
    only what could change the pick costs a measurement.
    """
    judged = {c: _judging_points(plan, state, c) for c in _live(plan, state)}
    apart = {c: points for c, points in judged.items() if not c.shape.is_aggregated}
    offer = Offer(
        prefill=[
            o
            for c, ps in apart.items()
            for o in prefill_options(c, _prefill(ps), handover(plan, state, c))
        ],
        decode=[o for c, ps in apart.items() for o in decode_options(c, _decode(ps))],
        aggregated=[
            o
            for c, points in judged.items()
            if c.shape.is_aggregated
            for ps in (points or borrowed(c, apart),)
            for o in aggregated_options(c, _prefill(ps), _decode(ps))
        ],
    )
    return pick(offer, plan.demand.workload, plan.demand.targets, plan.total_gpus, plan.fewest)


def curve_cells(plan: Plan, state: RunState, chosen: Selection) -> dict[str, tuple[Cell, ...]]:
    """Return the cells of both curves by the candidate that they are measured on."""
    cells: dict[str, tuple[Cell, ...]] = {}
    prefill = known(plan, state, chosen.prefill.candidate)
    if prefill.facts is not None:
        cells[prefill.candidate.id] = prefill_cells(plan.demand, prefill)
    decode = known(plan, state, chosen.decode.candidate)
    more = decode_cells(plan.demand, decode)
    cells[decode.candidate.id] = (*cells.get(decode.candidate.id, ()), *more)
    return cells


def curve_points(
    plan: Plan, state: RunState, chosen: Selection, kind: PointKind
) -> tuple[Point, ...]:
    """Return the measured points of one curve."""
    of = chosen.prefill if kind is PointKind.PREFILL else chosen.decode
    cells = curve_cells(plan, state, chosen).get(of.candidate.id, ())
    # What was measured again counts in its first cell's place.
    wanted = (c for c in cells if c.kind is kind and not c.repeat)
    return known(plan, state, of.candidate).measured(wanted)


def _judge(plan: Plan, state: RunState) -> Action | None:
    """Return the next step towards a judgement of every candidate; None when all are judged."""
    todo: list[Candidate] = []
    for candidate in _to_be_judged(plan, state):
        try:
            needed = _to_judge(plan, state, candidate)
        except CandidateFailed as exc:
            return Reject(candidate=candidate, reason=str(exc))
        if needed is None:
            continue
        if candidate.id in state.deployed and needed:
            return _measure(plan, state, candidate, needed, Stage.SELECTION)
        todo.append(candidate)
    return _start(plan, state, todo[0]) if todo else None


def _to_judge(plan: Plan, state: RunState, candidate: Candidate) -> tuple[Cell, ...] | None:
    """Return the missing cells; empty when only a deployment can name them, None when judged."""
    evidence_of = known(plan, state, candidate)
    if evidence_of.facts is None:
        return ()
    return evidence_of.missing(judging_cells(plan.demand, evidence_of)) or None


def _confirm(plan: Plan, state: RunState) -> Action | None:
    """Return the measurement of a pick that is an estimate so far; None when it is measured."""
    chosen = selection(plan, state)
    if chosen is None or chosen.decode.point.source is Source.MEASURED:
        return None
    candidate = chosen.decode.candidate
    if known(plan, state, candidate).facts is None:
        return _start(plan, state, candidate)
    another = ladder(plan.demand, known(plan, state, candidate)).another
    if another is None:
        return None
    if candidate.id in state.deployed:
        call = patient_call((another,), known(plan, state, candidate))
        return Measure(candidate=candidate, call=call, stage=Stage.SELECTION)
    return _deploy(plan, state, candidate)


def _build_curves(plan: Plan, state: RunState) -> Action:
    """Return the next step towards the winner's curves, or the end."""
    chosen = selection(plan, state)
    if chosen is None:
        return Fail(reason=_nothing_measured(plan, state))
    missing = {
        c: known(plan, state, c).missing(cells)
        for c in _winners(chosen)
        if (cells := curve_cells(plan, state, chosen).get(c.id))
    }
    todo = {c: m for c, cells in missing.items() if (m := _worth_trying(state, c, cells))}
    up = [c for c in plan.candidates if c.id in state.deployed]
    done = [c for c in up if c not in todo]
    if done:
        return Retire(candidate=done[0])
    if up:
        return _measure(plan, state, up[0], todo[up[0]], Stage.CURVES)
    if todo:
        return _deploy(plan, state, next(iter(todo)))
    return Finish(selection=chosen)


def _winners(chosen: Selection) -> tuple[Candidate, ...]:
    return tuple(dict.fromkeys((chosen.prefill.candidate, chosen.decode.candidate)))


def _worth_trying(state: RunState, candidate: Candidate, cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Return the cells whose call has not failed too often; a curve can do without one length."""
    return tuple(c for c in cells if not _failed_too_often(state, candidate, c))


def _measure(
    plan: Plan, state: RunState, candidate: Candidate, cells: Sequence[Cell], stage: Stage
) -> Measure | Reject:
    """Measure all cells in one call; after a failure, one prompt length at a time."""
    failures = {c.isl: _failures(state, candidate, c) for c in cells}
    hopeless = [isl for isl, texts in failures.items() if len(texts) >= MAX_ATTEMPTS]
    if stage is Stage.SELECTION and hopeless:
        texts = failures[hopeless[0]]
        return Reject(candidate=candidate, reason=f"failed {len(texts)} times: {texts[-1]}")
    if any(failures.values()):
        shortest = min(failures)
        cells = [c for c in cells if c.isl == shortest]
    call = patient_call(cells, known(plan, state, candidate))
    return Measure(candidate=candidate, call=call, stage=stage)


def _start(plan: Plan, state: RunState, candidate: Candidate) -> Deploy | Retire | Reject:
    """Deploy a candidate that is to be judged, as long as the deadline allows."""
    if _is_late(plan, state):
        reason = f"the deadline of {plan.deadline_s:g} s has passed"
        return Reject(candidate=candidate, reason=reason, lasting=False)
    return _deploy(plan, state, candidate)


def _is_late(plan: Plan, state: RunState) -> bool:
    return plan.deadline_s is not None and state.elapsed_s > plan.deadline_s


def _deploy(plan: Plan, state: RunState, candidate: Candidate) -> Deploy | Retire | Reject:
    """Deploy, after others made room: first those that will not be needed, then the best so far."""
    stuck = [c for c in plan.candidates if c.id in state.stuck]
    stuck_gpus = sum(c.gpus for c in stuck)
    if candidate in stuck or (stuck and not _fits(plan, stuck_gpus + candidate.gpus)):
        names = ", ".join(c.label for c in stuck)
        reason = f"pods of {names} do not end and hold {stuck_gpus} GPUs"
        return Reject(candidate=candidate, reason=reason, lasting=False)
    up = [c for c in plan.candidates if c.id in state.deployed]
    held = stuck_gpus + sum(c.gpus for c in up)
    if _fits(plan, held + candidate.gpus):
        best = selection(plan, state)
        idle = [c for c in up if best is not None and c not in _winners(best)]
        return Retire(candidate=idle[0]) if idle else Deploy(candidate=candidate)
    best = selection(plan, state)
    keep = _winners(best) if best else ()
    return Retire(candidate=min(up, key=lambda c: (c in keep, -c.gpus)))


def _fits(plan: Plan, gpus: int) -> bool:
    return plan.gpus_at_once is None or gpus <= plan.gpus_at_once


def _to_be_judged(plan: Plan, state: RunState) -> list[Candidate]:
    """Return the candidates that are measured whatever the others show; what began is finished."""
    live = _live(plan, state)
    return [c for c in live if known(plan, state, c).facts is not None or not lenders(c, live)]


def _live(plan: Plan, state: RunState) -> list[Candidate]:
    return [c for c in plan.candidates if c.id not in state.rejected]


def _judging_points(plan: Plan, state: RunState, candidate: Candidate) -> list[Point]:
    evidence_of = known(plan, state, candidate)
    try:
        cells = judging_cells(plan.demand, evidence_of)
        another = ladder(plan.demand, evidence_of).another
    except CandidateFailed:
        return []
    points = [*evidence_of.measured(c for c in cells if not c.repeat)]
    if another is None or not _may_be_measured(plan, state, candidate, another):
        return points
    guess = estimate(plan.demand, evidence_of, another)
    return points if guess is None else [*points, guess]


def _may_be_measured(plan: Plan, state: RunState, candidate: Candidate, cell: Cell) -> bool:
    """Whether an estimate can still be confirmed: what cannot takes no part in the pick.

    After the deadline nothing is deployed for it.
    """
    late = _is_late(plan, state) and candidate.id not in state.deployed
    return not late and not _failed_too_often(state, candidate, cell)


def _failures(state: RunState, candidate: Candidate, cell: Cell) -> tuple[str, ...]:
    return state.failures.get((candidate.id, cell.isl), ())


def _failed_too_often(state: RunState, candidate: Candidate, cell: Cell) -> bool:
    return len(_failures(state, candidate, cell)) >= MAX_ATTEMPTS


def _prefill(points: Iterable[Point]) -> list[Point]:
    return [p for p in points if p.kind is PointKind.PREFILL]


def _decode(points: Iterable[Point]) -> list[Point]:
    return [p for p in points if p.kind is PointKind.DECODE]


def _nothing_measured(plan: Plan, state: RunState) -> str:
    """Say why of all candidates, each reason once; one that all share comes first."""
    live = _live(plan, state)
    rejected = [c for c in plan.candidates if c.id in state.rejected]
    tried = [(c.label, state.rejected[c.id]) for c in rejected]
    tried += [(c.label, why) for c in live if (why := _too_large(plan, c, live))]
    beside = [(entry.label, entry.reason) for entry in plan.infeasible]
    shared = {why for _, why in tried}
    if len(shared) == 1:
        labels = ", ".join(label for label, _ in tried)
        none = f"no candidate could be measured ({labels})"
        return "; ".join([*shared, none, *_by_reason(beside)])
    reasons = _by_reason([*tried, *beside])
    return "; ".join(["no candidate could be measured", *(reasons or ["there is none"])])


def _by_reason(reasons: Iterable[tuple[str, str]]) -> list[str]:
    """Return reasons with the labels of all that have them."""
    labels: dict[str, list[str]] = {}
    for label, why in reasons:
        labels.setdefault(why, []).append(label)
    return [f"{', '.join(of)}: {why}" for why, of in labels.items()]


def _too_large(plan: Plan, candidate: Candidate, others: Sequence[Candidate]) -> str | None:
    """Return why a candidate that was measured could not be picked."""
    least, most = least_gpus(candidate, others, plan.fewest), plan.total_gpus
    if least is None:
        return "no candidate is left that does what it does not"
    if most is None or least <= most:
        return None
    return f"the smallest deployment with it has {least} GPUs, it may have {most}"
