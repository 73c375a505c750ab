"""From what a user says of a model to facts, in the words of the policy's ``spec.model``."""

from dgdr_api.models.profiled_model import ProfiledModel
from dgdr_profiler.core.model import ModelFacts

_GIB = 2**30
_BILLION = 1_000_000_000


def stated_facts(model: ProfiledModel | None) -> ModelFacts:
    """Return the facts that a user states; all unknown without a word."""
    said = model or ProfiledModel()
    parameters, weights = said.parameters_billions, said.weight_gib
    return ModelFacts(
        stated_parameters=None if parameters is None else round(parameters * _BILLION),
        stated_weight_bytes=None if weights is None else round(weights * _GIB),
        bytes_per_parameter=said.bytes_per_parameter,
        layers=said.layers,
        heads=said.attention_heads,
        kv_heads=said.kv_heads,
        head_size=said.head_size,
        hidden=said.hidden_size,
        intermediate=said.intermediate_size,
        experts=said.experts,
        experts_per_token=said.experts_per_token,
        moe_intermediate=said.moe_intermediate_size,
        kv_lora_rank=said.kv_lora_rank,
        rope_head_size=said.rope_head_size,
        context_length=said.context_length,
    )
