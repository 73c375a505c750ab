"""TensorRT-LLM under Dynamo.

Its degrees of parallelism, caches and limits are engine options, see ``trtllm_options``; the names
are TensorRT-LLM's own (``LlmArgs``). Upstream has no mapping of a mixture of experts for it.
"""

from dataclasses import dataclass
from typing import Any

from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_api.releases import Feature
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.room import Room
from dgdr_profiler.core.shape import Mapping
from dgdr_profiler.engines import base
from dgdr_profiler.engines.args import (
    Args,
    degree,
    flag,
    has,
    with_default,
    with_switch,
    with_value,
    without,
    without_switch,
)
from dgdr_profiler.engines.backend import BackendEngine
from dgdr_profiler.engines.base import Fitted, Mode, Part
from dgdr_profiler.engines.trtllm_options import Leaves, is_set, option, with_options

MODEL = flag("--model-path", "--model")
SERVED_NAME = flag("--served-model-name")
MODE = flag("--disaggregation-mode")
OLD_MODE = flag("--disaggregation-strategy")
ENGINE_FILE = flag("--extra-engine-args")
KV_EVENTS = flag("--publish-kv-events", "--publish-events-and-metrics")
PP = flag("--pipeline-parallel-size")
# Other spellings of options that a mapping sets; options win over them.
TP = flag("--tensor-parallel-size")
EP = flag("--expert-parallel-size")
ATTENTION_DP = (flag("--enable-attention-dp"), flag("--no-enable-attention-dp"))
LIMITS = {"max_batch_size": flag("--max-batch-size"), "max_num_tokens": flag("--max-num-tokens")}

BLOCK_REUSE = ("kv_cache_config", "enable_block_reuse")
NO_OVERLAP = ("disable_overlap_scheduler",)
TRANSCEIVER = ("cache_transceiver_config",)
TRANSCEIVER_BACKEND = (*TRANSCEIVER, "backend")
PP_SIZE = ("pipeline_parallel_size",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trtllm(BackendEngine):
    """Writes graphs for TensorRT-LLM."""

    backend = Backend.TRTLLM

    @property
    def publishes_kv_events(self) -> bool:
        """Whether the release has the flag that makes them."""
        return self.release.has(Feature.KV_EVENTS)

    def _fit(self, args: Args, part: Part) -> Fitted:
        args = with_default(args, MODEL, self.source.place)
        args = with_default(args, SERVED_NAME, self.source.model)
        args = _in_mode(args, part.mode)
        if self.publishes_kv_events and part.mode.caches_prompts:
            args = args if has(args, KV_EVENTS) else with_switch(args, KV_EVENTS)
        args = without(args, TP)
        if _has_experts(part.mapping):
            args = without_switch(without(args, EP), *ATTENTION_DP)
        wanted = {
            **_missing(args, _defaults(part, self.room)),
            **_alone(part.mode),
            **_spread(part.mapping),
        }
        args = with_options(args, wanted, dotted=self.release.has(Feature.DOTTED_OPTIONS))
        return Fitted(args, part.mapping.tp * part.mapping.dp * _stages(args))


def _in_mode(args: Args, mode: Mode) -> Args:
    args = without(args, OLD_MODE)
    return with_value(args, MODE, mode.value) if mode.in_pair else without(args, MODE)


def _spread(mapping: Mapping) -> Leaves:
    """Return the degrees: ``tensor_parallel_size`` counts GPUs, attention DP or not."""
    stages: Leaves = {PP_SIZE: mapping.pp} if mapping.pp > 1 else {}
    size: Leaves = {("tensor_parallel_size",): mapping.tp * mapping.dp, **stages}
    if not _has_experts(mapping):
        return size
    return {
        **size,
        ("moe_expert_parallel_size",): mapping.moe_ep,
        ("moe_tensor_parallel_size",): mapping.moe_tp,
        ("enable_attention_dp",): mapping.dp > 1,
    }


def _has_experts(mapping: Mapping) -> bool:
    """Whether the mapping says how experts and attention are spread: TEP, DEP or both."""
    return mapping.dp > 1 or mapping.moe_ep > 1


def _alone(mode: Mode) -> Leaves:
    """Return what an engine that is measured alone must have, and must not."""
    if mode is Mode.PREFILL_ALONE:
        return {BLOCK_REUSE: False, NO_OVERLAP: False, TRANSCEIVER: None}
    if mode is Mode.DECODE_ALONE:
        return {BLOCK_REUSE: True, TRANSCEIVER: None}
    return {}


def _defaults(part: Part, room: Room) -> Leaves:
    """Return what holds unless the user says otherwise.

    Without a transceiver on both sides no keys and values travel. A prefill engine answers with one
    token, so that there is nothing to overlap with.
    """
    whole: dict[tuple[str, ...], Any] = {("enable_chunked_prefill",): True}
    if part.mode.in_pair:
        whole[TRANSCEIVER_BACKEND] = "DEFAULT"
    if part.mode is Mode.PREFILL:
        whole[NO_OVERLAP] = True
    if part.mode is Mode.PREFILL_ALONE:
        whole[("max_batch_size",)] = part.mapping.ranks
        whole[("max_num_tokens",)] = room.step_tokens(base.PREFILL_TOKENS)
    return whole


def _missing(args: Args, defaults: Leaves) -> Leaves:
    """Return the defaults that the user leaves open; an engine file of the user's has its own."""
    if has(args, ENGINE_FILE):
        return {}
    return {
        path: value
        for path, value in defaults.items()
        if not is_set(args, *path) and not (path[0] in LIMITS and has(args, LIMITS[path[0]]))
    }


def _stages(args: Args) -> int:
    """Return the pipeline stages: an option wins over the flag."""
    stages = option(args, *PP_SIZE)
    if stages is None:
        return degree(args, PP)
    if not isinstance(stages, int) or stages < 1:
        raise InvalidRequest(
            f"spec.overrides.dgd: pipeline_parallel_size {stages} must be a whole number of at "
            "least 1"
        )
    return stages
