"""What may be picked: the engines that were measured, each at one of its measured batches."""

from collections.abc import Iterable, Sequence
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from itertools import product

from dgdr_api.graph import Role
from dgdr_api.points import Point, PointKind
from dgdr_api.transfer import Transfer
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.cells import prefill_ranks
from dgdr_profiler.core.curves import batch
from dgdr_profiler.core.engine_curves import EngineCurves
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.core.sizing import (
    Need,
    aggregated_need,
    load_of,
    pair_need,
    rate_per_s,
    role_targets,
)
from dgdr_profiler.core.targets import Targets, Workload

# An aggregated engine answers after the step that runs, and the one in which its prompt is.
STEPS_BEFORE_FIRST_TOKEN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillOption:
    """A candidate's measured prefill at the workload's prompt length.

    ``transfer`` is what handing the prompt over costs, where the engine does not keep it.
    """

    candidate: Candidate
    point: Point
    transfer: Transfer | None = None

    @property
    def mapping(self) -> Mapping | None:
        """How the engine is spread."""
        return self.candidate.mapping(PointKind.PREFILL)

    @property
    def gpus(self) -> int:
        """GPUs of one engine."""
        return self.candidate.prefill_gpus

    @property
    def ttft_ms(self) -> float:
        """Idle time to first token."""
        return self.point.ttft_ms or 0.0

    @property
    def handover_ms(self) -> float:
        """Time of the KV transfer that ``ttft_ms`` does not hold; 0 where it is unknown."""
        return 0.0 if self.transfer is None else self.transfer.added_ms_per_token * self.point.isl

    @property
    def ranks(self) -> int:
        """Attention ranks, which prefill side by side."""
        return prefill_ranks(self.point.concurrency)

    @property
    def tokens_per_s(self) -> float:
        """Prompt tokens per second of one engine, one prompt after another on each rank."""
        return 1000 * self.point.isl / self.ttft_ms * self.ranks

    @property
    def tokens_per_s_per_gpu(self) -> float:
        """The same for each of its GPUs."""
        return self.tokens_per_s / self.gpus


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeOption:
    """A candidate's measured decode at one concurrency."""

    candidate: Candidate
    point: Point

    @property
    def mapping(self) -> Mapping | None:
        """How the engine is spread."""
        return self.candidate.mapping(PointKind.DECODE)

    @property
    def gpus(self) -> int:
        """GPUs of one engine."""
        return self.candidate.decode_gpus

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
        return self.tokens_per_s / self.gpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Engines:
    """What may be picked: a prefill and a decode engine, or one engine that does both.

    ``aggregated``: both options are of the same engine, each measured without the other's work.
    """

    prefill: PrefillOption
    decode: DecodeOption
    aggregated: bool = False

    @property
    def shape(self) -> Shape:
        """The engines that are deployed."""
        prefill, decode = self.prefill.mapping, self.decode.mapping
        return Shape(worker=decode) if self.aggregated else Shape(prefill=prefill, decode=decode)

    @property
    def gpus(self) -> int:
        """GPUs of all engines, one of each role."""
        return sum(self.gpus_each.values())

    @property
    def gpus_each(self) -> MappingOf[Role, int]:
        """GPUs of one engine of each role."""
        if self.aggregated:
            return {Role.WORKER: self.decode.gpus}
        return {Role.PREFILL: self.prefill.gpus, Role.DECODE: self.decode.gpus}

    def least_gpus(self, fewest: MappingOf[Role, int]) -> int:
        """GPUs of a deployment in which each role has its fewest replicas, one if not named."""
        return sum(fewest.get(role, 1) * each for role, each in self.gpus_each.items())

    @property
    def ttft_ms(self) -> float:
        """Time to first token while the engines hold the batch of ``decode``, nothing waiting."""
        if self.aggregated:
            return self.prefill.ttft_ms + STEPS_BEFORE_FIRST_TOKEN * self.decode.itl_ms
        return self.prefill.ttft_ms + self.prefill.handover_ms

    @property
    def transfer(self) -> Transfer | None:
        """What lies between the engines; None where there is but one."""
        return None if self.aggregated else self.prefill.transfer

    def itl_ms(self, osl: int) -> float:
        """Time between tokens at full throughput.

        An engine that prefills too stops decoding for every prompt: while a request gets its
        ``osl`` tokens, each of the others in the batch of its rank is replaced once.
        """
        if not self.aggregated:
            return self.decode.itl_ms
        of_a_rank = batch(self.decode.point) / self.prefill.ranks
        return self.decode.itl_ms + self.prefill.ttft_ms * of_a_rank / osl

    def gpus_per_request(self, workload: Workload) -> float:
        """GPU-seconds that one request costs."""
        return (
            workload.isl / self.prefill.tokens_per_s_per_gpu
            + workload.osl / self.decode.tokens_per_s_per_gpu
        )

    def miss(self, workload: Workload, targets: Targets) -> float:
        """How far the engines miss, as a product of ratios; 1 when they hold."""
        return targets.miss(self.ttft_ms, self.itl_ms(workload.osl))

    def need(self, curves: EngineCurves, workload: Workload, targets: Targets) -> Need | None:
        """Return what the load needs of engines with these curves; None when it names none."""
        itl_ms = self.itl_ms(workload.osl)
        rate = rate_per_s(workload, self.ttft_ms, itl_ms)
        if rate is None:
            return None
        load, asked = load_of(workload, rate), role_targets(targets, itl_ms)
        if self.aggregated:
            return aggregated_need(curves, self.prefill.gpus, load, asked)
        return pair_need(curves, (self.prefill.gpus, self.decode.gpus), load, asked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """All that may be picked. ``aggregated`` holds one entry for each measured batch."""

    prefill: Sequence[PrefillOption] = ()
    decode: Sequence[DecodeOption] = ()
    aggregated: Sequence[Engines] = ()

    def engines(self) -> list[Engines]:
        """Return every pair of one backend, and what is aggregated."""
        pairs = product(self.prefill, self.decode)
        return [
            *(Engines(prefill=p, decode=d) for p, d in pairs if _is_of_one_backend(p, d)),
            *self.aggregated,
        ]

    def curves(self, of: Engines) -> EngineCurves:
        """Return the curves through all points of these engines."""
        prefill, decode = self.prefill, self.decode
        if of.aggregated:
            prefill = [one.prefill for one in self.aggregated]
            decode = [one.decode for one in self.aggregated]
        return EngineCurves.of(
            (o.point for o in prefill if o.candidate == of.prefill.candidate),
            (o.point for o in decode if o.candidate == of.decode.candidate),
            of.transfer,
        )


def _is_of_one_backend(prefill: PrefillOption, decode: DecodeOption) -> bool:
    """No backend reads another one's keys and values."""
    return prefill.candidate.backend == decode.candidate.backend


def prefill_options(
    candidate: Candidate, points: Iterable[Point], transfer: Transfer | None = None
) -> tuple[PrefillOption, ...]:
    """Return the options with a latency; a point without one says nothing."""
    return tuple(
        PrefillOption(candidate=candidate, point=p, transfer=transfer)
        for p in points
        if p.ttft_ms and p.isl
    )


def decode_options(candidate: Candidate, points: Iterable[Point]) -> tuple[DecodeOption, ...]:
    """Return the options with a latency and a throughput."""
    return tuple(
        DecodeOption(candidate=candidate, point=p)
        for p in points
        if p.itl_ms and p.output_tokens_per_s
    )


def aggregated_options(
    candidate: Candidate, prefill: Iterable[Point], decode: Iterable[Point]
) -> tuple[Engines, ...]:
    """Return the options of an engine that does both, by its prefill and its decode points."""
    pairs = product(prefill_options(candidate, prefill), decode_options(candidate, decode))
    return tuple(Engines(prefill=p, decode=d, aggregated=True) for p, d in pairs)
