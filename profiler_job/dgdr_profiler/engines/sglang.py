"""SGLang under Dynamo.

Flags after upstream's templates and modifiers, and the parsers of SGLang 0.5.9 and 0.5.21.
``--skip-tokenizer-init`` is not among them: where it is wanted, ``dynamo.sglang`` sets it.
"""

from dataclasses import dataclass

from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_api.releases import Feature, Release
from dgdr_profiler.core.room import Room
from dgdr_profiler.core.shape import Mapping
from dgdr_profiler.engines import base
from dgdr_profiler.engines.args import (
    Args,
    degree,
    flag,
    has,
    renamed,
    value_of,
    with_default,
    with_switch,
    with_value,
    without,
    without_switch,
)
from dgdr_profiler.engines.backend import BackendEngine
from dgdr_profiler.engines.base import Fitted, Mode, Part

MODEL = flag("--model-path", "--model")
SERVED_NAME = flag("--served-model-name")
TRUST = flag("--trust-remote-code")
PAGE_TOKENS = flag("--page-size")
MODE = flag("--disaggregation-mode")
TRANSFER = flag("--disaggregation-transfer-backend")
BOOTSTRAP_PORT = flag("--disaggregation-bootstrap-port")
HOST = flag("--host")
# GPUs of the engine but for pipeline stages: attention ranks share them, see DP.
TP = flag("--tp-size", "--tp", "--tensor-parallel-size")
PP = flag("--pp-size", "--pp", "--pipeline-parallel-size")
DP = flag("--dp-size", "--dp", "--data-parallel-size")
EP = flag("--ep-size", "--ep", "--expert-parallel-size")
DP_ATTENTION = flag("--enable-dp-attention")
DP_LM_HEAD = flag("--enable-dp-lm-head")
BALANCE = flag("--load-balance-method")
KV_EVENTS = flag("--kv-events-config")
NO_CACHE = flag("--disable-radix-cache")
MAX_REQUESTS = flag("--max-running-requests")
CHUNK_TOKENS = flag("--chunked-prefill-size")
STATIC_SHARE = flag("--mem-fraction-static")
GRAPH_SIZES = flag("--cuda-graph-bs-decode")

# Old names of the sizes of CUDA graphs, and the new ones.
RENAMED = (
    ("--cuda-graph-bs", GRAPH_SIZES.name),
    ("--cuda-graph-max-bs", "--cuda-graph-max-bs-decode"),
)
# What upstream's templates say.
DEFAULT_PAGE_TOKENS = 16
DEFAULT_BOOTSTRAP_PORT = 12345
# An attention rank publishes at this port and its own number.
EVENTS = '{"publisher":"zmq","topic":"kv-events","endpoint":"tcp://*:5557"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Sglang(BackendEngine):
    """Writes graphs for SGLang."""

    backend = Backend.SGLANG

    def _fit(self, args: Args, part: Part) -> Fitted:
        if self.release.has(Feature.CUDA_GRAPH_BY_PHASE):
            for old, new in RENAMED:
                args = renamed(args, old, new)
        args = with_default(args, MODEL, self.source.place)
        args = with_default(args, SERVED_NAME, self.source.model)
        args = with_default(args, PAGE_TOKENS, DEFAULT_PAGE_TOKENS)
        if self.source.trust_remote_code:
            args = with_switch(args, TRUST)
        if self.kv_router and part.mode.caches_prompts and not has(args, NO_CACHE):
            args = with_default(args, KV_EVENTS, EVENTS)
        args = _spread(_in_mode(args, part.mode), part.mapping)
        args = _with_room_for_ranks(_for_measuring(args, part, self.release, self.room))
        return Fitted(args, _gpus(args))


def _in_mode(args: Args, mode: Mode) -> Args:
    if not mode.in_pair:
        return without(args, MODE, TRANSFER, BOOTSTRAP_PORT)
    args = with_value(args, MODE, mode.value)
    args = with_default(args, TRANSFER, "nixl")
    args = with_default(args, BOOTSTRAP_PORT, DEFAULT_BOOTSTRAP_PORT)
    # The other engine reaches the bootstrap server from another pod.
    return with_default(args, HOST, "0.0.0.0")


def _spread(args: Args, mapping: Mapping) -> Args:
    args = with_value(args, TP, mapping.tp * mapping.dp)
    if mapping.pp > 1:
        args = with_value(args, PP, mapping.pp)
    if mapping.dp == 1 and mapping.moe_ep == 1:
        return args
    args = with_value(args, EP, mapping.moe_ep)
    if mapping.dp > 1:
        return with_switch(with_value(args, DP, mapping.dp), DP_ATTENTION)
    return without_switch(without(args, DP), DP_ATTENTION, DP_LM_HEAD)


def _for_measuring(args: Args, part: Part, release: Release, room: Room) -> Args:
    if part.mode is Mode.PREFILL_ALONE:
        return _prefill_alone(args, part.mapping, release, room)
    if part.mode is Mode.DECODE_ALONE:
        args = without_switch(args, NO_CACHE)
        # A prompt that is sent again must meet the rank that has it in its cache.
        if has(args, DP_ATTENTION):
            args = with_value(args, BALANCE, "round_robin")
    return args


def _prefill_alone(args: Args, mapping: Mapping, release: Release, room: Room) -> Args:
    tokens = room.step_tokens(base.PREFILL_TOKENS)
    args = with_switch(args, NO_CACHE)
    args = with_default(args, MAX_REQUESTS, mapping.ranks)
    # SGLang divides the chunk among attention ranks.
    args = with_default(args, CHUNK_TOKENS, tokens * mapping.ranks)
    args = with_default(args, STATIC_SHARE, room.static_share(mapping, tokens))
    if has(args, DP_ATTENTION):
        args = with_switch(args, DP_LM_HEAD)
    if release.has(Feature.CUDA_GRAPH_BY_PHASE) and value_of(args, MAX_REQUESTS) == "1":
        args = with_default(args, GRAPH_SIZES, mapping.ranks)
    return args


def _with_room_for_ranks(args: Args) -> Args:
    """Let each attention rank have a request; SGLang divides the limit among them."""
    ranks = degree(args, DP) if has(args, DP_ATTENTION) else 1
    if degree(args, MAX_REQUESTS, ranks) < ranks:
        return with_value(args, MAX_REQUESTS, ranks)
    return args


def _gpus(args: Args) -> int:
    """Count GPUs: ranks of DP attention are among those of TP, other ranks have their own."""
    ranks = 1 if has(args, DP_ATTENTION) else degree(args, DP)
    return degree(args, TP) * degree(args, PP) * ranks
