"""Which candidate first, before anything is measured."""

from collections.abc import Sequence

from dgdr_profiler.core.candidate import Candidate


def by_promise(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Order candidates so that the likely winner comes first; aggregated engines come last.

    Throughput per GPU falls with every doubling, because GPUs wait for each other; a small engine
    that holds the targets therefore wins, is the cheapest to measure, and leaves the most GPUs to
    the next. What an aggregated engine can do is estimated from the others.
    """
    return tuple(sorted(candidates, key=lambda c: (c.shape.is_aggregated, c.shape.largest.gpus)))
