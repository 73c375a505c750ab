"""Manifests that somebody damaged by mistake: a seed says where, and with what.

    mutants(manifests, seed=1, count=2000)     # the same ones each time
    python -m support.mutants DIR [COUNT [SEED]]   # those of a directory's manifests, from tests/

Each is judged by ``judge``: what the CRD refuses is refused, everything else goes through
admission, whatever it says, and through the passes, which may raise nothing and have to leave a
condition.
"""

import asyncio
import copy
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path as File
from typing import Any

import yaml

from dgdr_api.conversion import ALPHA, BETA, converted
from dgdr_kube.errors import Rejected
from dgdr_kube.kinds import DGD, DGDR, DGDSA
from dgdr_kube.ports import Key
from dgdr_operator.core import news
from dgdr_operator.core.census import graph_counted, request_counted
from dgdr_operator.passes.adapter_pass import AdapterPass
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_webhooks.core.verdict import verdict
from support.admitted_objects import of_version
from support.crds import installed
from support.dgdr_world import NS, SETTINGS, World
from support.fake_admission import admitted
from support.fake_cluster import FakeCluster

Manifest = dict[str, Any]
Path = tuple[Any, ...]
NOW = datetime(2025, 1, 1, tzinfo=UTC)
KINDS = ("DynamoGraphDeployment", "DynamoGraphDeploymentRequest")

# What people write by mistake, and what a template that was not filled in leaves behind.
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 5, -1, 2**40, 0.5, 1e300, "", "30s", "main", "1.5", "{{ x }}", "\n"),
    *([], {}, ["x"], [{}], [None], [[]], [1]),
    *({"name": ["x"]}, {"name": None}, {"value": "x"}, [{"value": "x"}], {"": ""}, {"a": {"b": 1}}),
)


class Outcome(StrEnum):
    """What became of a manifest."""

    REFUSED = "refused by the CRD or at admission"
    UNREADABLE = "of no version of ours"
    TOLD = "read, with a condition that names what is wrong"
    RUNS = "read and carried out"


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place of a manifest, deepest last."""
    if at:
        yield at
    children: Any = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    for key, child in children:
        yield from paths(child, (*at, key))


def mutant(whole: Manifest, dice: random.Random) -> Manifest:
    """Return a manifest with one to three places of it spoiled."""
    out = copy.deepcopy(whole)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        if found := [path for path in paths(out) if path[0] == "spec" and len(path) > 1]:
            _spoil(out, dice.choice(found), dice)
    return out


def _spoil(out: Manifest, path: Path, dice: random.Random) -> None:
    place: Any = out
    for key in path[:-1]:
        place = place[key]
    key = path[-1]
    match dice.choice(("replace", "replace", "replace", "drop", "wrap", "rename", "double")):
        case "drop":
            del place[key]
        case "wrap":
            place[key] = [place[key]]
        case "rename" if isinstance(place, dict):
            place[dice.choice(("", "name", "value", f"{key}s"))] = place.pop(key)
        case "double" if isinstance(place, list):
            place.append(copy.deepcopy(place[key]))
        case _:
            place[key] = copy.deepcopy(dice.choice(ODD))


def mutants(whole: Sequence[Manifest], seed: int, count: int) -> Iterator[Manifest]:
    """Return that many damaged manifests of these, the same ones for a seed."""
    dice = random.Random(seed)
    for _ in range(count):
        yield mutant(dice.choice(whole), dice)


def manifests_of(folder: File) -> list[Manifest]:
    """Return the deployments and requests of a folder's YAML and JSON files."""
    found: list[Manifest] = []
    for file in sorted([*folder.rglob("*.y*ml"), *folder.rglob("*.in.json")]):
        try:
            documents = [*yaml.safe_load_all(file.read_text())]
        except yaml.YAMLError:
            continue
        read = [json.loads(json.dumps(d, default=str)) for d in documents if isinstance(d, dict)]
        found += [document for document in read if document.get("kind") in KINDS]
    return found


async def judge(manifest: Manifest) -> Outcome:
    """Send one through the door and the passes; whatever they raise comes out."""
    meta = {**(manifest.get("metadata") or {}), "name": "q", "namespace": NS}
    manifest = {**manifest, "metadata": meta}
    version = manifest.get("apiVersion")
    if version not in (ALPHA, BETA):
        return Outcome.UNREADABLE
    try:
        written = admitted(of_version(manifest["kind"], version), manifest, None)
    except Rejected:
        return Outcome.REFUSED
    refusals = verdict(written, None).refusals
    stored = converted(written, BETA)
    verdict(converted(stored, ALPHA), written)
    # Whatever else admission refuses may be there from before it came, and goes on.
    if "spec" not in stored and refusals:
        return Outcome.REFUSED
    if manifest["kind"] == DGD.kind:
        return await _judge_graph(stored)
    return await _judge_request(stored)


async def _judge_graph(manifest: Manifest) -> Outcome:
    cluster = FakeCluster(NOW)
    cluster.seed(manifest, *installed())
    key = Key(NS, "q")
    for _ in range(2):
        await GraphPass(cluster, SETTINGS)(key, NOW)
        for adapter in cluster.of(DGDSA):
            await AdapterPass(cluster, SETTINGS)(Key(NS, adapter["metadata"]["name"]), NOW)
    before = len(cluster.writes)
    await GraphPass(cluster, SETTINGS)(key, NOW)
    assert cluster.writes[before:] == [], "a pass that nothing changed writes again"
    after = cluster.peek(DGD, NS, "q") or {}
    graph_counted(after)
    news.of_graph_for_request(after)
    ready = next(c for c in after["status"]["conditions"] if c["type"] == "Ready")
    assert ready["message"], "a condition without words"
    told = after["status"]["state"] == "failed" or len(after["status"]["conditions"]) > 2
    return Outcome.TOLD if told else Outcome.RUNS


async def _judge_request(manifest: Manifest) -> Outcome:
    world = World(manifest)
    await world.live()
    assert {"Ready"} <= world.conditions, f"no condition: {world.status}"
    request_counted(world.request)
    cure = next(c for c in world.status["conditions"] if c["type"] == "Ready")["message"]
    assert cure, "a condition without words"
    found = world.cluster.peek(DGDR, NS, "q") or {}
    return Outcome.RUNS if found["status"]["phase"] in ("Deployed", "Ready") else Outcome.TOLD


def main(arguments: Sequence[str]) -> int:
    """Judge mutants of a directory's manifests and count what became of them."""
    folder = File(arguments[0])
    count = int(arguments[1]) if len(arguments) > 1 else 1000
    seed = int(arguments[2]) if len(arguments) > 2 else 1
    outcomes: Counter[str] = Counter()
    for one in mutants(manifests_of(folder), seed, count):
        try:
            outcomes[asyncio.run(judge(one))] += 1
        except Exception as exc:  # whatever it is, it is what is looked for
            frame = _where(exc)
            outcomes[f"RAISED {type(exc).__name__} {frame}: {str(exc)[:100]}"] += 1
    for outcome, times in outcomes.most_common():
        print(f"{times:6} {outcome}")
    return int(any(outcome.startswith("RAISED") for outcome in outcomes))


def _where(exc: BaseException) -> str:
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
