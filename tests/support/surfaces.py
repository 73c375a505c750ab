"""Engines of another family than any curve of ours: a roofline with powers and a saturating queue.

Ours are quadratic in the prompt, and linear in the batch and its tokens. These bend everywhere.
"""

import math
import random
from dataclasses import dataclass, replace

from dgdr_profiler.core.candidate import EngineFacts
from dgdr_profiler.core.demand import Demand
from dgdr_profiler.core.targets import Targets, Workload
from support.profiling import FACTS

# Chat, retrieval-augmented, reasoning; each with a shorter and a longer answer.
LOADS = ((1000, 200), (3000, 500), (8000, 300), (16000, 120), (500, 8000), (2000, 4000))


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Times of one GPU; ``tp`` of them share the work, and lose some of it to each other."""

    weights_ms: float
    token_ms: float
    read_ms: float
    read_power: float
    prompt_ms: float
    prompt_power: float
    share: float
    knee: float

    def itl_ms(self, tp: int, batch: float, kv_tokens: float) -> float:
        """Memory or arithmetic, whichever is slower, and a queue near the knee."""
        split = tp**self.share
        memory = self.weights_ms + self.read_ms * kv_tokens**self.read_power
        arithmetic = self.token_ms * batch**0.9
        queue = 1 + (batch / (self.knee * tp)) ** 3
        return (memory**3 + arithmetic**3) ** (1 / 3) * math.sqrt(queue) / split + 0.5

    def ttft_ms(self, tp: int, isl: float) -> float:
        """A power of the prompt."""
        return 10 + self.prompt_ms * isl**self.prompt_power / tp**self.share


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One engine, and what is asked of it."""

    surface: Surface
    facts: EngineFacts
    demand: Demand


def case(seed: int) -> Case:
    """Return the case of a seed."""
    draw = random.Random(seed)
    isl, osl = draw.choice(LOADS)
    surface = Surface(
        weights_ms=draw.uniform(3, 15),
        token_ms=draw.uniform(0.05, 0.4),
        read_ms=draw.uniform(5e-5, 4e-4),
        read_power=draw.uniform(0.85, 1.05),
        prompt_ms=draw.uniform(0.005, 0.03),
        prompt_power=draw.uniform(1.0, 1.25),
        share=draw.uniform(0.6, 0.95),
        knee=draw.uniform(50, 400),
    )
    facts = replace(
        FACTS, max_kv_tokens=int(10 ** draw.uniform(4.8, 6.3)), context_length=2 * (isl + osl)
    )
    slow_ms = surface.itl_ms(1, 1, isl + osl / 2)
    targets = Targets(
        osl=osl,
        ttft_ms=surface.ttft_ms(1, isl) * draw.uniform(0.4, 2),
        itl_ms=slow_ms * draw.uniform(0.4, 4),
    )
    return Case(
        surface=surface,
        facts=facts,
        demand=Demand(workload=Workload(isl=isl, osl=osl), targets=targets),
    )
