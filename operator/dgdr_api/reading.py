"""Reading foreign JSON: each getter checks the shape and names the field that is wrong."""

from collections.abc import Iterable, Mapping
from typing import Any

from dgdr_api.graph import Json


class CodecError(ValueError):
    """A manifest that cannot be read; says which field, what it holds, and what it should be."""

    def __init__(self, field: str, value: object, wanted: str) -> None:
        super().__init__(f"{field}: {_short(value)} is not {wanted}")
        self.field = field
        self.value = value
        self.wanted = wanted


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def object_of(value: object) -> Json:
    """Return an object; an empty one where something else stands."""
    return value if isinstance(value, Mapping) else {}


class Reader:
    """One JSON object that is taken apart; ``rest`` is what nobody asked for."""

    def __init__(self, value: object, path: str) -> None:
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            raise CodecError(path, value, "an object")
        if not all(isinstance(key, str) for key in value):
            raise CodecError(path, value, "an object with strings for keys; quote numbers")
        self._left: dict[str, Any] = dict(value)
        self._path = path

    def path(self, key: str) -> str:
        """Path of a key, for an error message."""
        return f"{self._path}.{key}" if self._path else key

    def take(self, key: str) -> Any:
        """Take a value as it is; ``None`` when it is missing."""
        return self._left.pop(key, None)

    def text(self, key: str) -> str | None:
        """Take a string."""
        value = self.take(key)
        if value is not None and not isinstance(value, str):
            raise CodecError(self.path(key), value, "a string")
        return value

    def number(self, key: str) -> int | None:
        """Take a whole number from 0."""
        value = self.take(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise CodecError(self.path(key), value, "a whole number from 0")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Take an array of strings."""
        values = self._array(key, "an array of strings")
        if not all(isinstance(value, str) for value in values):
            raise CodecError(self.path(key), values, "an array of strings; quote numbers")
        return tuple(values)

    def objects(self, key: str) -> tuple[Json, ...]:
        """Take an array of objects."""
        values = self._array(key, "an array of objects")
        if not all(isinstance(value, Mapping) for value in values):
            raise CodecError(self.path(key), values, "an array of objects")
        return tuple(values)

    def entries(self, key: str, identity: str, *, may_lack: bool = False) -> tuple[Json, ...]:
        """Take an array of objects that each have a string as ``identity``, such as a name."""
        values = self.objects(key)
        for index, value in enumerate(values):
            known = value.get(identity)
            if not isinstance(known, str) and not (may_lack and known is None):
                raise CodecError(f"{self.path(key)}[{index}].{identity}", known, "a string")
        return values

    def variables(self, key: str) -> tuple[Json, ...]:
        """Take environment variables: objects with a name; a value is a string."""
        values = self.entries(key, "name")
        for index, value in enumerate(values):
            given = value.get("value")
            if given is not None and not isinstance(given, str):
                path = f"{self.path(key)}[{index}].value"
                raise CodecError(path, given, "a string; quote numbers and booleans")
        return values

    def strings(self, key: str) -> dict[str, str]:
        """Take a map of strings, such as labels."""
        value = self.take(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping) or not all(isinstance(v, str) for v in value.values()):
            raise CodecError(self.path(key), value, "a map of strings; quote numbers and booleans")
        return dict(value)

    def inner(self, key: str) -> "Reader":
        """Take an object apart; an empty one when it is missing."""
        return Reader(self.take(key), self.path(key))

    def rest(self) -> dict[str, Any]:
        """Return what nobody took."""
        return dict(self._left)

    def _array(self, key: str, wanted: str) -> list[Any]:
        value = self.take(key)
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            raise CodecError(self.path(key), value, wanted)
        return list(value)


def set_(into: dict[str, Any], /, **values: Any) -> None:
    """Set what is not empty, so that a field that nobody gave is not written."""
    into.update({key: value for key, value in values.items() if value not in (None, {}, [], ())})


def objects_of(value: object) -> list[Json]:
    """Return the objects of a list that nobody has checked; none where it is none."""
    entries = value if isinstance(value, list | tuple) else ()
    return [entry for entry in entries if isinstance(entry, Mapping)]


def name_of(entry: Json) -> str | None:
    """Return the name of an entry of a list; None when it has none that could be one."""
    name = entry.get("name")
    return name if isinstance(name, str) and name else None


def plain(values: Iterable[Any]) -> list[Any]:
    """Return a list, which is what JSON and YAML writers take."""
    return list(values)
