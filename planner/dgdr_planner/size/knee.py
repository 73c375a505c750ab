"""Where more replicas bring little: what is planned for a target that none of them meets.

A target below a lone request, or just above it, asks for ever more replicas that idle. *Possible*
is what a replica for each request would bring: of TTFT the share of the prompts that are in time,
of ITL, and of a mean, the latency of a lone request. Nine tenths of it is what is planned for then.
"""

from collections.abc import Callable
from dataclasses import replace

from dgdr_perf.sizing import Percentile, Sizing, Targets
from dgdr_perf.sizing_result import Expected

KNEE = 0.9


def at_most_the_knee(answer: Sizing, targets: Targets, size: Callable[[Targets], Sizing]) -> Sizing:
    """Return an answer that meets its targets as it is, and another one no further than the knee.

    ``size`` answers for other targets.
    """
    if answer.reachable or not answer.fits:
        return answer
    found = size(eased(answer, targets))
    if found.replicas >= answer.replicas:
        return answer
    return replace(
        found,
        reachable=False,
        late_alone=answer.late_alone,
        chased=answer.replicas,
        ttft=_alone_of(answer.ttft, found.ttft),
        itl=_alone_of(answer.itl, found.itl),
    )


def eased(answer: Sizing, targets: Targets) -> Targets:
    """Return the targets that nine tenths of what is possible meet."""
    ttft_ms, share = targets.ttft_ms, targets.percentile.share
    if share is None:
        ttft_ms = _nearest(ttft_ms, answer.ttft)
    percentile = targets.percentile if share is None or share <= KNEE else Percentile.P90
    itl_ms = _nearest(targets.itl_ms, answer.itl)
    return Targets(ttft_ms=ttft_ms, itl_ms=itl_ms, percentile=percentile)


def _nearest(target_ms: float, expected: Expected | None) -> float:
    return target_ms if expected is None else max(target_ms, expected.alone_ms / KNEE)


def _alone_of(strict: Expected | None, found: Expected | None) -> Expected | None:
    return None if strict is None or found is None else Expected(found.ms, strict.alone_ms)
