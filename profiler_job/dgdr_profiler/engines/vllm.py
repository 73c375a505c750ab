"""vLLM under Dynamo.

Flags after upstream's templates and modifiers, and vLLM 0.31's own parser.
"""

import json
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, replace

from dgdr_api.graph import Graph
from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_api.releases import Feature, Release
from dgdr_profiler.core.memory import VLLM_SHARE
from dgdr_profiler.core.room import Room
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.engines import base
from dgdr_profiler.engines.args import (
    Args,
    Flag,
    degree,
    flag,
    has,
    value_of,
    with_default,
    with_switch,
    with_value,
    without,
    without_switch,
)
from dgdr_profiler.engines.backend import BackendEngine
from dgdr_profiler.engines.base import Fitted, Mode, Part
from dgdr_profiler.engines.shell import read_args

MODEL = flag("--model")
SERVED_NAME = flag("--served-model-name")
TRUST = flag("--trust-remote-code")
MODE = flag("--disaggregation-mode")
# Releases before 1.0; 1.0 and 1.1 still take them, but not beside the mode.
ROLES = {Mode.PREFILL: flag("--is-prefill-worker"), Mode.DECODE: flag("--is-decode-worker")}
KV_TRANSFER = flag("--kv-transfer-config")
TP = flag("--tensor-parallel-size", "-tp", "--tp")
PP = flag("--pipeline-parallel-size", "-pp", "--pp")
DP = flag("--data-parallel-size", "-dp", "--dp")
DP_LOCAL = flag("--data-parallel-size-local", "-dpl")
DP_HYBRID = flag("--data-parallel-hybrid-lb", "-dph")
EXPERTS = flag("--enable-expert-parallel", "-ep")
NO_EXPERTS = flag("--no-enable-expert-parallel")
CACHE = flag("--enable-prefix-caching")
NO_CACHE = flag("--no-enable-prefix-caching")
KV_EVENTS = flag("--kv-events-config")
MAX_CONTEXT = flag("--max-model-len")
SHARE = flag("--gpu-memory-utilization")
MAX_SEQS = flag("--max-num-seqs")
MAX_TOKENS = flag("--max-num-batched-tokens")
# What a user may say of the memory that weights, steps, keys and values take.
MEMORY = (
    flag("--kv-cache-dtype"),
    flag("--quantization", "-q"),
    flag("--cpu-offload-gb"),
    flag("--kv-cache-memory-bytes"),
)
LEAST_STEP_TOKENS = 8192
"""An item of a picture or the like, some 2500 tokens, is computed in one step."""

# What upstream's templates say. An attention rank publishes at this port and its own number.
EVENTS = {
    "publisher": "zmq",
    "topic": "kv-events",
    "endpoint": "tcp://*:20080",
    "enable_kv_cache_events": True,
}

NO_EVENTS = (
    "the router predicts what engines have cached: before release 1.5 vLLM with KV events keeps "
    "whole requests in layers with a window, and does not start with layers that keep a state; "
    "this model has such layers, or its config.json is not known"
)

# On both sides: without a consumer the decode engine computes every prompt once more, without a
# word; without a producer there is nothing to fetch.
KV_ROLES = {Mode.PREFILL: "kv_producer", Mode.DECODE: "kv_consumer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Vllm(BackendEngine):
    """Writes graphs for vLLM."""

    backend = Backend.VLLM

    @property
    def publishes_kv_events(self) -> bool:
        """Whether they surely cost nothing.

        Before release 1.5 vLLM with events gives up its allocator for unlike layers: layers with a
        window then hold whole requests, and a model with layers that keep a state does not start.
        """
        facts = self.room.facts
        alike = facts is not None and not facts.has_unlike_layers
        return alike or self.release.has(Feature.EVENTS_OF_UNLIKE_LAYERS)

    def with_shape(self, graph: Graph, shape: Shape) -> Graph:
        """Make the engines of a graph those of a shape, with what their GPUs then have room for."""
        return base.fitted(graph, shape, self._told(graph, shape)._fit)

    def _told(self, graph: Graph, shape: Shape) -> "Vllm":
        """Return the engine with the least share of a GPU that a graph's engines may take."""
        told = [
            (part, read_args(worker))
            for part in base.parts_of(shape)
            for worker in base.workers(graph, part.role)
        ]
        share = min(_fraction(value_of(args, SHARE)) for _, args in told)
        if any(_says_memory(args, part, self.room) for part, args in told):
            return replace(self, room=replace(self.room, vllm_share=None))
        return replace(self, room=replace(self.room, vllm_share=share))

    def _fit(self, args: Args, part: Part) -> Fitted:
        args = with_default(args, MODEL, self.source.place)
        if self.source.folder is not None:
            args = with_default(args, SERVED_NAME, self.source.model)
        args = _in_mode(args, part.mode, self.release)
        if self.source.trust_remote_code:
            args = with_switch(args, TRUST)
        if self.kv_router and self.publishes_kv_events:
            args = _publishing(args, part.mode)
        args = _spread(args, part.mapping)
        args = _for_measuring(args, part, self.room)
        args = self._with_context(args, part)
        return Fitted(args, degree(args, TP) * degree(args, PP) * degree(args, DP))

    def notes(self, graph: Graph, shape: Shape) -> tuple[str, ...]:
        """Say where engines serve less than the model's whole context, or publish no events."""
        room = self._told(graph, shape).room
        found = [NO_EVENTS] if self.kv_router and not self.publishes_kv_events else []
        found += (
            f"engines serve requests of {tokens} tokens at most ({MAX_CONTEXT.name}): one of "
            "the model's whole context does not fit the KV cache"
            for part in base.parts_of(shape)
            if (tokens := _context_tokens(part, room)) is not None
            and any(
                value_of(read_args(worker), MAX_CONTEXT) == str(tokens)
                for worker in base.workers(graph, part.role)
            )
        )
        return tuple(dict.fromkeys(found))

    def _with_context(self, args: Args, part: Part) -> Args:
        """Set the length that fits unless a user sets one; anew where a user's share changed it."""
        tokens = _context_tokens(part, self.room)
        generated = _context_tokens(part, replace(self.room, vllm_share=VLLM_SHARE))
        if value_of(args, MAX_CONTEXT) == str(generated):
            args = without(args, MAX_CONTEXT) if tokens != generated else args
        return args if tokens is None else with_default(args, MAX_CONTEXT, tokens)


def _context_tokens(part: Part, room: Room) -> int | None:
    return room.context_tokens(part.together, batch_tokens=_step_tokens(part, room))


def _step_tokens(part: Part, room: Room) -> int | None:
    """Return the tokens of a step; None: vLLM's own default."""
    if part.mode is not Mode.PREFILL_ALONE:
        return None
    return max(LEAST_STEP_TOKENS, room.step_tokens(base.PREFILL_TOKENS))


def _says_memory(args: Args, part: Part, room: Room) -> bool:
    """Whether a user says what changes the memory that is left for keys and values."""
    step = value_of(args, MAX_TOKENS)
    own_step = step is not None and step != str(_step_tokens(part, room))
    return own_step or any(has(args, known) for known in MEMORY)


def _fraction(text: str | None) -> float:
    """Return the share that a user states, else vLLM's own; what is none, vLLM refuses."""
    try:
        found = float(text or "")
    except ValueError:
        return VLLM_SHARE
    return found if 0 < found <= 1 else VLLM_SHARE


def _in_mode(args: Args, mode: Mode, release: Release) -> Args:
    """Set the engine's role, and how keys and values travel unless the user says it."""
    if not mode.in_pair:
        return without_switch(without(args, MODE), *ROLES.values())
    if release.has(Feature.DISAGGREGATION_MODE):
        args = with_value(without_switch(args, *ROLES.values()), MODE, mode.value)
    else:
        others = (role for key, role in ROLES.items() if key is not mode)
        args = with_switch(without(args, MODE), ROLES[mode], *others)
    if not release.has(Feature.KV_TRANSFER_CONFIG) or _says(args, KV_TRANSFER):
        return args
    config = {"kv_connector": "NixlConnector", "kv_role": KV_ROLES[mode]}
    return with_default(args, KV_TRANSFER, _compact(config))


def _publishing(args: Args, mode: Mode) -> Args:
    if not mode.caches_prompts or _says(args, KV_EVENTS):
        return args
    return with_default(args, KV_EVENTS, _compact(EVENTS))


def _says(args: Args, known: Flag) -> bool:
    """Whether the user says what a flag takes, as JSON or key by key."""
    return has(args, known) or any(item.startswith(f"{known.name}.") for item in args)


def _compact(config: MappingOf[str, object]) -> str:
    return json.dumps(config, separators=(",", ":"))


def _spread(args: Args, mapping: Mapping) -> Args:
    """Set the degrees that the mapping has; expert parallelism follows from TP and DP."""
    args = with_value(args, TP, mapping.tp)
    if mapping.pp > 1:
        args = with_value(args, PP, mapping.pp)
    if mapping.dp == 1 and mapping.moe_ep == 1:
        return args
    args = with_value(args, DP, mapping.dp)
    if mapping.moe_ep > 1:
        args = with_switch(args, EXPERTS, NO_EXPERTS)
    else:
        args = without_switch(args, EXPERTS)
    if mapping.dp > 1 and mapping.nodes > 1:
        # The rest (address, first rank of each node) is known where the pods are made.
        return with_value(args, DP_LOCAL, mapping.dp // mapping.nodes)
    return without_switch(without(args, DP_LOCAL), DP_HYBRID)


def _for_measuring(args: Args, part: Part, room: Room) -> Args:
    if part.mode is Mode.PREFILL_ALONE:
        args = with_switch(args, NO_CACHE, CACHE)
        args = with_default(args, MAX_SEQS, part.mapping.ranks)
        return with_default(args, MAX_TOKENS, _step_tokens(part, room))
    if part.mode is Mode.DECODE_ALONE:
        return with_switch(args, CACHE, NO_CACHE)
    return args
