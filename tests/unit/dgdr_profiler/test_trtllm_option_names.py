"""The names of TensorRT-LLM's engine options are those that AIConfigurator writes for its releases.

The record is of ``python3 -m hack.reference options``, which says why it is not of TensorRT-LLM
itself.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from dgdr_api.releases import Feature, Release
from dgdr_profiler.engines.trtllm_options import DOTTED, JSON
from support.engines import generated_lists

RECORD: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "golden" / "flags" / "options" / "trtllm.json").read_text()
)
# What ai-dynamo pins; for 1.5 (1.3.0rc25) and 1.6 (1.3.0rc29) the newest that the record has.
TENSORRT_LLM = {
    Release(1, 0): "1.3.0rc5.post1",
    Release(1, 1): "1.3.0rc11",
    Release(1, 5): "1.3.0rc23",
    Release(1, 6): "1.3.0rc23",
}


def names(args: Sequence[str]) -> set[str]:
    """Return the engine options among arguments, dotted."""
    found = {item.removeprefix(DOTTED) for item in args if item.startswith(DOTTED)}
    if JSON.name in args:
        found |= set(_keys(json.loads(args[args.index(JSON.name) + 1])))
    return found


def _keys(options: dict[str, Any]) -> Iterator[str]:
    for key, value in options.items():
        yield key
        if isinstance(value, dict):
            yield from (f"{key}.{inner}" for inner in _keys(value))


@pytest.mark.parametrize("release", TENSORRT_LLM, ids=str)
def test_each_option_is_one_of_the_release(release: Release) -> None:
    known = set(RECORD["releases"][TENSORRT_LLM[release]])
    written = set().union(*map(names, generated_lists("trtllm", release).values()))
    assert "moe_expert_parallel_size" in written
    assert written <= known


def test_both_forms_have_the_same_options() -> None:
    whole = {
        release: {
            name.partition(".")[0]
            for args in generated_lists("trtllm", release).values()
            for name in names(args)
        }
        for release in TENSORRT_LLM
    }
    assert {release.has(Feature.DOTTED_OPTIONS) for release in whole} == {False, True}
    assert len(set(map(frozenset, whole.values()))) == 1
