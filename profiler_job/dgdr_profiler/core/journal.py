"""What a run did beside measuring: rejections, failures and stays, stored like points.

A new pod of the Job reads them: it waits for nothing a second time, and the account of GPU-seconds
is whole, whichever pod spent them. A run that was asked for again tries everything again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter

from dgdr_api.models.base import ApiModel
from dgdr_api.points import Point
from dgdr_profiler.core.candidate import EngineFacts, Fetched

MAX_ENTRY_BYTES = 1024
_ELLIPSIS = "…"


class Rejection(ApiModel):
    """A candidate that was given up.

    ``lasting`` is False for a reason that may be gone by the next pod, such as a lost node.
    ``image`` is the one that cannot be pulled: whoever needs it too need not be tried. ``run`` is
    the one that it happened in; earlier versions did not say.
    """

    entry: Literal["rejection"] = "rejection"
    candidate: str = Field(max_length=63)
    reason: str
    at: AwareDatetime
    lasting: bool = True
    image: str | None = None
    run: str | None = None

    @property
    def key(self) -> str:
        """Name of the record."""
        return f"rejection-{self.candidate}"


class Failure(ApiModel):
    """A measurement that gave no point, in a ``run`` as of a rejection."""

    entry: Literal["failure"] = "failure"
    candidate: str = Field(max_length=63)
    isl: int = Field(ge=0)
    reason: str
    at: AwareDatetime
    run: str | None = None

    @property
    def key(self) -> str:
        """Name of the record; every attempt has its own."""
        return f"failure-{self.candidate}-{self.isl}-{_digits(self.at)}"


class Stay(ApiModel):
    """One deployment of a candidate, from creation until its GPUs were free.

    ``held_s`` is None as long as it stands, ``ready_after_s`` as long as it does not serve. Limits
    are those of the engine, ``kv_source`` says who named its ``kv_tokens``, ``notes`` what is odd
    about them. ``fetched_ms``, ``fetched_isl`` and ``fetched_bytes`` are what the decode engine of
    a pair said at its end about the KV caches that it fetched: time and length of a prompt, and the
    bytes of a token.
    """

    entry: Literal["stay"] = "stay"
    candidate: str = Field(max_length=63)
    gpus: int = Field(ge=0)
    started_at: AwareDatetime
    ready_after_s: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    kv_tokens: int | None = None
    kv_source: str | None = None
    max_batch: int | None = None
    context_length: int | None = None
    notes: tuple[str, ...] = ()
    held_s: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    fetched_ms: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    fetched_isl: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    fetched_bytes: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    @property
    def key(self) -> str:
        """Name of the record."""
        return f"stay-{self.candidate}-{_digits(self.started_at)}"

    @property
    def gpu_s(self) -> float:
        """GPU-seconds that it held; 0 as long as it has not ended."""
        return self.gpus * (self.held_s or 0.0)

    @property
    def fetched(self) -> Fetched | None:
        """What fetching KV caches took; None where the engine did not say."""
        if self.fetched_ms is None or self.fetched_isl is None:
            return None
        return Fetched(ms=self.fetched_ms, isl=self.fetched_isl, bytes_per_token=self.fetched_bytes)

    def having_fetched(self, what: Fetched) -> "Stay":
        """Return the stay of an engine that fetched KV caches."""
        return self.model_copy(
            update={
                "fetched_ms": round(what.ms, 3),
                "fetched_isl": round(what.isl, 1),
                "fetched_bytes": what.bytes_per_token and round(what.bytes_per_token),
            }
        )

    def ended(self, now: datetime) -> "Stay":
        """Return the stay as it ends now."""
        held_s = max(0.0, (now - self.started_at).total_seconds())
        return self.model_copy(update={"held_s": round(held_s, 3)})

    def ready(self, now: datetime, facts: EngineFacts) -> "Stay":
        """Return the stay of an engine that serves from now on."""
        after_s = max(0.0, (now - self.started_at).total_seconds())
        return self.model_copy(
            update={
                "ready_after_s": round(after_s, 3),
                "kv_tokens": facts.max_kv_tokens,
                "kv_source": facts.kv_source,
                "max_batch": facts.max_batch,
                "context_length": facts.context_length,
                "notes": facts.notes,
            }
        )


Entry = Rejection | Failure | Stay
_ENTRY: TypeAdapter[Entry] = TypeAdapter(Annotated[Entry, Field(discriminator="entry")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused:
    """A point that another request of the namespace measured on the very same engine."""

    point: Point
    owner: str


def to_text(entry: Entry) -> str:
    """Return the record as stored: JSON in one line of at most 1 KiB; a long reason is cut."""
    text = _plain(entry)
    if isinstance(entry, Stay):
        return text
    reason = entry.reason
    while len(text.encode()) > MAX_ENTRY_BYTES and reason:
        reason = reason[: len(reason) * 3 // 4]
        text = _plain(entry.model_copy(update={"reason": reason + _ELLIPSIS}))
    return text


def from_text(text: str) -> Entry:
    """Read a stored record.

    Raises:
        pydantic.ValidationError: it is none, or of a kind that this version does not know.
    """
    return _ENTRY.validate_json(text)


def in_run(entry: Entry, run: str | None) -> Entry:
    """Return the entry of a run; GPUs are held on behalf of the request, whichever run asked."""
    return entry if isinstance(entry, Stay) else entry.model_copy(update={"run": run})


def of_run(entries: Iterable[Entry], run: str | None) -> tuple[Entry, ...]:
    """Return what counts in a run: all stays, but what went wrong before may be cured by now."""
    return tuple(e for e in entries if isinstance(e, Stay) or e.run == run)


def lasting_rejections(entries: Iterable[Entry]) -> dict[str, str]:
    """Return why candidates were given up for good."""
    return {e.candidate: e.reason for e in entries if isinstance(e, Rejection) and e.lasting}


def failures(entries: Iterable[Entry]) -> dict[tuple[str, int], tuple[str, ...]]:
    """Return what went wrong with measurements, by candidate and prompt length, oldest first."""
    found: dict[tuple[str, int], tuple[str, ...]] = {}
    for entry in sorted((e for e in entries if isinstance(e, Failure)), key=lambda e: e.at):
        place = (entry.candidate, entry.isl)
        found[place] = (*found.get(place, ()), entry.reason)
    return found


def unpullable(entries: Iterable[Entry]) -> dict[str, str]:
    """Return the images that several candidates could not pull, and what the last one was told.

    One candidate may have met a bad node; where two agree the others would not fare better.
    """
    told: dict[str, dict[str, str]] = {}
    for entry in entries:
        if isinstance(entry, Rejection) and entry.image is not None:
            told.setdefault(entry.image, {})[entry.candidate] = entry.reason
    return {image: list(by.values())[-1] for image, by in told.items() if len(by) > 1}


def stays(entries: Iterable[Entry]) -> tuple[Stay, ...]:
    """Return the stays, oldest first."""
    return tuple(sorted((e for e in entries if isinstance(e, Stay)), key=lambda e: e.started_at))


def notes(entries: Iterable[Entry], labels: Mapping[str, str]) -> tuple[str, ...]:
    """Return what went wrong or is odd, in sentences, oldest first, each of them once.

    ``labels`` name the candidates.
    """
    told = [
        (e.started_at if isinstance(e, Stay) else e.at, text)
        for e in entries
        for text in _told(e, labels)
    ]
    return tuple(dict.fromkeys(text for _, text in sorted(told, key=lambda pair: pair[0])))


def _told(entry: Entry, labels: Mapping[str, str]) -> tuple[str, ...]:
    name = labels.get(entry.candidate, entry.candidate)
    match entry:
        case Rejection():
            return (f"{name} given up: {entry.reason}",)
        case Failure():
            return (f"{name}, prompt length {entry.isl}: {entry.reason}",)
        case Stay():
            return tuple(f"{name}: {note}" for note in entry.notes)


def _plain(entry: Entry) -> str:
    return entry.model_dump_json(by_alias=True, exclude_none=True)


def _digits(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%S.%f")
