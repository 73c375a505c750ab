"""Ways to find objects of a store without looking at all of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from dgdr_kube.ports import Manifest


@dataclass(frozen=True, slots=True)
class Index:
    """Under which values an object is filed; ``label``: it is the value of this label."""

    name: str
    values: Callable[[Manifest], Iterable[str]]
    label: str | None = None


@cache
def labelled(label: str) -> Index:
    """Return the index by the value of a label."""

    def values(manifest: Manifest) -> Iterable[str]:
        value = (manifest["metadata"].get("labels") or {}).get(label)
        return () if value is None else (str(value),)

    return Index(label, values, label)
