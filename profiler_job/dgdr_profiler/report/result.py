"""Everything that a finished run stores."""

import json

from dgdr_api.effective import effective
from dgdr_api.names import OutputKey
from dgdr_api.points import Point, PointKind
from dgdr_api.request import ProfilingRequest
from dgdr_perf.npz import write_decode, write_prefill
from dgdr_profiler.core.actions import Plan, RunState
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.curves import decode_data, prefill_data
from dgdr_profiler.core.pick import Selection
from dgdr_profiler.core.progress import describe
from dgdr_profiler.core.render import Setting, final_config, final_graph
from dgdr_profiler.core.report import Ledger, report
from dgdr_profiler.core.sizing import replicas
from dgdr_profiler.core.strategy import known
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
    wanted = effective(request.spec)
    prefill_points = known(plan, state, chosen.prefill.candidate).of_kind(PointKind.PREFILL)
    decode_points = known(plan, state, chosen.decode.candidate).of_kind(PointKind.DECODE)
    max_kv_tokens = chosen.decode.point.max_kv_tokens or 0
    prefill, decode = prefill_data(prefill_points), decode_data(decode_points, max_kv_tokens)
    engine = final_engine(request, wanted, max_kv_tokens)
    count = replicas(chosen, plan.demand.workload, plan.total_gpus)
    graph = final_graph(engine, setting, chosen, count)
    report_json = {**report(plan, state, chosen, ledger), "shortage": count.shortage}
    itl_limit_ms = plan.demand.targets.itl_limit_ms(chosen.prefill.ttft_ms)
    return Result(
        texts={
            OutputKey.FINAL_CONFIG.value: final_config(setting, graph, chosen),
            OutputKey.PREFILL_JSON.value: prefill.to_json(),
            OutputKey.DECODE_JSON.value: decode.to_json(),
            OutputKey.REPORT.value: json.dumps(report_json, indent=1),
        },
        binaries={
            OutputKey.PREFILL_NPZ.value: write_prefill(prefill),
            OutputKey.DECODE_NPZ.value: write_decode(decode),
            PREFILL_PNG: prefill_png(
                prefill,
                _drawn(prefill_points),
                _titles(request, chosen.prefill.candidate),
                plan.demand.targets.ttft_ms,
            ),
            DECODE_PNG: decode_png(
                decode,
                _drawn(decode_points),
                _titles(request, chosen.decode.candidate),
                itl_limit_ms,
            ),
        },
        message="; ".join(filter(None, (describe(chosen), count.shortage))),
    )


def _drawn(points: tuple[Point, ...]) -> tuple[Point, ...]:
    return tuple(sorted(points, key=lambda p: (p.isl, p.concurrency)))


def _titles(request: ProfilingRequest, candidate: Candidate) -> Titles:
    return Titles(
        model=request.spec.model,
        mapping=candidate.label,
        gpu=request.hardware.gpu_sku or "GPUs of unknown product",
    )
