"""TensorRT-LLM's engine options as JSON and as dotted flags."""

import json
from typing import Any

import pytest

from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.engines.args import Args
from dgdr_profiler.engines.trtllm_options import is_set, option, with_options

REUSE = ("kv_cache_config", "enable_block_reuse")
TRANSCEIVER = ("cache_transceiver_config",)


def options_of(args: Args) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(args[args.index("--override-engine-args") + 1])
    return found


def test_the_users_json_keeps_its_place_and_its_other_keys() -> None:
    own = '{"kv_cache_config": {"free_gpu_memory_fraction": 0.5}, "x": 1}'
    args = ("--extra-engine-args", "e.yaml", f"--override-engine-args={own}", "--seed", "1")
    changed = with_options(args, {REUSE: False, TRANSCEIVER: None}, dotted=True)
    assert options_of(changed) == {
        "kv_cache_config": {"free_gpu_memory_fraction": 0.5, "enable_block_reuse": False},
        "x": 1,
        "cache_transceiver_config": None,
    }
    assert (changed[:2], changed[-2:]) == (args[:2], args[-2:])


def test_dotted_flags_are_used_where_the_release_has_them_and_no_json_is_there() -> None:
    wanted = {REUSE: True, TRANSCEIVER: None, ("tensor_parallel_size",): 2}
    assert with_options((), wanted, dotted=True) == (
        *("--trtllm.kv_cache_config.enable_block_reuse", "true"),
        *("--trtllm.cache_transceiver_config", "none"),
        *("--trtllm.tensor_parallel_size", "2"),
    )
    assert options_of(with_options((), {REUSE: True}, dotted=False)) == {
        "kv_cache_config": {"enable_block_reuse": True}
    }


def test_both_forms_together_become_the_one_that_every_release_takes() -> None:
    args = ("--trtllm.a.b", "0.5", "--trtllm.c", "none", "--override-engine-args", '{"d": 1}')
    changed = with_options(args, {("e",): 2}, dotted=True)
    assert not any(item.startswith("--trtllm.") for item in changed)
    assert options_of(changed) == {"d": 1, "a": {"b": 0.5}, "c": None, "e": 2}


def test_an_option_takes_the_place_of_those_inside_and_around_it() -> None:
    args = ("--trtllm.cache_transceiver_config.backend", "UCX", "--x")
    assert with_options(args, {TRANSCEIVER: None}, dotted=True) == (
        *("--x", "--trtllm.cache_transceiver_config", "none"),
    )
    args = ("--trtllm.kv_cache_config", "none")
    assert with_options(args, {REUSE: True}, dotted=True) == (
        *("--trtllm.kv_cache_config.enable_block_reuse", "true"),
    )


@pytest.mark.parametrize(
    ("args", "value"),
    [
        (("--trtllm.pipeline_parallel_size", "2"), 2),
        (("--override-engine-args", '{"pipeline_parallel_size": 4}'), 4),
        (("--trtllm.pipeline_parallel_size", "none"), None),
        ((), None),
    ],
)
def test_the_value_of_an_option(args: Args, value: int | None) -> None:
    assert option(args, "pipeline_parallel_size") == value


def test_null_counts_as_set() -> None:
    args = ("--override-engine-args", '{"cache_transceiver_config": null}')
    assert is_set(args, "cache_transceiver_config", "backend")
    assert not is_set(args, "kv_cache_config")


@pytest.mark.parametrize("text", ["{", "[1]", "3"])
def test_options_that_are_no_json_object_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="must be a JSON object with engine options"):
        with_options(("--override-engine-args", text), {REUSE: True}, dotted=True)
