"""The identity of a measurement: what determined its result, hashed.

A point whose key is known is never measured again, whichever pod, run or cluster measured it.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache

from dgdr_profiler.core.cells import Cell

KEY_CHARS = 16
"""64 bits: two of a million points meet with a chance of one in 10 million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is measured, besides the image: the engines' arguments, the model and the GPU.

    The prompts' seed is not part of it: every attempt draws new ones, because an engine that has
    seen a prompt before answers from its cache.
    """

    prefill_args: tuple[str, ...]
    decode_args: tuple[str, ...]
    model: str
    gpu_product: str


@lru_cache(maxsize=4096)
def point_key(subject: Subject, image_digest: str, cell: Cell) -> str:
    """Return the key of one cell, measured on an engine of that image."""
    determined = {"subject": asdict(subject), "image": image_digest, "cell": asdict(cell)}
    text = json.dumps(determined, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_CHARS]
