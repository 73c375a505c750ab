"""What an engine's arguments have to respect: the memory of its GPUs, its model, and its load."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from dgdr_profiler.core.demand import TEMPLATE_TOKENS, longest_prompt
from dgdr_profiler.core.memory import (
    SGLANG_SHARE,
    VLLM_SHARE,
    beside,
    longest_context,
    sglang_bytes,
)
from dgdr_profiler.core.model import ModelFacts
from dgdr_profiler.core.shape import Mapping

STEP_TOKENS = 256
"""Lengths are multiples of it: every size that blocks and pages of engines have divides it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What is known of one GPU, of the model and of the load; None where nobody said.

    ``vllm_share`` is the part of a GPU that vLLM is told to take; None: what then is left for keys
    and values nobody can tell.
    """

    gpu_bytes: int | None = None
    facts: ModelFacts | None = None
    isl: int | None = None
    osl: int | None = None
    vllm_share: float | None = VLLM_SHARE

    def step_tokens(self, most: int) -> int:
        """Return the tokens of a step that computes the longest measured prompt whole, or most."""
        if self.isl is None:
            return most
        return min(most, _rounded_up(longest_prompt(self.isl) + TEMPLATE_TOKENS))

    def context_tokens(
        self, together: Iterable[Mapping], *, batch_tokens: int | None = None
    ) -> int | None:
        """Return what vLLM engines may promise for one request; None: all that the model allows.

        vLLM does not start where its cache does not hold one request of that length. Engines that
        hand requests over have one length, that of the one with the least room.

        Args:
            together: how each of the engines is spread.
            batch_tokens: tokens of a step, if not the engine's own default.
        """
        facts, gpu_bytes, share = self.facts, self.gpu_bytes, self.vllm_share
        if facts is None or gpu_bytes is None or share is None:
            return None
        found = [longest_context(facts, m, gpu_bytes, batch_tokens, share) for m in together]
        least = min((tokens for tokens in found if tokens is not None), default=None)
        if least is None:
            return None
        asked = (self.isl or 0) + (self.osl or 0) + TEMPLATE_TOKENS
        wanted = max(least // STEP_TOKENS * STEP_TOKENS, _rounded_up(asked))
        return min(wanted, facts.context_length or wanted, facts.positions or wanted)

    def static_share(self, mapping: Mapping, batch_tokens: int) -> float:
        """Return the part of a GPU for SGLang's weights and KV, beside steps of that many tokens.

        SGLang's own sets 1.5 MB a token aside, which for steps of whole prompts is most of a GPU.
        """
        if self.gpu_bytes is None:
            return SGLANG_SHARE
        facts = self.facts or ModelFacts()
        static = sglang_bytes(self.gpu_bytes, beside(facts, mapping, self.gpu_bytes, batch_tokens))
        return math.floor(round(1000 * static / self.gpu_bytes, 3)) / 1000


NOTHING_KNOWN = Room()


def _rounded_up(tokens: int) -> int:
    return -(-tokens // STEP_TOKENS) * STEP_TOKENS
