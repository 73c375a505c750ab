"""``report.json``: every figure of a run, and where each comes from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dgdr_api.points import Point
from dgdr_api.transfer import Transfer
from dgdr_profiler.core.actions import Plan, RunState
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.journal import Stay
from dgdr_profiler.core.pick import Selection

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What the run spent, all pods of its Job together."""

    stays: Sequence[Stay] = ()
    notes: Sequence[str] = ()
    elapsed_s: float = 0.0


def report(plan: Plan, state: RunState, chosen: Selection, ledger: Ledger) -> Mapping[str, Any]:
    """Return the report as JSON."""
    targets, workload = plan.demand.targets, plan.demand.workload
    return {
        "version": VERSION,
        "slaReachable": chosen.sla_reachable,
        "reason": chosen.reason,
        "model": plan.model.to_object(),
        "workload": asdict(workload),
        "targets": asdict(targets),
        "selection": _selection(chosen),
        "transfer": _transfer(chosen.transfer),
        "candidates": [_candidate(c, plan, state, ledger) for c in plan.candidates],
        "space": plan.space,
        "infeasible": [
            {"label": entry.label, "code": entry.code.value, "reason": entry.reason}
            for entry in plan.infeasible
        ],
        "points": [_point(p, state) for p in _ordered(state.points)],
        "elapsedS": round(ledger.elapsed_s, 1),
        "gpuSeconds": round(sum(stay.gpu_s for stay in ledger.stays), 1),
        "notes": [*plan.notes, *ledger.notes],
    }


def _selection(chosen: Selection) -> Mapping[str, Any]:
    p, d = chosen.prefill, chosen.decode
    return {
        "shape": chosen.shape.label,
        "aggregated": chosen.aggregated,
        "prefill": {
            "candidate": p.candidate.id,
            "label": p.candidate.label,
            "point": p.point.key,
            "ttftMs": p.ttft_ms + (0.0 if chosen.aggregated else p.handover_ms),
            "tokensPerSPerGpu": round(p.tokens_per_s_per_gpu, 1),
        },
        "decode": {
            "candidate": d.candidate.id,
            "label": d.candidate.label,
            "point": d.point.key,
            "itlMs": d.itl_ms,
            "concurrency": d.point.concurrency,
            "tokensPerSPerGpu": round(d.tokens_per_s_per_gpu, 1),
        },
    }


def _transfer(transfer: Transfer | None) -> Mapping[str, Any] | None:
    """Return what handing a prompt over costs, and who says so; None where one engine does both."""
    if transfer is None:
        return None
    return {
        "source": transfer.source or "unknown",
        "inTtft": transfer.in_ttft,
        "bytesPerToken": transfer.bytes_per_token,
        "msPerToken": transfer.ms_per_token,
    }


def _candidate(
    candidate: Candidate, plan: Plan, state: RunState, ledger: Ledger
) -> Mapping[str, Any]:
    points = [p for p in state.points if p.candidate == candidate.id]
    stays = [stay for stay in ledger.stays if stay.candidate == candidate.id]
    measured = [p for p in points if p.key not in state.reused]
    measuring_s = sum(p.wall_s for p in measured)
    return {
        "id": candidate.id,
        "label": candidate.label,
        "engineGpus": max(candidate.prefill_gpus, candidate.decode_gpus),
        "points": len(points),
        "reusedPoints": len(points) - len(measured),
        "meanSPerPoint": round(measuring_s / len(measured), 2) if measured else None,
        "measuringS": round(measuring_s, 1),
        "deployments": [
            {
                "readyAfterS": _rounded(s.ready_after_s),
                "heldS": _rounded(s.held_s),
                "kvTokens": s.kv_tokens,
                "kvSource": s.kv_source,
                "maxBatch": s.max_batch,
                "contextLength": s.context_length,
            }
            for s in stays
        ],
        "gpuSeconds": round(sum(stay.gpu_s for stay in stays), 1),
        "rejected": state.rejected.get(candidate.id),
    }


def _point(point: Point, state: RunState) -> Mapping[str, Any]:
    """Return a point, with the request that measured it when that was another one."""
    owner = state.reused.get(point.key)
    return point.to_json() if owner is None else {**point.to_json(), "reusedFrom": owner}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _ordered(points: Iterable[Point]) -> list[Point]:
    return sorted(points, key=lambda p: (p.candidate, p.kind, p.isl, p.concurrency))
