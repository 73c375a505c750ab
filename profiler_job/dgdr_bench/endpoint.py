"""One load against an endpoint that runs already, and what came of it as one JSON object."""

import json
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dgdr_load.load import LoadPhase, LoadSpec, SyntheticPrompts
from dgdr_load.results import LoadResult, Percentiles
from dgdr_load.runner import run

PHASE = "load"
# Different prompts enough that caches see ordinary traffic; more only take time to make.
MOST_PROMPTS = 500


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


async def drive(asked: Endpoint) -> LoadResult:
    """Send the load and return what came of it.

    Raises:
        InvalidLoad: the load cannot be driven.
        LoadFailed: there is no result.
    """
    spec = load_spec(asked, time.time_ns() // 1_000_000)
    with tempfile.TemporaryDirectory(prefix="dgdr-bench-") as folder:
        (result,) = await run(spec, Path(folder))
    return result


def summary(result: LoadResult) -> dict[str, Any]:
    """Return the result as JSON; latencies in milliseconds, null when nothing was answered."""
    return {
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


def text(result: LoadResult) -> str:
    """Return the result in one line."""
    return json.dumps(summary(result))


def _prompts(asked: Endpoint) -> int:
    if asked.requests is not None:
        return min(asked.requests, MOST_PROMPTS)
    per_s = asked.request_rate_per_s or asked.concurrency or 1
    return max(1, min(MOST_PROMPTS, round(per_s * (asked.duration_s or 1))))


def _rounded(latency: Percentiles | None) -> dict[str, float] | None:
    if latency is None:
        return None
    return {name: round(value, 2) for name, value in asdict(latency).items()}
