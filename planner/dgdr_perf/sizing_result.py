"""The answer of every sizing: a number, and how far it can be trusted."""

import math
from dataclasses import dataclass
from enum import StrEnum

from dgdr_api.points import Source

# Beyond any cluster; stops the search on absurd input.
MOST_REPLICAS = 10_000
# Of a replica: the noise of root finding is no reason for one more.
NOISE = 1e-6
# A latency within this factor of its target meets it: rounding, root finding.
SAME = 1.0 + 1e-4


class Binding(StrEnum):
    """What the number of replicas is due to."""

    FLOOR = "floor"
    """One replica is more than enough."""
    THROUGHPUT = "throughput"
    """With fewer the queue would grow without end."""
    TTFT = "ttft"
    ITL = "itl"
    KV = "kv"
    """Room for the KV cache of the requests in flight."""
    BATCH = "batch"
    """Requests that an engine runs at once."""
    LIMIT = "limit"
    """No number up to ``MOST_REPLICAS`` would do."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One latency with the replicas of an answer, and without any other request."""

    ms: float
    alone_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """Replicas of one role, and why.

    ``replicas_exact`` is the continuous need that ``replicas`` rounds up; ``busy`` the load in
    replicas at full use. ``latency_ms`` is expected with ``replicas``, at the percentile of the
    targets; ``alone_ms`` that of a request without any other. ``in_range``: nothing was read
    outside of what the profile covers. ``source`` says whether the curve was measured; None is
    unknown. ``fits``: enough of the requests fit into an empty KV cache. ``ttft`` and ``itl`` are
    those that the role answers for; of an aggregated engine, which has both, ``latency_ms`` and
    ``alone_ms`` repeat the binding one. ``late_alone`` is the share of the prompts that miss the
    TTFT target without any other: no percentile is promised of them. ``chased`` are the replicas
    that the target itself would be given where the answer is for less than it.
    """

    replicas: int
    replicas_exact: float
    busy: float
    latency_ms: float
    alone_ms: float
    in_range: bool
    reachable: bool
    binding: Binding
    source: Source | None = None
    fits: bool = True
    ttft: Expected | None = None
    itl: Expected | None = None
    late_alone: float = 0.0
    chased: int | None = None


def rounded_up(exact: float) -> int:
    """Replicas for a continuous need: at least one, at most ``MOST_REPLICAS``."""
    if not exact < MOST_REPLICAS:
        return MOST_REPLICAS
    return max(1, math.ceil(exact - NOISE * max(exact, 1.0)))
