"""What it costs to hand a prompt over from the prefill to the decode engine.

A prefill engine that was measured in a pair shows a time to first token with the KV transfer in it,
one that was measured alone shows none. So a pair that is made of roles measured apart would look
faster than it is. Its transfer is taken from where it was measured, in this order:

* the decode engine of a pair counted what it fetched;
* a pair answered later than an engine of the same mapping that kept its prompts: the difference at
  one prompt length, which is all that handing over adds;
* else it is estimated from the size of a token's cache and what the link is said to carry.

Otherwise it is unknown, and whoever reads the prediction is told so.
"""

from collections.abc import Iterable
from dataclasses import replace

from dgdr_api.points import Point, PointKind
from dgdr_api.transfer import Transfer
from dgdr_profiler.core.actions import Plan, RunState
from dgdr_profiler.core.candidate import Candidate, Fetched

# Medians of a few prompts differ by so much of themselves from one time to the next; a difference
# below it says nothing about the transfer.
NOISE_SHARE = 0.05
# Drawn words make prompts of one length differ by a token or two.
SAME_LENGTH = 0.01


def handover(plan: Plan, state: RunState, prefill: Candidate) -> Transfer | None:
    """Return the transfer from a candidate's prefill engine; None where the engine keeps it."""
    if prefill.shape.is_aggregated:
        return None
    found = _fetched(plan, state, prefill) or _difference(plan, state, prefill)
    link = Transfer(
        bytes_per_token=_token_bytes(plan, found),
        gb_per_s=plan.transfer_gb_per_s,
        in_ttft=prefill.shape.is_pair,
    )
    if found is None:
        return link
    return replace(link, measured_ms=round(found.ms, 3), measured_isl=round(found.isl, 1))


def _token_bytes(plan: Plan, found: Fetched | None) -> float | None:
    """Return the cache of a token: as the model says, else as the engine counted it."""
    facts = plan.model.facts
    told = None if facts is None else facts.kv_bytes_per_token
    return told if told is not None or found is None else found.bytes_per_token


def _pairs(plan: Plan, prefill: Candidate) -> list[Candidate]:
    """Return the pairs of the run, the most like this engine first: itself, then by GPUs."""
    pairs = (c for c in plan.candidates if c.shape.is_pair and c.backend == prefill.backend)
    return sorted(
        pairs, key=lambda c: (c != prefill, abs(c.prefill_gpus - prefill.prefill_gpus), c.id)
    )


def _fetched(plan: Plan, state: RunState, prefill: Candidate) -> Fetched | None:
    counted = (state.fetched.get(pair.id) for pair in _pairs(plan, prefill))
    return next((found for found in counted if found is not None), None)


def _difference(plan: Plan, state: RunState, prefill: Candidate) -> Fetched | None:
    found = (_beside_an_engine_alone(plan, state, pair) for pair in _pairs(plan, prefill))
    return next((one for one in found if one is not None), None)


def _beside_an_engine_alone(plan: Plan, state: RunState, pair: Candidate) -> Fetched | None:
    """Compare a pair with an engine of its mapping, at the longest prompt that both answered."""
    alone = [c for c in plan.candidates if not c.shape.is_pair and _is_alike(c, pair)]
    own, others = _ttfts(state.points, [pair]), _ttfts(state.points, alone)
    both = [(o, a) for o in own for a in others if abs(o.isl - a.isl) <= SAME_LENGTH * a.isl]
    if not both:
        return None
    through, kept = max(both, key=lambda two: two[0].isl)
    added_ms = (through.ttft_ms or 0.0) - (kept.ttft_ms or 0.0)
    told = added_ms > NOISE_SHARE * (kept.ttft_ms or 0.0)
    return Fetched(ms=added_ms, isl=through.isl) if told else None


def _is_alike(one: Candidate, pair: Candidate) -> bool:
    return one.backend == pair.backend and one.mapping(PointKind.PREFILL) == pair.shape.prefill


def _ttfts(points: Iterable[Point], of: Iterable[Candidate]) -> list[Point]:
    ids = {candidate.id for candidate in of}
    return [p for p in points if p.candidate in ids and p.kind is PointKind.PREFILL and p.ttft_ms]
