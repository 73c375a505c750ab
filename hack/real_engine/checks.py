"""What has to hold of a real engine, as values that are compared and shown. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dgdr_api.models.worker_metadata import ModelCard
from dgdr_perf.engine_profile import EngineProfile
from hack.real_engine.exposition import PromptTokens

TOLERANCE = 0.20


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One statement, with what was wanted and what was seen."""

    what: str
    wanted: float | None
    seen: float | None
    tolerance: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether both are known and near enough."""
        if self.wanted is None or self.seen is None:
            return False
        return abs(self.seen - self.wanted) <= self.tolerance * abs(self.wanted)

    def __str__(self) -> str:
        verdict = "ok  " if self.holds else "FAIL"
        off = ""
        if self.tolerance and self.wanted and self.seen is not None:
            off = f"  ({100 * (self.seen / self.wanted - 1):+.1f} %)"
        return f"{verdict}  {self.what}: {self.seen}, wanted {self.wanted}{off}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """So many requests of ``osl`` tokens: ``concurrency`` in flight, or at random at a rate."""

    requests: int
    osl: int
    concurrency: int | None = None
    rate_per_s: float | None = None

    @property
    def alone(self) -> bool:
        """Whether no request meets another."""
        return self.concurrency == 1

    def __str__(self) -> str:
        return f"{self.rate_per_s}/s" if self.concurrency is None else f"c{self.concurrency}"


def at_random(profile: EngineProfile, isl: int, osl: int, share: float, requests: int) -> Offered:
    """Return arrivals whose prompts take a ``share`` of one engine's time, however fast it is."""
    prompt_s = profile.prefill.ttft_ms(isl).value_ms / 1000.0
    return Offered(requests=requests, osl=osl, rate_per_s=round(share / prompt_s, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSeen:
    """One load on the deployment, as AIPerf saw it."""

    offered: Offered
    sent: int
    completed: int
    isl: float
    osl: float
    ttft_ms: float
    itl_ms: float
    tokens_per_s: float

    @classmethod
    def of(cls, offered: Offered, result: Mapping[str, Any]) -> "LoadSeen":
        """Read what ``dgdr_bench`` printed, and of it what the profile's points are: a median time
        to first token, and a mean time between tokens.
        """
        return cls(
            offered=offered,
            sent=result["sent"],
            completed=result["completed"],
            isl=result["islMean"],
            osl=result["oslMean"],
            ttft_ms=result["ttftMs"]["p50"],
            itl_ms=result["itlMs"]["avg"],
            tokens_per_s=result["outputTokensPerS"],
        )

    @property
    def batch(self) -> float:
        """Requests that decode at once, on average, by Little's law."""
        return max(1.0, self.tokens_per_s * self.itl_ms / 1000)

    @property
    def rate_per_s(self) -> float:
        """Requests that were answered in a second."""
        return self.tokens_per_s / self.osl


def transfer_checks(
    prefill: PromptTokens, decode: PromptTokens, asked_tokens: float | None
) -> Iterator[Check]:
    """Say that each prompt was computed once, by the prefill engine, and handed over whole.

    Args:
        prefill: of all prefill workers, since they started.
        decode: of all decode workers, since they started.
        asked_tokens: prompt tokens that the frontend counted.
    """
    yield Check(what="prompt tokens decode fetched", wanted=asked_tokens, seen=decode.transferred)
    yield Check(what="prompt tokens decode computed", wanted=0, seen=decode.computed)
    yield Check(what="prompt tokens prefill computed", wanted=asked_tokens, seen=prefill.computed)


def capacity_checks(
    points: Sequence[Mapping[str, Any]], card: ModelCard, engine_kv_tokens: int | None
) -> Iterator[Check]:
    """Say that profile and engine have the same limits."""
    decode = next(point for point in points if point["kind"] == "decode")
    yield Check(
        what="KV tokens in the profile",
        wanted=engine_kv_tokens,
        seen=decode.get("maxKvTokens"),
    )
    yield Check(
        what="KV tokens in the worker's metadata",
        wanted=engine_kv_tokens,
        seen=card.kv_capacity_tokens,
    )
    yield Check(
        what="batch limit in the profile", wanted=card.max_num_seqs, seen=decode.get("maxBatch")
    )


def latency_checks(profile: EngineProfile, load: LoadSeen, *, apart: bool) -> Iterator[Check]:
    """Say that the deployment does what the profile predicts.

    A time to first token is predicted for an idle deployment alone: under load it waits in a queue,
    which is the planner's arithmetic and no engine's. Prompts that are not computed ``apart`` take
    their share of the time from the tokens, as ``dgdr_perf.sizing_aggregated`` has it: of requests
    that come at random. A constant number in flight comes in waves that meet each other's prompts
    less.
    """
    yield Check(what=f"requests answered at {load.offered}", wanted=load.sent, seen=load.completed)
    prefill_ms = profile.prefill.ttft_ms(load.isl).value_ms
    if load.offered.alone:
        yield _latency("TTFT", load, load.ttft_ms, prefill_ms)
    context = load.isl + load.osl / 2
    stolen = 0.0 if apart or load.offered.alone else load.rate_per_s * prefill_ms / 1000
    itl_ms = profile.decode.itl_ms(load.batch, context).value_ms / (1 - stolen)
    yield _latency("ITL", load, load.itl_ms, itl_ms)


def _latency(name: str, load: LoadSeen, seen_ms: float, predicted_ms: float) -> Check:
    return Check(
        what=f"{name} in ms at {load.offered}",
        wanted=round(predicted_ms, 1),
        seen=round(seen_ms, 1),
        tolerance=TOLERANCE,
    )
