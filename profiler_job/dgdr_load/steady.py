"""The steady part of a phase: every slot decoding, none yet drained.

A phase of n requests in flight starts with n prefills and ends with fewer and fewer requests.
Averages over all of it mix batch sizes; the stretch between is what a point of a curve means.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestTimes:
    """One answered request, on one clock, in seconds."""

    sent_s: float
    first_token_s: float
    last_token_s: float
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """Decode figures of the steady part.

    ``batch`` is the number of requests that decoded together with an average token: 1 for requests
    one after another, however long the pauses between them are.
    """

    batch: float
    itl_ms: float
    output_tokens_per_s: float
    window_s: float


def steady(requests: Sequence[RequestTimes], concurrency: int) -> Steady | None:
    """Return the decode figures of the steady part, or None where there is none.

    There is none when fewer requests were sent than twice the slots, or when no token fell in.
    """
    window = _window(requests, concurrency)
    if window is None:
        return None
    start_s, end_s = window
    spans = [(r, *_clip(r, start_s, end_s)) for r in requests if r.output_tokens > 1]
    busy_s = sum(end - begin for _, begin, end in spans)
    tokens = sum(_tokens(r, begin, end) for r, begin, end in spans)
    if tokens <= 0:
        return None
    return Steady(
        batch=_squared_s([(begin, end) for _, begin, end in spans]) / busy_s,
        itl_ms=1000 * busy_s / tokens,
        output_tokens_per_s=tokens / (end_s - start_s),
        window_s=end_s - start_s,
    )


def _window(requests: Sequence[RequestTimes], concurrency: int) -> tuple[float, float] | None:
    if len(requests) < 2 * concurrency:
        return None
    filled_s = sorted(r.first_token_s for r in requests)[concurrency - 1]
    last = max(requests, key=lambda r: r.sent_s)
    # From first token to first token: as many prefills as decodes are inside.
    ended_s = min(r.last_token_s for r in requests if r.last_token_s > last.sent_s)
    drains_s = min(last.first_token_s, ended_s)
    return (filled_s, drains_s) if drains_s > filled_s else None


def _clip(request: RequestTimes, start_s: float, end_s: float) -> tuple[float, float]:
    begin = max(request.first_token_s, start_s)
    return begin, max(begin, min(request.last_token_s, end_s))


def _tokens(request: RequestTimes, begin_s: float, end_s: float) -> float:
    """Tokens of one request in a stretch; an engine emits them evenly enough."""
    decode_s = request.last_token_s - request.first_token_s
    return (request.output_tokens - 1) * (end_s - begin_s) / decode_s if decode_s > 0 else 0.0


def _squared_s(spans: Sequence[tuple[float, float]]) -> float:
    """Return the integral of (number of open spans) squared over time."""
    edges = sorted([(begin, 1) for begin, _ in spans] + [(end, -1) for _, end in spans])
    total, open_spans = 0.0, 0
    for (at_s, change), (next_s, _) in pairwise(edges):
        open_spans += change
        total += open_spans**2 * (next_s - at_s)
    return total
