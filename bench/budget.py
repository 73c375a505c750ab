"""A million random decisions of planners that share GPUs, with kills between their writes.

``python -m bench.budget [--decisions N]`` prints one JSON object. ``over_budget`` are writes after
which more GPUs were wanted or held than there are; ``below_guarantee`` decisions that gave a
planner less than it was guaranteed and asked for; ``below_fewest`` those below its fewest replicas.
Members break, are suspended, become shadows and are deleted (``struck``); ``starved`` are members
that decide and, once loads stand still, lack a replica for which there is room.
"""

import argparse
import json
import random
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.budget_world import Tally, World, own_budget

DECISIONS = 1_000_000
PER_WORLD = 250
OWN_EVERY = 5
SEED = 1_000_000


def run(decisions: int) -> Tally:
    """Play worlds until so many decisions were taken."""
    tally, seed = Tally(), SEED
    while tally.decisions < decisions:
        dice = random.Random(seed)
        own = seed % OWN_EVERY == 0
        tally.add(own_budget(dice, PER_WORLD) if own else World.of(dice).run(PER_WORLD))
        seed += 1
    return tally


def main(arguments: list[str] | None = None) -> int:
    """Run, print, and fail when anything happened that must never."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=DECISIONS)
    asked = parser.parse_args(arguments)
    started = time.perf_counter()
    tally = run(asked.decisions)
    took_s = time.perf_counter() - started
    print(json.dumps({"benchmark": "budget", **asdict(tally), "seconds": round(took_s, 1)}))
    return int(any((tally.over_budget, tally.below_guarantee, tally.below_fewest, tally.starved)))


if __name__ == "__main__":
    sys.exit(main())
