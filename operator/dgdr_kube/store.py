"""The objects of one kind as a watch tells of them.

Two rules keep it honest. The newest version wins, whatever order things are heard in: versions
are one rising number for all objects of an API server. And what this process wrote is never
answered from before: until the watch has told of it, the store says that it does not know.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from dgdr_kube.ports import Change, ChangeType, Key, Listing, Manifest


class Unsure(Enum):
    """Nobody knows without a question to the API server."""

    UNSURE = "unsure"


UNSURE = Unsure.UNSURE

Told = Callable[[Manifest | None, Manifest | None], None]
"""Hears an object as it was and as it is; None: not there."""


def _ignored(old: Manifest | None, new: Manifest | None) -> None:
    """Nobody listens."""


def _whole(manifest: Manifest) -> Manifest:
    return manifest


@dataclass
class Store:
    """What is known of one kind; everybody shares its objects, nobody may change them.

    ``kept`` takes off what nobody reads before an object is kept and told.
    """

    told: Told = _ignored
    kept: Callable[[Manifest], Manifest] = _whole
    _objects: dict[Key, Manifest] = field(default_factory=dict)
    _followed: set[str | None] = field(default_factory=set)
    _listed: dict[str | None, int] = field(default_factory=dict)
    _written: dict[Key, int] = field(default_factory=dict)

    def look(self, key: Key) -> Manifest | Unsure | None:
        """Return an object, None where it is not there, UNSURE where the watch does not say."""
        followed = None in self._followed or key.namespace in self._followed
        if not followed or key in self._written:
            return UNSURE
        return self._objects.get(key)

    def replace(self, scope: str | None, listing: Listing) -> None:
        """Take over a whole collection, of a namespace or of all (None).

        Lists of one collection never go back, unless the server's data were restored from before:
        then nothing that is known may outweigh what is there now.
        """
        listed = {key_of(one): one for one in listing.items}
        version, before = int(listing.version), self._listed.get(scope, 0)
        self._listed[scope] = version
        for key, known in [*self._objects.items()]:
            if scope not in (None, key.namespace):
                continue
            if version < before:
                self._drop(key, version_of(known))
            elif key not in listed:
                self._drop(key, version)
        for key, manifest in listed.items():
            self._put(key, manifest)
        self._followed.add(scope)

    def apply(self, change: Change) -> None:
        """Take over what a watch tells."""
        if change.type is ChangeType.BOOKMARK:
            return
        key = key_of(change.manifest)
        if change.type is ChangeType.DELETED:
            self._drop(key, int(change.version))
        else:
            self._put(key, change.manifest)

    def lose(self, scope: str | None) -> None:
        """Trust nothing of a collection until it is listed again."""
        self._followed.discard(scope)

    def wrote(self, key: Key, result: Manifest | None, before: str | None = None) -> None:
        """Take over the result of an own write; without one its object is newer than ``before``.

        An object that the watch has never told of, or no longer, is left to the watch: who knows
        whether it still exists.
        """
        known = self._objects.get(key)
        if known is None:
            return
        if result is not None:
            self._put(key, result)
        elif version_of(known) <= (since := int(before or version_of(known))):
            self._written[key] = max(since, self._written.get(key, 0))

    def read(self, key: Key, manifest: Manifest) -> None:
        """Take over what was read, where the watch has told of the object before."""
        if key in self._objects:
            self._put(key, manifest)

    def _put(self, key: Key, manifest: Manifest) -> None:
        known, version = self._objects.get(key), version_of(manifest)
        if known is not None and version <= version_of(known):
            return
        self._objects[key] = manifest = self.kept(manifest)
        if version > self._written.get(key, version):
            del self._written[key]
        self.told(known, manifest)

    def _drop(self, key: Key, version: int) -> None:
        known = self._objects.get(key)
        if known is not None and version_of(known) <= version:
            del self._objects[key]
            self._written.pop(key, None)
            self.told(known, None)


def key_of(manifest: Mapping[str, object]) -> Key:
    """Return the key of an object with a namespace."""
    meta = manifest["metadata"]
    assert isinstance(meta, Mapping)
    return Key(str(meta["namespace"]), str(meta["name"]))


def version_of(manifest: Manifest) -> int:
    """Return the resourceVersion as the number that it is."""
    return int(manifest["metadata"]["resourceVersion"])
