"""What a user says of a model whose files the profiler cannot read, or should not believe."""

from typing import ClassVar

from pydantic import Field

from dgdr_api.models.base import ApiModel, Int32
from dgdr_api.models.cel import CelRule

_MAX_COUNT = 65_536
_MAX_WIDTH = 16_777_216


def _count(description: str) -> Int32 | None:
    return Field(default=None, ge=1, le=_MAX_COUNT, description=description)


def _width(description: str) -> Int32 | None:
    return Field(default=None, ge=1, le=_MAX_WIDTH, description=description)


class ProfiledModel(ApiModel):
    """Sizes of the model: which mappings divide it, and which GPUs hold it."""

    parameters_billions: float | None = Field(
        default=None,
        gt=0,
        le=100_000,
        description="All parameters, in 1,000,000,000, with all experts. Times bytesPerParameter "
        "they are the weights.",
    )
    weight_gib: float | None = Field(
        default=None,
        gt=0,
        le=1_000_000,
        alias="weightGiB",
        description="All weights in GPU memory, in GiB. Instead of parametersBillions.",
    )
    bytes_per_parameter: float | None = Field(
        default=None,
        gt=0,
        le=8,
        description="Bytes of one parameter as it is served, such as 2 for bfloat16, 1 for FP8, "
        "0.5625 for NVFP4. Default: what config.json says, else 2.",
    )
    layers: Int32 | None = _count("Layers.")
    attention_heads: Int32 | None = _count("Attention heads; tensor parallelism divides them.")
    kv_heads: Int32 | None = _count("KV heads; fewer than attention heads with grouped queries.")
    head_size: Int32 | None = _width("Width of one attention head.")
    hidden_size: Int32 | None = _width("Width of the model.")
    intermediate_size: Int32 | None = _width(
        "Width of the feed-forward part of a layer without experts."
    )
    experts: Int32 | None = _count("Experts of a layer; expert parallelism divides them.")
    experts_per_token: Int32 | None = _count("Experts that each token goes to.")
    moe_intermediate_size: Int32 | None = _width("Width of one expert.")
    kv_lora_rank: Int32 | None = _width(
        "Width of the compressed KV vector of latent attention (MLA), without its rope part."
    )
    rope_head_size: Int32 | None = _width("Width of the rope part of latent attention (MLA).")
    context_length: Int32 | None = Field(
        default=None, ge=1, description="Tokens of the longest request, prompt and answer."
    )

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            expression="!has(self.weightGiB) || (!has(self.parametersBillions)"
            " && !has(self.bytesPerParameter))",
            message="weightGiB alone says how large the weights are; remove it, or remove "
            "parametersBillions and bytesPerParameter",
            at=".weightGiB",
        ),
        CelRule(
            expression="has(self.kvLoraRank) == has(self.ropeHeadSize)",
            message="kvLoraRank and ropeHeadSize describe latent attention together; set both",
            at=".kvLoraRank",
        ),
    )
