"""Every argument that we generate is one that the engine's own program takes, release by release.

The records in ``tests/golden/flags`` are of ``python3 -m hack.reference flags``, which gave
``dynamo.vllm``, ``dynamo.sglang`` and ``dynamo.trtllm`` of each release all that is generated, and
wrote down the options of their parsers. A parser with the same options parses here what the engines
generate now.
"""

import argparse
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest

from dgdr_api.releases import Feature, Release
from dgdr_profiler.engines.trtllm_options import DOTTED
from support.engines import generated_lists

RECORDS = Path(__file__).parents[2] / "golden" / "flags"
KNOWN = sorted(path.stem for path in RECORDS.glob("*.json"))
NUMBERS = {"int": int, "float": float}
NARGS = {"0-1": "?", "1-n": "+", "0-n": "*"}


class Refused(Exception):
    """The parser's words."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refused(message)


def read(record: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDS / f"{record}.json").read_text())
    return found


@cache
def parser(record: str) -> Parser:
    """Return a parser with the options of a record."""
    made = Parser(add_help=False, allow_abbrev=False)
    for spelling, takes in read(record)["options"].items():
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


def lists_of(record: str) -> dict[str, tuple[str, ...]]:
    return generated_lists(record.partition("-")[0], release_of(record))


@pytest.mark.parametrize("record", KNOWN)
def test_the_parser_of_the_release_takes_what_is_generated(record: str) -> None:
    lists = lists_of(record)
    assert len(lists) > 1
    for args in lists.values():
        parse(record, args)


def test_the_lists_have_the_flags_that_only_some_requests_get() -> None:
    vllm, sglang = (
        {item for args in lists_of(record).values() for item in args}
        for record in ("vllm-1.6.1", "sglang-1.6.1")
    )
    assert {"--max-model-len", "--kv-events-config"} <= vllm
    assert {"--mem-fraction-static", "--kv-events-config"} <= sglang


@pytest.mark.parametrize("record", KNOWN)
def test_the_program_of_the_release_took_what_was_generated(record: str) -> None:
    found = read(record)
    assert found["lists"] > 1
    assert found["refused"] == {}


@pytest.mark.parametrize("record", KNOWN)
@pytest.mark.parametrize(
    "wrong", [("--invented", "1"), ("--disaggregation-mode", "both"), ("--disaggregation-mode",)]
)
def test_the_parser_of_a_release_refuses_what_is_wrong(record: str, wrong: tuple[str, ...]) -> None:
    with pytest.raises(Refused):
        parse(record, wrong)


@pytest.mark.parametrize(
    "feature",
    [Feature.DISAGGREGATION_MODE, Feature.CUDA_GRAPH_BY_PHASE, Feature.KV_EVENTS],
    ids=lambda feature: feature.name,
)
def test_a_flag_is_there_from_the_release_on_that_the_table_says(feature: Feature) -> None:
    engine, _, flag = feature.value.partition(" ")
    records = [record for record in KNOWN if record.startswith(engine)]
    there = {record: flag in read(record)["options"] for record in records}
    assert there == {record: release_of(record).has(feature) for record in records}
    assert len(set(there.values())) == 2


def test_flags_of_another_release_are_refused() -> None:
    newest = generated_lists("trtllm", release_of("trtllm-1.6.1"))
    with pytest.raises(Refused):
        parse("trtllm-1.0.2", next(iter(newest.values())))
