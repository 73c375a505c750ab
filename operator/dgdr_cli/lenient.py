"""Reading what another version wrote, or what is not for this user: what is left out is said."""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dgdr_api.points import Point
from dgdr_cli.refusals import REFUSALS, one_line

_T = TypeVar("_T")
_Model = TypeVar("_Model", bound=BaseModel)
# How pydantic calls a word that is not among those that are known.
_WORDS = ("enum", "literal_error")


class Lenient:
    """Reads what it can; ``remarks`` say what it could not."""

    def __init__(self) -> None:
        self.remarks: list[str] = []

    def unless_refused(self, what: str, read: Callable[[], _T]) -> _T | None:
        """Read what stands beside an object; None where that cannot be read."""
        try:
            return read()
        except REFUSALS as exc:
            self.remarks.append(f"{what}: not readable: {one_line(exc)}")
            return None

    def parsed(self, what: str, model: type[_Model], manifest: Mapping[str, Any]) -> _Model:
        """Read an object without what only a newer version knows: fields, and words in a field.

        Raises:
            ValidationError: it has another shape than this version knows.
        """
        try:
            return model.model_validate(manifest, extra="ignore")
        except ValidationError as exc:
            words = [one for one in exc.errors() if one["type"] in _WORDS]
            try:
                places = [one["loc"] for one in words]
                read = model.model_validate(_without(manifest, places), extra="ignore")
            except (ValidationError, LookupError, TypeError):
                raise exc from None
        for word in words:
            path = ".".join(map(str, word["loc"]))
            told = f"{path} is {word['input']}, which this version does not know"
            self.remarks.append(f"{what}: {told}")
        return read

    def points(self, texts: Iterable[str]) -> tuple[Point, ...]:
        """Read measured points; those that cannot be read are counted."""
        read, refused = [], []
        for text in texts:
            try:
                read.append(Point.model_validate_json(text, extra="ignore"))
            except ValidationError as exc:
                refused.append(one_line(exc))
        if refused:
            count = f"{len(refused)} of {len(read) + len(refused)}"
            self.remarks.append(f"points: {count} not readable: {refused[0]}")
        return tuple(read)


def _without(manifest: Mapping[str, Any], places: Iterable[tuple[int | str, ...]]) -> Any:
    left = deepcopy(dict(manifest))
    # From behind: what is taken out of a list moves what comes after it.
    for *way, last in reversed(list(places)):
        inner: Any = left
        for part in way:
            inner = inner[part]
        del inner[last]
    return left
