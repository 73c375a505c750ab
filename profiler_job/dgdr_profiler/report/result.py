"""Everything that a finished run stores."""

import json
from collections.abc import Mapping

from dgdr_api.effective import effective
from dgdr_api.names import OutputKey
from dgdr_api.points import Point, PointKind
from dgdr_api.request import ProfilingRequest
from dgdr_perf.mocked import write_mocked
from dgdr_perf.npz import write_decode, write_prefill
from dgdr_profiler.core.actions import Plan, RunState
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.described import Described, described
from dgdr_profiler.core.engine import Engine
from dgdr_profiler.core.engine_curves import EngineCurves
from dgdr_profiler.core.pick import Selection, replicas
from dgdr_profiler.core.progress import describe
from dgdr_profiler.core.render import Setting, final_config, final_graph
from dgdr_profiler.core.report import Ledger, report
from dgdr_profiler.core.strategy import curve_points
from dgdr_profiler.engines.mocker import renamed
from dgdr_profiler.engines.registry import final_engine
from dgdr_profiler.ports import Result
from dgdr_profiler.report.plots import Titles, decode_png, prefill_png

PREFILL_PNG = "prefill_curve.png"
DECODE_PNG = "decode_curve.png"


def result(
    request: ProfilingRequest,
    setting: Setting,
    plan: Plan,
    state: RunState,
    chosen: Selection,
    ledger: Ledger,
) -> Result:
    """Build the result from what was measured.

    Raises:
        TooFewPoints: a curve has too few points.
        InvalidRequest: the deployment cannot be written as asked for.
    """
    prefill_points = curve_points(plan, state, chosen, PointKind.PREFILL)
    decode_points = curve_points(plan, state, chosen, PointKind.DECODE)
    engine, targets = _engine(request, plan, chosen), plan.demand.targets
    count = replicas(
        chosen,
        EngineCurves.of(prefill_points, decode_points, chosen.transfer),
        plan.demand.workload,
        targets,
        plan.total_gpus,
        plan.planner,
    )
    graph = final_graph(engine, setting, chosen, count)
    replayed = effective(request.spec).mocker and not request.policy.uses_mocker
    curves = described(chosen, graph, prefill_points, decode_points, replayed)
    report_json = {**report(plan, state, chosen, ledger), "shortage": count.shortage}
    said = (describe(chosen), count.shortage, renamed(engine.served_model, request.spec.model))
    return Result(
        texts={
            OutputKey.FINAL_CONFIG.value: final_config(setting, graph, chosen),
            OutputKey.PREFILL_JSON.value: curves.prefill.to_json(),
            OutputKey.DECODE_JSON.value: curves.decode.to_json(),
            OutputKey.REPORT.value: json.dumps(report_json, indent=1),
        },
        binaries={
            OutputKey.PREFILL_NPZ.value: write_prefill(curves.prefill),
            OutputKey.DECODE_NPZ.value: write_decode(curves.decode),
            **_replayed(curves, replayed),
            PREFILL_PNG: prefill_png(
                curves.prefill,
                _in_order(prefill_points),
                _titles(request, chosen.prefill.candidate),
                targets.ttft_ms,
            ),
            DECODE_PNG: decode_png(
                curves.decode,
                _in_order(decode_points),
                _titles(request, chosen.decode.candidate),
                targets.itl_limit_ms(chosen.prefill.ttft_ms),
            ),
        },
        message="; ".join(filter(None, said)),
    )


def _engine(request: ProfilingRequest, plan: Plan, chosen: Selection) -> Engine:
    """Return the engine that is deployed, with what one rank of it was measured to hold."""
    decoding = chosen.decode.candidate
    rank_kv_tokens = (chosen.decode.point.max_kv_tokens or 0) // decoding.ranks(PointKind.DECODE)
    return final_engine(
        request, effective(request.spec), rank_kv_tokens, decoding.backend, plan.model.facts
    )


def _replayed(curves: Described, replayed: bool) -> Mapping[str, bytes]:
    if not replayed:
        return {}
    return {OutputKey.MOCKER_NPZ.value: write_mocked(curves.prefill, curves.decode)}


def _in_order(points: tuple[Point, ...]) -> tuple[Point, ...]:
    return tuple(sorted(points, key=lambda p: (p.isl, p.concurrency)))


def _titles(request: ProfilingRequest, candidate: Candidate) -> Titles:
    return Titles(
        model=request.spec.model,
        mapping=candidate.label,
        gpu=request.hardware.gpu_sku or "GPUs of unknown product",
    )
