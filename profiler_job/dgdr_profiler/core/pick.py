"""The pick: the engines that serve the load on the fewest GPUs.

A request that names its load is served by whole replicas, so the engines that win are those whose
replicas, sized as the planner sizes them, hold the targets on the fewest GPUs. A request without a
load gets the highest throughput per GPU. Pairs compete with aggregated engines, and the two roles
of a pair may come from different candidates.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from dgdr_api.graph import Role
from dgdr_api.planner_config import PlannerKeys
from dgdr_profiler.core.engine_curves import EngineCurves
from dgdr_profiler.core.options import Engines, Offer
from dgdr_profiler.core.sizing import Need, Replicas, at_least, bounds_of, within
from dgdr_profiler.core.targets import Targets, Workload

HOLDS = "highest throughput per GPU among what holds the targets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection(Engines):
    """The picked engines.

    ``sla_reachable`` is False when nothing measured holds the targets, or, under a named load, when
    no number of replicas would.
    """

    sla_reachable: bool
    reason: str


def pick(
    offer: Offer,
    workload: Workload,
    targets: Targets,
    total_gpus: int | None = None,
    fewest: Mapping[Role, int] = MappingProxyType({}),
) -> Selection | None:
    """Return the engines that hold the targets on the fewest GPUs; None when there are none.

    When none hold, those that miss least, and among equals the cheapest. What ``total_gpus`` do not
    hold once, or ``fewest`` times where a role has that many replicas at least, cannot be deployed,
    however good it is.
    """
    engines = [
        one for one in offer.engines() if total_gpus is None or one.least_gpus(fewest) <= total_gpus
    ]
    if not engines:
        return None
    if workload.request_rate_per_s is None and workload.concurrency is None:
        return _by_throughput(engines, workload, targets)
    return _by_replicas(offer, _worth_sizing(engines, workload, targets), workload, targets)


def replicas(
    chosen: Selection,
    curves: EngineCurves,
    workload: Workload,
    targets: Targets,
    total_gpus: int | None,
    planner: PlannerKeys | None = None,
) -> Replicas:
    """Return the replicas that the deployment starts with; the fewest when no load is named.

    By the whole curves of the picked engines, as the planner will read them, and between the bounds
    that it will keep: what it would take away at once is not deployed.
    """
    bounds = None if planner is None else bounds_of(planner, chosen.gpus_each)
    need = chosen.need(curves, workload, targets)
    if need is None:
        return at_least(chosen.gpus_each, bounds)
    return within(need, total_gpus, bounds, planner.max_gpu_budget if planner else None)


def _by_throughput(engines: Sequence[Engines], workload: Workload, targets: Targets) -> Selection:
    best = min(engines, key=lambda one: _promise(one, workload, targets))
    ttft_ms, itl_ms = best.ttft_ms, best.itl_ms(workload.osl)
    if targets.hold(ttft_ms, itl_ms):
        return _selection(best, True, HOLDS)
    return _selection(best, False, _nearest(targets, ttft_ms, itl_ms))


def _promise(one: Engines, workload: Workload, targets: Targets) -> tuple[float, float]:
    return one.miss(workload, targets), one.gpus_per_request(workload)


def _worth_sizing(
    engines: Iterable[Engines], workload: Workload, targets: Targets
) -> list[Engines]:
    """Keep one batch for each choice of engines: the one with the most throughput in the targets.

    Sizing reads all batches from the curve. Only a target for the whole answer is shared out
    between the roles by the batch, so that each is another choice.
    """
    if targets.e2e_ms is not None:
        return list(engines)
    best: dict[tuple[str, str, bool], Engines] = {}
    for one in sorted(engines, key=lambda one: _promise(one, workload, targets)):
        best.setdefault((one.prefill.candidate.id, one.decode.candidate.id, one.aggregated), one)
    return list(best.values())


def _by_replicas(
    offer: Offer, engines: Sequence[Engines], workload: Workload, targets: Targets
) -> Selection:
    sized = [
        (one, need)
        for one in engines
        if (need := one.need(offer.curves(one), workload, targets)) is not None
    ]
    best, need = min(sized, key=lambda pair: _cost(pair[0], pair[1], workload, targets))
    load = f"{need.rate_per_s:.3g} requests/s"
    if need.reachable:
        return _selection(best, True, f"fewest GPUs that hold the targets under {load}: {need}")
    nearest = _nearest(targets, need.ttft_ms, need.itl_ms)
    return _selection(best, False, f"{nearest} under {load}")


def _cost(
    one: Engines, need: Need, workload: Workload, targets: Targets
) -> tuple[bool, float, int, float]:
    """Order engines: what holds, then what misses least, then GPUs, then their use."""
    miss = 1.0 if need.reachable else targets.miss(need.ttft_ms, need.itl_ms)
    return not need.reachable, miss, need.gpus, one.gpus_per_request(workload)


def _selection(best: Engines, holds: bool, reason: str) -> Selection:
    return Selection(
        prefill=best.prefill,
        decode=best.decode,
        aggregated=best.aggregated,
        sla_reachable=holds,
        reason=reason,
    )


def _nearest(targets: Targets, ttft_ms: float, itl_ms: float) -> str:
    return (
        f"nothing measured holds the targets ({targets}); the nearest has "
        f"TTFT {ttft_ms:.0f} ms and ITL {itl_ms:.1f} ms"
    )
