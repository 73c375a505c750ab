"""One load against an endpoint that runs already, and what came of it as one JSON object."""

import json
import math
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dgdr_load.load import LoadPhase, LoadSpec, SyntheticPrompts
from dgdr_load.results import LoadResult, Percentiles
from dgdr_load.runner import run

PHASE = "load"
# A prompt that is sent again meets the prefix cache, so each is sent once, as far as AIPerf can
# make them: these take it 45 s and 320 MB on two busy cores, and it gives up after 300 s.
MOST_PROMPTS = 20_000
MOST_PROMPT_TOKENS = 20_000_000
# Faster than engines are: how many answers come in a time is only known afterwards.
FASTEST_FIRST_TOKEN_S = 0.02
FASTEST_TOKEN_S = 0.002
# Arrivals scatter around their mean; one run in thirty thousand has more.
STANDARD_DEVIATIONS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """What to send where. One of rate and concurrency, one of duration and requests."""

    url: str
    model: str
    tokenizer: str
    isl: int
    osl: int
    request_rate_per_s: float | None = None
    concurrency: int | None = None
    duration_s: float | None = None
    requests: int | None = None
    request_timeout_s: float = 60.0
    grace_s: float = 30.0
    seed: int | None = None


def load_spec(asked: Endpoint, now_ms: int) -> LoadSpec:
    """Return the load; without a seed every call sends prompts that no cache has seen.

    Raises:
        InvalidLoad: a field is missing, doubled or not positive.
    """
    phase = LoadPhase(
        name=PHASE,
        concurrency=asked.concurrency,
        request_rate_per_s=asked.request_rate_per_s,
        requests=asked.requests,
        duration_s=asked.duration_s,
    )
    return LoadSpec(
        url=asked.url,
        model=asked.model,
        tokenizer=asked.tokenizer,
        prompts=SyntheticPrompts(isl=asked.isl, osl=asked.osl, entries=_prompts(asked)),
        phases=(phase,),
        seed=now_ms % 2**31 if asked.seed is None else asked.seed,
        request_timeout_s=asked.request_timeout_s,
        grace_s=asked.grace_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """What came of a load, and how many different prompts it had."""

    result: LoadResult
    prompts: int

    @property
    def warning(self) -> str | None:
        """Says that prompts were sent again, where they were."""
        if self.result.sent <= self.prompts:
            return None
        return (
            f"{self.result.sent} requests were sent over {self.prompts} prompts, so prompts were "
            "sent again: times to first token may be those of a prefix cache"
        )


async def drive(asked: Endpoint) -> Driven:
    """Send the load and return what came of it.

    Raises:
        InvalidLoad: the load cannot be driven.
        LoadFailed: there is no result.
    """
    spec = load_spec(asked, time.time_ns() // 1_000_000)
    with tempfile.TemporaryDirectory(prefix="dgdr-bench-") as folder:
        (result,) = await run(spec, Path(folder))
    return Driven(result=result, prompts=_prompts(asked))


def summary(driven: Driven) -> dict[str, Any]:
    """Return the result as JSON; latencies in milliseconds, null when nothing was answered."""
    result = driven.result
    return {
        "prompts": driven.prompts,
        "sent": result.sent,
        "completed": result.completed,
        "lost": result.lost,
        "errors": result.errors,
        "cancelled": result.cancelled,
        "ttftMs": _rounded(result.ttft_ms),
        "itlMs": _rounded(result.itl_ms),
        "islMean": round(result.isl_mean, 1),
        "oslMean": round(result.osl_mean, 1),
        "effectiveConcurrency": round(result.effective_concurrency, 2),
        "outputTokensPerS": round(result.output_tokens_per_s, 1),
        "durationS": round(result.duration_s, 2),
        "errorMessages": list(result.error_messages),
    }


def text(driven: Driven) -> str:
    """Return the result in one line."""
    return json.dumps(summary(driven))


def _prompts(asked: Endpoint) -> int:
    """Return how many different prompts are made: one for each request, as far as possible."""
    room = min(MOST_PROMPTS, MOST_PROMPT_TOKENS // max(1, asked.isl))
    return max(1, min(room, math.ceil(_most_requests(asked))))


def _most_requests(asked: Endpoint) -> float:
    if asked.requests is not None:
        return asked.requests
    duration_s = asked.duration_s or 0.0
    if asked.request_rate_per_s is not None:
        mean = asked.request_rate_per_s * duration_s
        return mean + STANDARD_DEVIATIONS * math.sqrt(mean)
    fastest_s = FASTEST_FIRST_TOKEN_S + max(0, asked.osl) * FASTEST_TOKEN_S
    return (asked.concurrency or 1) * (1 + duration_s / fastest_s)


def _rounded(latency: Percentiles | None) -> dict[str, float] | None:
    if latency is None:
        return None
    return {name: round(value, 2) for name, value in asdict(latency).items()}
