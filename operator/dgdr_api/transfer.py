"""What it costs to hand a prompt's KV cache over to the decode engine: a term of its TTFT."""

from dataclasses import asdict, dataclass
from typing import Any, Self

from dgdr_api.points import Source
from dgdr_api.provenance import ProfileDataError

TRANSFER = "transfer"
IN_TTFT = "in_ttft"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """The cost of sending the KV cache of a prompt to the decode engine; None is unknown.

    ``bytes_per_token`` is the cache of one token. ``measured_ms`` is the mean time that one prompt
    of ``measured_isl`` tokens took. ``gb_per_s`` is what the link is said to carry, in 10^9 bytes:
    the time is estimated with it where nobody measured one. ``in_ttft``: the prefill rows were
    measured through a pair and hold the time already, known or not.
    """

    bytes_per_token: float | None = None
    measured_ms: float | None = None
    measured_isl: float | None = None
    gb_per_s: float | None = None
    in_ttft: bool = False

    @property
    def source(self) -> Source | None:
        """Where the time comes from; None is unknown."""
        if self.measured_ms is not None and self.measured_isl:
            return Source.MEASURED
        known = self.bytes_per_token is not None and self.gb_per_s
        return Source.ESTIMATED if known else None

    @property
    def ms_per_token(self) -> float | None:
        """Time for each token of a prompt; None is unknown."""
        if self.measured_ms is not None and self.measured_isl:
            return self.measured_ms / self.measured_isl
        if self.bytes_per_token is None or not self.gb_per_s:
            return None
        return self.bytes_per_token / self.gb_per_s / 1e6

    @property
    def added_ms_per_token(self) -> float:
        """What a reader of the prefill rows has to add for each token of a prompt.

        Nothing where the rows hold it, and nothing where it is unknown: ``is_missing`` tells the
        two apart.
        """
        return 0.0 if self.in_ttft else self.ms_per_token or 0.0

    @property
    def is_missing(self) -> bool:
        """Whether neither the rows nor this say what it takes, so that TTFT is too short."""
        return not self.in_ttft and self.ms_per_token is None

    @classmethod
    def from_object(cls, data: object) -> Self:
        """Read the optional key.

        Raises:
            ProfileDataError: a value is no number from 0, or ``in_ttft`` is no truth value.
        """
        if not isinstance(data, dict):
            raise ProfileDataError(f"{TRANSFER} is a {type(data).__name__}, not an object")
        known = {name: data[name] for name in cls.__slots__ if data.get(name) is not None}
        in_ttft = known.pop(IN_TTFT, False)
        if not isinstance(in_ttft, bool):
            raise ProfileDataError(f"{TRANSFER}.{IN_TTFT} is {in_ttft!r}; it must be true or false")
        for name, value in known.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ProfileDataError(
                    f"{TRANSFER}.{name} is {value!r}; it must be a number from 0"
                )
        return cls(in_ttft=in_ttft, **known)

    def to_object(self) -> dict[str, Any]:
        """Return what is known."""
        return {key: value for key, value in asdict(self).items() if value not in (None, False)}
