"""Where the rows of a curve come from, and which engine they describe."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import ValidationError

from dgdr_api.fingerprint import Fingerprint
from dgdr_api.points import Source
from dgdr_api.problem import from_validation, summary

PROVENANCE = "provenance"


class ProfileDataError(ValueError):
    """The data are not a curve; the message names the key, what is wrong, and the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a curve comes from; None is unknown, as in upstream's files.

    ``fingerprint`` is the engine that the curve describes; ``sources`` has one entry for each row.
    """

    fingerprint: Fingerprint | None = None
    sources: tuple[Source, ...] | None = None

    @property
    def source(self) -> Source | None:
        """The least certain source of any row; None if unknown."""
        return least_certain(self.sources) if self.sources else None

    def to_object(self) -> dict[str, Any]:
        """Return what is known under the optional key of the JSON files."""
        known: dict[str, Any] = {}
        if self.fingerprint is not None:
            known["fingerprint"] = self.fingerprint.to_object()
        if self.sources is not None:
            known["sources"] = self.sources
        return {PROVENANCE: known} if known else {}

    @classmethod
    def from_object(cls, data: Mapping[str, Any]) -> Self:
        """Read the optional key.

        Raises:
            ProfileDataError: it is there and says something else.
        """
        known = data.get(PROVENANCE, {})
        if not isinstance(known, dict):
            raise ProfileDataError(f"{PROVENANCE} is a {type(known).__name__}, not an object")
        fingerprint, sources = known.get("fingerprint"), known.get("sources")
        read = None if fingerprint is None else fingerprint_of_object(fingerprint)
        if sources is None:
            return cls(fingerprint=read)
        if not isinstance(sources, list):
            raise ProfileDataError(f"{PROVENANCE}.sources is {sources!r}, not a list of sources")
        return cls(fingerprint=read, sources=sources_of(sources))


UNKNOWN = Provenance()


def least_certain(sources: Iterable[Source]) -> Source:
    """Return the least certain of some sources: one estimated point makes a curve estimated."""
    order = list(Source)
    return max(sources, key=order.index)


def fingerprint_of_object(data: object) -> Fingerprint:
    """Read a fingerprint.

    Raises:
        ProfileDataError: names the field that is wrong.
    """
    try:
        return Fingerprint.model_validate(data)
    except ValidationError as exc:
        found = summary(from_validation(exc))
        raise ProfileDataError(f"{PROVENANCE}.fingerprint: {found}; profile again") from exc


def sources_of(names: Iterable[str]) -> tuple[Source, ...]:
    """Read one source for each row.

    Raises:
        ProfileDataError: names the row whose source is unknown.
    """
    sources = []
    for index, name in enumerate(names):
        if name not in list(Source):
            raise ProfileDataError(
                f"{PROVENANCE}.sources[{index}] is {name!r}; it must be {', '.join(Source)}"
            )
        sources.append(Source(name))
    return tuple(sources)
