"""``python -m tests.campaign``: the campaign in memory, whole or a sample of it.

    python -m tests.campaign                          # 40 points of each, and the plants
    python -m tests.campaign --classes K,A --most 0   # all points of two classes
    python -m tests.campaign --seed 7 --jobs 2 --json

Exits with 1 when something is violated, or a planted bug is not found.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from campaign import runner
from campaign.classes import CLASSES, TITLES
from campaign.plants import PLANTS
from campaign.scenarios import ALL

MOST = 40
MOST_OF_A_HUNT = 150


def main() -> int:
    asked = arguments()
    began = time.perf_counter()
    with ProcessPoolExecutor(asked.jobs) as pool:
        tasks = [
            (letter, scenario.name, asked.most or None, asked.seed)
            for letter in asked.classes.split(",")
            for scenario in ALL
            if asked.scenario in ("", scenario.name)
        ]
        parts = told(asked.json, pool.map(part, tasks))
        hunts = [*pool.map(hunted, ((p.name, asked.seed) for p in PLANTS))] if asked.plants else []
    report = {
        "seed": asked.seed,
        "classes": by_class(parts),
        "violations": [v for found in parts for v in found["violations"]],
        "plants": {
            "planted": len(hunts), "found": sum(h["found"] for h in hunts), "hunts": hunts,
        },
        "seconds": round(time.perf_counter() - began, 1),
    }  # fmt: skip
    if asked.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)
    return int(bool(report["violations"]) or not all(h["found"] for h in hunts))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign")
    parser.add_argument("--classes", default=",".join(CLASSES), help="letters, with commas")
    parser.add_argument("--scenario", default="", help="this one only")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--most", type=int, default=MOST, help="points of each class and scenario; 0: all"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--plants", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def part(task: tuple[str, str, int | None, int]) -> dict[str, Any]:
    """Run the points of one class and scenario."""
    letter, name, most, seed = task
    began = time.process_time()
    (scenario,) = (one for one in ALL if one.name == name)
    points = CLASSES[letter](scenario, runner.undisturbed(scenario, seed).calls)
    outcomes = [runner.run(point, seed) for point in runner.sample(points, most, seed)]
    return {
        "class": letter,
        "scenario": name,
        "points": len(points),
        "run": len(outcomes),
        "violated": sum(bool(one.violations) for one in outcomes),
        "violations": [f"{one.point}: {v}" for one in outcomes for v in one.violations],
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def hunted(task: tuple[str, int]) -> dict[str, Any]:
    """Look for one planted bug."""
    name, seed = task
    (plant,) = (one for one in PLANTS if one.name == name)
    found = runner.hunt(plant, MOST_OF_A_HUNT, seed)
    return {
        "name": name, "of": plant.of, "says": plant.says, "found": found.found is not None,
        "runs": found.runs, "where": found.where, "by": str(found.found),
    }  # fmt: skip


def told(silent: bool, parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Collect the parts, and tell of each as it comes."""
    return [*(_said(found) if not silent else found for found in parts)]


def _said(found: dict[str, Any]) -> dict[str, Any]:
    if found["points"]:
        print(
            f"{found['class']} {found['scenario']:15} {found['run']:5} of {found['points']:5}"
            f" points, {found['violated']} violated, {found['cpu_seconds']:.0f} s",
            *(f"VIOLATED {violation}" for violation in found["violations"]),
            sep="\n  ",
            flush=True,
        )
    return found


def by_class(parts: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Add the scenarios of each class up."""

    def sums(letter: str) -> Iterator[tuple[str, float]]:
        mine = [found for found in parts if found["class"] == letter]
        for key in ("points", "run", "violated", "cpu_seconds"):
            yield key, round(sum(found[key] for found in mine), 1)

    return {letter: dict(sums(letter)) for letter in {found["class"]: 0 for found in parts}}


def show(report: dict[str, Any]) -> None:
    print(f"\nseed {report['seed']}, {report['seconds']:.0f} s")
    for letter, found in report["classes"].items():
        print(
            f"  {letter}  {found['run']:6.0f} of {found['points']:6.0f} points, "
            f"{found['violated']:.0f} violated, {found['cpu_seconds']:.0f} s  {TITLES[letter]}"
        )
    for violation in report["violations"]:
        print(f"  VIOLATED {violation}")
    plants = report["plants"]
    print(f"  planted bugs found: {plants['found']} of {plants['planted']}")
    for hunt in plants["hunts"]:
        word = f"after {hunt['runs']:2} runs: {hunt['by']}" if hunt["found"] else "NOT FOUND"
        print(f"    {hunt['name']:24} {word}"[:160])


if __name__ == "__main__":
    sys.exit(main())
