"""How many replicas a load needs when each prefills and decodes.

Prefill steals step time: while a replica serves ``rate`` requests per second, the share ``rate *
prefill`` of its time (by ``ranks``, where attention has several) is gone, and each token takes
``itl / (1 - rate * prefill)`` on average. Steps carry a prompt together with the running requests
(chunked prefill), so a prompt waits for the step that runs, and its own takes the prefill plus one
decode step. TTFT is held as for prefill replicas and ITL, KV cache and batch as for decode
replicas; the larger need counts. The percentile of ITL is that of the mean over a request: single
tokens that meet a prompt are later by its whole prefill.
"""

import math
from dataclasses import dataclass

from dgdr_api.points import Source
from dgdr_api.provenance import least_certain
from dgdr_perf.curve_fit import Array
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.fewest import fewest
from dgdr_perf.queueing import Dispatch, Wait, wait_at
from dgdr_perf.sizing_decode import Decoding, decode_answer
from dgdr_perf.sizing_prefill import NO_TERMS, Asked, service_time
from dgdr_perf.sizing_result import MOST_REPLICAS, SAME, Binding, Expected, Sizing, rounded_up
from dgdr_perf.workload import PrefillTerms, Prompts, Targets, Workload


def size_aggregated(
    profile: EngineProfile,
    load: Workload,
    targets: Targets,
    dispatch: Dispatch = Dispatch.ROUND_ROBIN,
    terms: PrefillTerms = NO_TERMS,
) -> Sizing:
    """Choose the fewest aggregated replicas that keep both targets."""
    engine = _Engine.of(profile, load, targets, dispatch, terms)
    decode = decode_answer(profile, load, targets, engine.decoding)
    for_ttft = fewest(engine.excess, engine.prefill_busy)
    exact = max(for_ttft, decode.replicas_exact)
    replicas = rounded_up(exact)
    itl_ms = engine.decoding.at(engine.decoding.peak_itl_ms, load.rate_per_s / replicas)
    ttft = Expected(engine.ttft_ms(replicas), engine.ttft_ms(math.inf))
    itl = Expected(itl_ms, decode.alone_ms)
    by_ttft = for_ttft > decode.replicas_exact
    binding = ttft if by_ttft else itl
    holds = ttft.ms <= targets.ttft_ms * SAME and itl.ms <= targets.itl_ms * SAME
    return Sizing(
        replicas=replicas,
        replicas_exact=exact,
        busy=decode.replicas_exact,
        latency_ms=binding.ms,
        alone_ms=binding.alone_ms,
        in_range=decode.in_range and profile.prefill.covers(load.computed(engine.prompts)),
        reachable=holds and decode.fits and exact <= MOST_REPLICAS,
        fits=decode.fits,
        binding=_binding(replicas, Binding.TTFT if by_ttft else decode.binding),
        source=_either(profile.prefill.source, profile.decode.source),
        ttft=ttft,
        itl=itl,
        late_alone=1.0 - engine.possible(replicas),
    )


@dataclass(frozen=True, slots=True)
class _Engine:
    """What does not depend on the number of replicas; ``prefill_s`` has shape (classes,)."""

    load: Workload
    targets: Targets
    dispatch: Dispatch
    terms: PrefillTerms
    prompts: Prompts
    prefill_s: Array
    ranks: int
    decoding: Decoding

    @classmethod
    def of(
        cls,
        profile: EngineProfile,
        load: Workload,
        targets: Targets,
        dispatch: Dispatch,
        terms: PrefillTerms,
    ) -> "_Engine":
        prompts = load.prompts()
        prefill_s = profile.prefill.ttft_of_lengths(load.computed(prompts)) / 1000.0
        mean_s = float(prompts.shares @ prefill_s)
        ranks = profile.prefill.ranks
        decoding = Decoding.of(profile, load, targets, mean_s / ranks)
        return cls(load, targets, dispatch, terms, prompts, prefill_s, ranks, decoding)

    @property
    def prefill_busy(self) -> float:
        """Replicas that prefill alone would keep busy."""
        mean_s = float(self.prompts.shares @ self.prefill_s)
        return self.load.rate_per_s * mean_s / self.ranks

    def excess(self, replicas: float) -> float:
        """How far the wait is from what the TTFT target allows; above 0 is too long."""
        return self._asked(replicas).excess(self._wait(replicas))

    def ttft_ms(self, replicas: float) -> float:
        """Time to first token at the percentile of the targets."""
        return 1000.0 * self._asked(replicas).latency_s(self._wait(replicas))

    def possible(self, replicas: float) -> float:
        """Share of the prompts that can be in time."""
        return self._asked(replicas).possible

    def _wait(self, replicas: float) -> Wait:
        seconds = self.prefill_s + self._step_s(replicas)
        service = service_time(self.load, self.prompts.shares, seconds)
        servers = replicas * self.ranks
        return wait_at(self.dispatch, self.load.rate_per_s, servers, service)

    def _asked(self, replicas: float) -> Asked:
        alone_s = self.prefill_s + 2.0 * self._step_s(replicas)
        alone_s = alone_s + self.terms.of(self.prompts.isl) / 1000.0
        return Asked.of(self.prompts.shares, alone_s, self.targets)

    def _step_s(self, replicas: float) -> float:
        """Decode step that a prompt meets: none where no request is decoded."""
        rate_per_s = self.load.rate_per_s / replicas
        decoding = 1.0 - math.exp(-self.decoding.others_at(rate_per_s))
        return decoding * self.decoding.at(self.decoding.step_ms, rate_per_s) / 1000.0


def _binding(replicas: int, binding: Binding) -> Binding:
    if replicas >= MOST_REPLICAS:
        return Binding.LIMIT
    return Binding.FLOOR if replicas == 1 else binding


def _either(*sources: Source | None) -> Source | None:
    known = [source for source in sources if source is not None]
    if Source.ESTIMATED in known:
        return Source.ESTIMATED
    return least_certain(known) if len(known) == len(sources) else None
