"""Prompts of a wanted length, made of words, without the model's tokenizer.

The Job has no use for the tokenizer of a model that it never loads. It asks the endpoint how many
tokens its words have, and the server counts every prompt again when it is measured.
"""

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from dgdr_load.load import Prompt
from dgdr_profiler.adapters.endpoint import prompt_tokens
from dgdr_profiler.core.cells import PromptRef
from dgdr_profiler.core.errors import MeasurementFailed

# Common and short: a word is one token in most vocabularies, and few in any.
_TEXT = """
time year people way day man thing woman life child world school state family student group country
problem hand part place case week company system program question work government number night point
home water room mother area money story fact month lot right study book eye job word business issue
side kind head house service friend father power hour game line end member law car city community
"""
WORDS = tuple(_TEXT.split())
# Whole rounds of all words, so that the slope between them is exact.
SHORT_WORDS, LONG_WORDS = len(WORDS), 10 * len(WORDS)


@dataclass(frozen=True, slots=True)
class Scale:
    """Tokens of a prompt: those of the chat template, and those of each word."""

    fixed: float
    per_word: float

    def words(self, isl: int) -> int:
        """Return how many words make a prompt of ``isl`` tokens."""
        return max(1, round((isl - self.fixed) / self.per_word))


async def scale(url: str, model: str, seed: int) -> Scale:
    """Ask an endpoint how many tokens its words have.

    Raises:
        MeasurementFailed: it does not answer, or does not say.
    """
    source = random.Random(seed)
    counts = [
        await asyncio.to_thread(prompt_tokens, url, model, _text(source, words))
        for words in (SHORT_WORDS, LONG_WORDS)
    ]
    per_word = (counts[1] - counts[0]) / (LONG_WORDS - SHORT_WORDS)
    if per_word <= 0:
        raise MeasurementFailed(f"{url} counts {counts} tokens for more and more words")
    return Scale(fixed=max(0.0, counts[0] - per_word * SHORT_WORDS), per_word=per_word)


def prompts(refs: Iterable[PromptRef], of: Scale, seed: int) -> tuple[Prompt, ...]:
    """Return the prompts; equal references get equal words, and another seed other ones."""
    return tuple(
        Prompt(text=_text(_source(seed, ref), of.words(ref.isl)), osl=ref.osl) for ref in refs
    )


def _source(seed: int, ref: PromptRef) -> random.Random:
    return random.Random(f"{seed}/{ref.isl}/{ref.number}")


def _text(source: random.Random, words: int) -> str:
    """Shuffle the words round after round: as random as need be, but of even length in tokens."""
    rounds = (source.sample(WORDS, len(WORDS)) for _ in range(-(-words // len(WORDS))))
    return " ".join(list(chain.from_iterable(rounds))[:words])
