"""What is asked for: the load, and the latencies that must hold under it."""

import math
from dataclasses import dataclass

from dgdr_api.effective import EffectiveSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The load to plan for; at most one of rate and concurrency is set."""

    isl: int
    osl: int
    request_rate_per_s: float | None = None
    concurrency: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Either ``ttft_ms`` and ``itl_ms``, or ``e2e_ms`` for a whole answer of ``osl`` tokens."""

    osl: int
    ttft_ms: float | None = None
    itl_ms: float | None = None
    e2e_ms: float | None = None

    def hold(self, ttft_ms: float, itl_ms: float) -> bool:
        """Whether latencies are within the targets."""
        if self.e2e_ms is not None:
            return self.e2e(ttft_ms, itl_ms) <= self.e2e_ms
        return self.ttft_holds(ttft_ms) and self.itl_holds(itl_ms)

    def ttft_holds(self, ttft_ms: float) -> bool:
        """Whether a first token comes in time, as far as that can be said alone."""
        limit = self.e2e_ms if self.ttft_ms is None else self.ttft_ms
        return limit is None or ttft_ms <= limit

    def itl_holds(self, itl_ms: float) -> bool:
        """Whether tokens follow in time, as far as that can be said alone."""
        return self.itl_ms is None or itl_ms <= self.itl_ms

    def e2e(self, ttft_ms: float, itl_ms: float) -> float:
        """Time of a whole answer."""
        return ttft_ms + itl_ms * (self.osl - 1)

    def itl_limit_ms(self, ttft_ms: float) -> float:
        """Slowest tokens that are still in time behind this first token; 0 when none are."""
        if self.e2e_ms is None:
            return float("inf") if self.itl_ms is None else self.itl_ms
        return max(0.0, (self.e2e_ms - ttft_ms) / max(1, self.osl - 1))

    def miss(self, ttft_ms: float, itl_ms: float) -> float:
        """How many times latencies are over their targets, multiplied; 1 when all hold.

        A latency within its target does not make up for another one beyond it.
        """
        if self.e2e_ms is not None:
            return max(1.0, self.e2e(ttft_ms, itl_ms) / self.e2e_ms)
        pairs = ((ttft_ms, self.ttft_ms), (itl_ms, self.itl_ms))
        ratios = [max(1.0, value / limit) for value, limit in pairs if limit is not None]
        return math.prod(ratios)

    def __str__(self) -> str:
        if self.e2e_ms is not None:
            return f"a whole answer in {self.e2e_ms:g} ms"
        return f"TTFT {self.ttft_ms:g} ms, ITL {self.itl_ms:g} ms"


def workload_of(wanted: EffectiveSpec) -> Workload:
    """Return the load of a request."""
    return Workload(
        isl=wanted.isl,
        osl=wanted.osl,
        request_rate_per_s=wanted.request_rate_per_s,
        concurrency=wanted.concurrency,
    )


def targets_of(wanted: EffectiveSpec) -> Targets:
    """Return the targets of a request."""
    return Targets(
        osl=wanted.osl,
        ttft_ms=wanted.ttft_ms,
        itl_ms=wanted.itl_ms,
        e2e_ms=wanted.e2e_latency_ms,
    )
