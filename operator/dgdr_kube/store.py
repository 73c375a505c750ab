"""The objects of one kind as a watch tells of them.

Two rules keep it honest. The newest version wins, whatever order things are heard in: versions
are one rising number for all objects of an API server. And what this process wrote is never
answered from before: until the watch has told of it, the store says that it does not know. A write
that nobody answered may not have happened: what is read long after it ends that doubt.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from dgdr_kube.index import Index
from dgdr_kube.packing import pack, unpack
from dgdr_kube.ports import Change, ChangeType, Kept, Key, Listing, Manifest, whole


class Unsure(Enum):
    """Nobody knows without a question to the API server."""

    UNSURE = "unsure"


UNSURE = Unsure.UNSURE

PARTIAL = "partial"
"""A key that ``kept`` adds where it has taken off what somebody may want to read."""

# A call is given up after so long; one that was on its way then arrives before as much again.
_ARRIVES_S = 30.0

Told = Callable[[Manifest | None, Manifest | None], None]
"""Hears an object as it was and as it is; None: not there."""

Place = tuple[str, str | None, str]
"""Index, namespace (None: all) and value."""


def _ignored(old: Manifest | None, new: Manifest | None) -> None:
    """Nobody listens."""


class Entry(NamedTuple):
    """An object as it is kept: with its version, and where it is filed."""

    key: Key
    version: int
    kept: Manifest | bytes
    places: tuple[Place, ...]

    @property
    def manifest(self) -> Manifest:
        """The object."""
        return unpack(self.kept) if isinstance(self.kept, bytes) else self.kept


class _Doubt(NamedTuple):
    """An own write without a result: it is newer than ``since``, or never happens after a time."""

    since: int
    until_s: float


@dataclass
class Store:
    """What is known of one kind; everybody shares its objects, nobody may change them.

    ``kept`` takes off what nobody reads before an object is kept and told. ``label`` is what the
    server was told to ask for: objects without it are never heard of. ``packed`` takes a tenth of
    the space, and some time at each look.
    """

    told: Told = _ignored
    kept: Kept = whole
    label: str = ""
    indices: tuple[Index, ...] = ()
    packed: bool = False
    _objects: dict[Key, Entry] = field(default_factory=dict)
    _filed: dict[Place, dict[Key, None]] = field(default_factory=dict)
    _followed: set[str | None] = field(default_factory=set)
    _heard: dict[str | None, int] = field(default_factory=dict)
    _written: dict[Key, _Doubt] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many objects are kept."""
        return len(self._objects)

    def look(self, key: Key) -> Manifest | Unsure | None:
        """Return an object, None where it is not there, UNSURE where the watch does not say."""
        if self._scope_of(key.namespace) is UNSURE or key in self._written:
            return UNSURE
        entry = self._objects.get(key)
        found = None if entry is None else entry.manifest
        return UNSURE if found is not None and found.get(PARTIAL) else found

    def find(
        self, namespace: str | None, index: Index | None = None, value: str = ""
    ) -> list[Manifest] | Unsure:
        """Return the objects of a namespace (None: all) that are filed under a value, or all."""
        keys = self.keys(namespace, index, value)
        unsure = self._scope_of(namespace) is UNSURE or any(key in self._written for key in keys)
        return UNSURE if unsure else [self._objects[key].manifest for key in keys]

    def keys(self, namespace: str | None, index: Index | None = None, value: str = "") -> list[Key]:
        """Return the keys that are known, by their names, whether they can be trusted or not."""
        if index is not None:
            return sorted(self._filed.get((index.name, namespace, value), ()))
        return sorted(key for key in self._objects if namespace in (None, key.namespace))

    def entry(self, manifest: Manifest) -> Entry:
        """Return an object as it is kept here; of a list each as soon as it arrives.

        A thousand whole Deployments at once take 40 MiB.
        """
        key, version = key_of(manifest), version_of(manifest)
        manifest = self.kept(manifest)
        kept = pack(manifest) if self.packed else manifest
        return Entry(key, version, kept, tuple(self._places(key, manifest)))

    def replace(
        self, scope: str | None, listing: Listing[Manifest], began_s: float = -math.inf
    ) -> None:
        """Take over a whole collection, of a namespace or of all (None)."""
        entries = [self.entry(manifest) for manifest in listing.items]
        self.take_over(scope, Listing(entries, listing.version), began_s)

    def take_over(
        self, scope: str | None, listing: Listing[Entry], began_s: float = -math.inf
    ) -> None:
        """Take over a whole collection whose objects are kept already; asked for at ``began_s``.

        No list is older than what was listed or heard of before, unless the server's data were
        restored from before: then nothing that is known may outweigh what is there now.
        """
        listed = {entry.key for entry in listing.items}
        version, before = int(listing.version), self._heard.get(scope, 0)
        self._heard[scope] = version
        for key, known in [*self._objects.items()]:
            if scope not in (None, key.namespace):
                continue
            if version < before:
                self._drop(key, known.version)
            elif key not in listed:
                self._drop(key, version)
        for entry in listing.items:
            self._put(entry)
            self.settle(entry.key, entry.version, began_s)
        self._followed.add(scope)

    def apply(self, change: Change, scope: str | None = None) -> None:
        """Take over what the watch of a namespace, or of all (None), tells."""
        self._heard[scope] = max(int(change.version), self._heard.get(scope, 0))
        if change.type is ChangeType.BOOKMARK:
            return
        key = key_of(change.manifest)
        if change.type is ChangeType.DELETED:
            self._drop(key, int(change.version))
        else:
            self._put(self.entry(change.manifest))

    def lose(self, scope: str | None) -> None:
        """Trust nothing of a collection until it is listed again."""
        self._followed.discard(scope)

    def wrote(
        self,
        key: Key,
        result: Manifest | None,
        before: str | None = None,
        ended_s: float = math.inf,
    ) -> None:
        """Take over the result of an own write; without one its object is newer than ``before``."""
        known = self._objects.get(key)
        if result is not None:
            if known is not None or self._is_ahead(key, result):
                self._put(self.entry(result))
        elif known is not None and known.version <= (since := int(before or known.version)):
            if (doubt := self._written.get(key)) is not None:
                since = max(since, doubt.since)
            self._written[key] = _Doubt(since, ended_s + _ARRIVES_S)

    def read(self, key: Key, manifest: Manifest, began_s: float = -math.inf) -> None:
        """Take over what was read since ``began_s``, where the watch has told of it before."""
        if key in self._objects:
            self._put(self.entry(manifest))
            self.settle(key, version_of(manifest), began_s)

    def settle(self, key: Key, version: int, began_s: float) -> None:
        """Doubt no write that has left no trace where one was looked for late enough."""
        known, doubt = self._objects.get(key), self._written.get(key)
        if known is None or doubt is None:
            return
        if known.version == version and began_s >= doubt.until_s:
            del self._written[key]

    def _scope_of(self, namespace: str | None) -> str | Unsure | None:
        """Return the collection whose watch tells of a namespace; UNSURE when none does now."""
        for scope in (None, namespace):
            if scope in self._followed:
                return scope
        return UNSURE

    def _is_ahead(self, key: Key, result: Manifest) -> bool:
        """Whether the watch has yet to tell of an object that we made.

        One that it has told of and that is not known any more is gone.
        """
        scope = self._scope_of(key.namespace)
        if isinstance(scope, Unsure) or not self._is_told(result):
            return False
        return version_of(result) > self._heard.get(scope, 0)

    def _is_told(self, manifest: Manifest) -> bool:
        return not self.label or self.label in (manifest["metadata"].get("labels") or {})

    def _put(self, entry: Entry) -> None:
        key, known = entry.key, self._objects.get(entry.key)
        if known is not None and entry.version <= known.version:
            return
        self._objects[key] = entry
        self._file(key, () if known is None else known.places, entry.places)
        doubt = self._written.get(key)
        if doubt is not None and entry.version > doubt.since:
            del self._written[key]
        self.told(None if known is None else known.manifest, entry.manifest)

    def _drop(self, key: Key, version: int) -> None:
        known = self._objects.get(key)
        if known is not None and known.version <= version:
            del self._objects[key]
            self._file(key, known.places, ())
            self._written.pop(key, None)
            self.told(known.manifest, None)

    def _places(self, key: Key, manifest: Manifest) -> Iterable[Place]:
        for index in self.indices:
            for value in index.values(manifest):
                yield index.name, key.namespace, value
                yield index.name, None, value

    def _file(self, key: Key, before: tuple[Place, ...], after: tuple[Place, ...]) -> None:
        if before == after:
            return
        for place in before:
            self._filed[place].pop(key, None)
            if not self._filed[place]:
                del self._filed[place]
        for place in after:
            self._filed.setdefault(place, {})[key] = None


def key_of(manifest: Mapping[str, object]) -> Key:
    """Return the key of an object; one without a namespace has the empty one."""
    meta = manifest["metadata"]
    assert isinstance(meta, Mapping)
    return Key(str(meta.get("namespace") or ""), str(meta["name"]))


def version_of(manifest: Manifest) -> int:
    """Return the resourceVersion as the number that it is."""
    return int(manifest["metadata"]["resourceVersion"])
