"""Damaged manifests through door, passes and counts: nothing is raised, a condition is there."""

import json
from collections import Counter
from pathlib import Path

import yaml

from support.mutants import KINDS, Manifest, Outcome, judge, mutants

ROOT = Path(__file__).resolve().parents[3]
# A few hundred find what every tenth of them hits; `python -m support.mutants DIR 5000`, from
# tests/, is the long run.
COUNT, SEED = 400, 7


def originals() -> list[Manifest]:
    """What users are shown, and what is admitted: all kinds of fields are in them."""
    files = [*(ROOT / "examples").rglob("*.yaml"), *(ROOT / "tests/golden/api").rglob("*.yaml")]
    found = [d for file in sorted(files) for d in yaml.safe_load_all(file.read_text())]
    return [json.loads(json.dumps(d)) for d in found if isinstance(d, dict) and _is_read(d)]


def _is_read(document: Manifest) -> bool:
    return document.get("kind") in KINDS


async def test_no_mutant_is_an_exception_or_without_a_condition() -> None:
    outcomes = Counter([await judge(one) for one in mutants(originals(), SEED, COUNT)])
    assert min(outcomes[one] for one in (Outcome.REFUSED, Outcome.TOLD, Outcome.RUNS)) > COUNT // 20


async def test_a_seed_gives_the_same_mutants() -> None:
    one, other = ([*mutants(originals(), SEED, 20)] for _ in range(2))
    assert one == other
