"""The pick: the prefill and the decode engine that serve the load on the fewest GPUs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from dgdr_api.points import Point
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.cells import prefill_ranks
from dgdr_profiler.core.targets import Targets


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillOption:
    """A candidate's measured prefill at the workload's prompt length."""

    candidate: Candidate
    point: Point

    @property
    def ttft_ms(self) -> float:
        """Idle time to first token."""
        return self.point.ttft_ms or 0.0

    @property
    def tokens_per_s(self) -> float:
        """Prompt tokens per second of one engine, one prompt after another on each rank."""
        return 1000 * self.point.isl / self.ttft_ms * prefill_ranks(self.point.concurrency)

    @property
    def tokens_per_s_per_gpu(self) -> float:
        """The same for each of its GPUs."""
        return self.tokens_per_s / self.candidate.engine_gpus


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeOption:
    """A candidate's measured decode at one concurrency."""

    candidate: Candidate
    point: Point

    @property
    def itl_ms(self) -> float:
        """Time between tokens."""
        return self.point.itl_ms or 0.0

    @property
    def tokens_per_s(self) -> float:
        """Output tokens per second of one engine."""
        return self.point.output_tokens_per_s or 0.0

    @property
    def tokens_per_s_per_gpu(self) -> float:
        """The same for each of its GPUs."""
        return self.tokens_per_s / self.candidate.engine_gpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The picked pair. ``sla_reachable`` is False when nothing measured holds the targets."""

    prefill: PrefillOption
    decode: DecodeOption
    sla_reachable: bool
    reason: str


def prefill_options(candidate: Candidate, points: Iterable[Point]) -> tuple[PrefillOption, ...]:
    """Return the options with a latency; a point without one says nothing."""
    return tuple(PrefillOption(candidate=candidate, point=p) for p in points if p.ttft_ms and p.isl)


def decode_options(candidate: Candidate, points: Iterable[Point]) -> tuple[DecodeOption, ...]:
    """Return the options with a latency and a throughput."""
    return tuple(
        DecodeOption(candidate=candidate, point=p)
        for p in points
        if p.itl_ms and p.output_tokens_per_s
    )


def pick(
    prefill: Sequence[PrefillOption],
    decode: Sequence[DecodeOption],
    targets: Targets,
    isl: int,
) -> Selection | None:
    """Return the pair with the fewest GPUs per request among those that hold the targets.

    With separate targets that is the highest throughput per GPU of each role; with one target for
    the whole answer the roles have to be weighed against each other. When no pair holds, the one
    that misses least, and among equals the cheapest. None when a role has no option at all.
    """
    pairs = [_Pair(p, d) for p, d in product(prefill, decode)]
    best = min(
        pairs,
        key=lambda pair: (pair.miss(targets), pair.gpus_per_request(targets.osl, isl)),
        default=None,
    )
    if best is None:
        return None
    holds = targets.hold(best.prefill.ttft_ms, best.decode.itl_ms)
    reason = HOLDS if holds else best.why_not(targets)
    return Selection(prefill=best.prefill, decode=best.decode, sla_reachable=holds, reason=reason)


HOLDS = "highest throughput per GPU among what holds the targets"


@dataclass(frozen=True, slots=True)
class _Pair:
    prefill: PrefillOption
    decode: DecodeOption

    def miss(self, targets: Targets) -> float:
        """How far the pair misses, as a product of ratios; 1 when it holds."""
        return targets.miss(self.prefill.ttft_ms, self.decode.itl_ms)

    def gpus_per_request(self, osl: int, isl: int) -> float:
        """GPU-seconds that one request costs in both roles."""
        return isl / self.prefill.tokens_per_s_per_gpu + osl / self.decode.tokens_per_s_per_gpu

    def why_not(self, targets: Targets) -> str:
        return (
            f"nothing measured holds the targets ({targets}); the nearest has "
            f"TTFT {self.prefill.ttft_ms:.0f} ms and ITL {self.decode.itl_ms:.1f} ms"
        )
