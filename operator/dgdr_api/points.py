"""A measured point: one line of evidence, kept so that nothing is measured twice."""

from enum import StrEnum

from pydantic import Field

from dgdr_api.models.base import ApiModel, Timestamp

MAX_POINT_BYTES = 1024


class PointKind(StrEnum):
    """Which curve the point belongs to."""

    PREFILL = "prefill"
    DECODE = "decode"


class Source(StrEnum):
    """Where a number comes from, the most certain first; no other is ever shown as measured."""

    MEASURED = "measured"
    INTERPOLATED = "interpolated"
    """Read off a fit, between points that were measured."""
    ESTIMATED = "estimated"


class Point(ApiModel):
    """One operating point of one candidate.

    ``key`` is the hash of all that determined the result. ``itl_ms`` is ``None`` for a prefill
    point with one output token: there is no second token to wait for.
    """

    key: str = Field(min_length=1, max_length=64, description="Hash of what determined it.")
    engine: str = Field(
        default="", max_length=64, description="Hash of the engine: the key without the cell."
    )
    candidate: str = Field(max_length=63, description="Candidate, such as p-tp2.")
    kind: PointKind = Field(description="Curve that the point belongs to.")
    isl: int = Field(
        ge=0,
        description="Prompt length in tokens as the server counted it, chat template included.",
    )
    osl: int = Field(ge=0, description="Answer length in tokens.")
    concurrency: int = Field(ge=1, description="Requests kept in flight by the load driver.")
    effective_concurrency: float | None = Field(
        default=None, ge=0, description="Requests that really were in the phase, on average."
    )
    ttft_ms: float | None = Field(
        default=None, ge=0, description="Median time to first token in milliseconds."
    )
    itl_ms: float | None = Field(
        default=None, ge=0, description="Mean time between output tokens in milliseconds."
    )
    output_tokens_per_s: float | None = Field(
        default=None, ge=0, description="Output tokens per second, all requests together."
    )
    requests: int = Field(ge=0, description="Requests sent.")
    completed: int = Field(ge=0, description="Requests answered.")
    errors: int = Field(default=0, ge=0, description="Requests that failed.")
    image_digest: str = Field(
        default="",
        max_length=256,
        description="Image that the engines' pods ran, by digest; by role where they differ.",
    )
    gpus: int = Field(ge=0, description="GPUs of one engine of the measured role.")
    max_kv_tokens: int | None = Field(
        default=None, ge=1, description="Tokens that the engine's KV cache holds."
    )
    max_batch: int | None = Field(
        default=None, ge=1, description="Requests that the engine runs at once at most."
    )
    context_length: int | None = Field(
        default=None, ge=1, description="Tokens of prompt and answer that the engine accepts."
    )
    source: Source = Field(description="Where the figures come from.")
    started_at: Timestamp = Field(description="When the measurement began.")
    wall_s: float = Field(ge=0, description="Seconds that the measurement took.")

    def to_text(self) -> str:
        """Return the record as stored: JSON in one line.

        Raises:
            ValueError: the record is larger than 1 KiB, so that a ConfigMap might overflow.
        """
        text = self.model_dump_json(by_alias=True, exclude_none=True)
        if len(text.encode()) > MAX_POINT_BYTES:
            raise ValueError(f"point {self.key} has {len(text)} bytes, more than {MAX_POINT_BYTES}")
        return text

    @classmethod
    def from_text(cls, text: str) -> "Point":
        """Read a stored record."""
        return cls.model_validate_json(text)
