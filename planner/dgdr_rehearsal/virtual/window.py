"""One window of load as a caller tells it, checked at the door.

Everything may be null where nobody knows it; ``pending`` and ``terminating`` are 0 and ``gpus`` is
1 where they are left out. Unknown keys are read over.
"""

import json
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

# Beyond these somebody mixed up units; each is far above what any deployment shows.
LATEST_S = 1e11
LONGEST_WINDOW_S = 86_400.0
MOST_REQUESTS = 1e9
MOST_TOKENS = 1e8
LONGEST_MS = 1e9
MOST_REPLICAS = 100_000
MOST_GPUS = 10_000
SHOWN_CHARS = 60
QUANTILES = ("isl_quantiles", "osl_quantiles")


class BadWindow(ValueError):
    """A window that cannot be used; the message names the field, its value and the cure."""


def _whole(value: object) -> object:
    """Read 2.0 as 2: not every language writes whole numbers as such."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number(most: float) -> Any:
    return Field(strict=True, ge=0, le=most, allow_inf_nan=False)


Requests = Annotated[float, _number(MOST_REQUESTS)]
Tokens = Annotated[float, _number(MOST_TOKENS)]
Milliseconds = Annotated[float, _number(LONGEST_MS)]
Replicas = Annotated[int, BeforeValidator(_whole), _number(MOST_REPLICAS)]
Gpus = Annotated[int, BeforeValidator(_whole), _number(MOST_GPUS)]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class RoleWindow(_Told):
    """Replicas of one role at the end of the window."""

    ready: Replicas | None = Field(description="replicas that serve")
    pending: Replicas | None = Field(
        default=0, description="replicas that were asked for and do not serve yet"
    )
    terminating: Replicas | None = Field(
        default=0, description="replicas that stop and still hold their GPUs"
    )
    gpus: Gpus | None = Field(default=1, description="GPUs of one replica")

    @property
    def present(self) -> int | None:
        """Replicas that serve or will; None where that is not known."""
        if self.ready is None or self.pending is None:
            return None
        return self.ready + self.pending


class Window(_Told):
    """What happened in the ``window_s`` seconds before ``t_s``."""

    t_s: Annotated[float, _number(LATEST_S)] | None = Field(
        description="the time in seconds, on any clock that goes forward, at which the window ended"
    )
    window_s: Annotated[float, Field(strict=True, gt=0, le=LONGEST_WINDOW_S)] | None = Field(
        default=None, description="the length of the window in seconds, above 0"
    )
    requests: Requests | None = Field(default=None, description="requests that started")
    completed: Requests | None = Field(default=None, description="requests that finished")
    isl_mean: Tokens | None = Field(default=None, description="mean prompt length in tokens")
    osl_mean: Tokens | None = Field(default=None, description="mean answer length in tokens")
    isl_quantiles: tuple[tuple[float, float], ...] | None = Field(
        default=None, description="pairs of share and prompt length, as [[0.5, 2800], [0.95, 6000]]"
    )
    osl_quantiles: tuple[tuple[float, float], ...] | None = Field(
        default=None, description="pairs of share and answer length, as [[0.5, 200], [0.95, 900]]"
    )
    ttft_ms: Milliseconds | None = Field(default=None, description="mean time to first token")
    itl_ms: Milliseconds | None = Field(default=None, description="mean time between tokens")
    request_duration_s: Annotated[float, _number(LONGEST_MS)] | None = Field(
        default=None, description="mean duration of a request in seconds"
    )
    prefill: RoleWindow | None = Field(default=None, description="replicas of prefill")
    decode: RoleWindow | None = Field(default=None, description="replicas of decode")
    worker: RoleWindow | None = Field(default=None, description="replicas of aggregated workers")

    @model_validator(mode="before")
    @classmethod
    def _readable_quantiles(cls, told: Any) -> Any:
        """Accept quantiles as an object too, as {"p50": 2800, "0.95": 6000}."""
        if not isinstance(told, dict):
            return told
        read = {
            field: sorted(
                ((_share(field, name), length) for name, length in told[field].items()),
                key=lambda pair: pair[0],
            )
            for field in QUANTILES
            if isinstance(told.get(field), dict)
        }
        return {**told, **read}

    @model_validator(mode="after")
    def _ascending_quantiles(self) -> Self:
        for field in QUANTILES:
            pairs = getattr(self, field) or ()
            if not _is_ascending(pairs):
                raise PydanticCustomError(
                    "quantiles",
                    "{field} is {told}: give pairs of share (0 to 1) and length in tokens, both"
                    " ascending",
                    {"field": field, "told": _shown(pairs)},
                )
        return self


def _is_ascending(pairs: tuple[tuple[float, float], ...]) -> bool:
    shares, lengths = [share for share, _ in pairs], [length for _, length in pairs]
    inside = all(0 <= share <= 1 for share in shares) and all(
        0 <= length <= MOST_TOKENS for length in lengths
    )
    return inside and shares == sorted(shares) and lengths == sorted(lengths)


def _share(field: str, name: str) -> float:
    try:
        return float(name[1:]) / 100 if name.startswith("p") else float(name)
    except ValueError:
        raise PydanticCustomError(
            "quantiles",
            "{field} has {name}: name shares as p50 or 0.5",
            {"field": field, "name": _shown(name)},
        ) from None


def read_window(text: str | bytes) -> Window:
    """Read one JSON object.

    Raises:
        BadWindow: names the first field that is wrong.
    """
    if not text.strip():
        raise BadWindow("the line is empty: give one JSON object")
    try:
        return Window.model_validate_json(text)
    except ValidationError as exc:
        raise BadWindow(_said(exc)) from exc


def _said(error: ValidationError) -> str:
    entries = error.errors(include_url=False)
    first = entries[0]
    path = [part for part in first["loc"] if isinstance(part, str)]
    match first["type"]:
        case "json_invalid":
            return f"the line is not JSON ({first['ctx']['error']}): give one JSON object"
        case "quantiles":
            return str(first["msg"])
        case "missing":
            return f"{'.'.join(path)} is missing: give {_meant(path)}"
    if not path:
        return f"the line holds {_shown(first['input'])}: give one JSON object"
    bound = f"{first['msg'][0].lower()}{first['msg'][1:]}".replace(
        "input should be", "it has to be"
    )
    return f"{'.'.join(path)} is {_shown(first['input'])}, {bound}: give {_meant(path)}, or null"


def _meant(path: list[str]) -> str:
    model: type[BaseModel] = Window
    if path[0] in ("prefill", "decode", "worker") and len(path) > 1:
        model, path = RoleWindow, path[1:]
    field = model.model_fields.get(path[0])
    return field.description or path[0] if field else path[0]


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."
