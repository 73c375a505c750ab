"""Every argument that we generate is one that the engine's own parser takes, release by release.

The records in ``tests/golden/flags`` are of ``hack/reference/flags.py``, which reads them off the
parsers that ``dynamo.vllm``, ``dynamo.sglang`` and ``dynamo.trtllm`` make in each release. A parser
with the same options parses here what the engines generate.
"""

import argparse
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest

from dgdr_api.effective import EffectiveModelCache
from dgdr_api.graph import Graph
from dgdr_api.releases import Feature, Release
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.engines.backend import BackendEngine
from dgdr_profiler.engines.registry import ENGINES
from dgdr_profiler.engines.source import ModelSource
from dgdr_profiler.engines.trtllm_options import DOTTED
from support.engines import MAPPINGS, shapes

RECORDS = Path(__file__).parents[2] / "golden" / "flags"
KNOWN = sorted(path.stem for path in RECORDS.glob("*.json"))
NUMBERS = {"int": int, "float": float}
NARGS = {"0-1": "?", "1-n": "+", "0-n": "*"}
KINDS = {backend.value: kind for backend, kind in ENGINES.items()}
FOLDER = EffectiveModelCache(
    pvc_name="weights", mount_path="/opt/model-cache", model_path="/opt/model-cache/qwen"
)
SOURCES = {
    "hub": ModelSource(model="org/moe"),
    "claim": ModelSource(model="org/moe", cache=FOLDER, trust_remote_code=True),
}
# Ranks and stages of each engine, beside the mappings of the golden files.
WIDER = (*MAPPINGS, Mapping(tp=2, pp=2, moe_tp=2), Mapping(tp=2, dp=4, moe_ep=8))


class Refused(Exception):
    """The parser's words."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refused(message)


@cache
def parser(record: str) -> Parser:
    """Return a parser with the options of a record."""
    made = Parser(add_help=False, allow_abbrev=False)
    for spelling, takes in json.loads((RECORDS / f"{record}.json").read_text())["options"].items():
        _add(made, spelling, {"values": takes} if isinstance(takes, str) else takes)
    return made


def _add(made: Parser, spelling: str, takes: dict[str, Any]) -> None:
    if takes["values"] == "0":
        made.add_argument(spelling, action="store_true")
        return
    made.add_argument(
        spelling,
        nargs=NARGS.get(takes["values"]),
        type=NUMBERS.get(takes.get("type", ""), str),
        choices=[NUMBERS.get(takes.get("type", ""), str)(choice) for choice in takes["choices"]]
        if "choices" in takes
        else None,
    )


def parse(record: str, args: Sequence[str]) -> None:
    """Parse arguments.

    Raises:
        Refused: the engine would refuse them too.
    """
    release = release_of(record)
    single = {item for item in args if item.startswith(DOTTED)}
    if single and not release.has(Feature.DOTTED_OPTIONS):
        raise Refused(f"no single engine options: {single}")
    _, left = parser(record).parse_known_args(list(args))
    unknown = [item for item in left if item.startswith("-") and item not in single]
    if unknown:
        raise Refused(f"unrecognized arguments: {unknown}")


def release_of(record: str) -> Release:
    major, minor, *_ = record.rpartition("-")[2].split(".")
    return Release(int(major), int(minor))


def engine_of(record: str, source: ModelSource) -> BackendEngine:
    kind = KINDS[record.partition("-")[0]]
    return kind(image="images.test/engine", source=source, release=release_of(record))


def generated(graph: Graph) -> list[tuple[str, ...]]:
    return [tuple(c.args) for c in graph.components if c.name != "frontend"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("mapping", WIDER, ids=lambda mapping: mapping.id)
@pytest.mark.parametrize("record", KNOWN)
def test_the_parser_of_the_release_takes_what_is_generated(
    record: str, mapping: Mapping, source: str
) -> None:
    engine = engine_of(record, SOURCES[source])
    for shape in shapes(mapping).values():
        for args in generated(engine.template("q", shape)):
            assert args
            parse(record, args)


@pytest.mark.parametrize("record", KNOWN)
@pytest.mark.parametrize(
    "wrong", [("--invented", "1"), ("--disaggregation-mode", "both"), ("--disaggregation-mode",)]
)
def test_the_parser_of_a_release_refuses_what_is_wrong(record: str, wrong: tuple[str, ...]) -> None:
    with pytest.raises(Refused):
        parse(record, wrong)


def test_flags_of_another_release_are_refused() -> None:
    pair = Shape.pair(MAPPINGS[0])
    newest = engine_of("trtllm-1.6.1", SOURCES["hub"]).template("q", pair)
    with pytest.raises(Refused):
        parse("trtllm-1.0.2", generated(newest)[0])
