"""Which requests wait for what, so that it wakes them when it comes."""

from collections import defaultdict
from collections.abc import Iterable

from dgdr_kube.kinds import DGD, NODE, Kind
from dgdr_kube.ports import Key
from dgdr_operator.core.observation import Observation
from dgdr_operator.core.steps import (
    AwaitHardware,
    AwaitJobPermission,
    AwaitPermission,
    AwaitReferences,
    AwaitRemoval,
    Step,
)

Thing = tuple[Kind, str, str]
"""Kind, namespace and name."""

NODES: Thing = (NODE, "", "")
"""Any node."""


def room_in(namespace: str) -> Thing:
    """Return what a quota of a namespace counts, or a name: any deployment or Job gives it back."""
    return (DGD, namespace, "")


class Waits:
    """Remembers what the last pass over each request waits for."""

    def __init__(self) -> None:
        self._waiting: dict[Thing, set[Key]] = defaultdict(set)
        self._things: dict[Key, frozenset[Thing]] = {}

    def note(self, key: Key, things: Iterable[Thing]) -> None:
        """Have a request woken by these, and by nothing else."""
        self.forget(key)
        if found := frozenset(things):
            self._things[key] = found
        for thing in found:
            self._waiting[thing].add(key)

    def forget(self, key: Key) -> None:
        """Wake a request by nothing any more."""
        for thing in self._things.pop(key, ()):
            self._waiting[thing].discard(key)
            if not self._waiting[thing]:
                del self._waiting[thing]

    def woken_by(self, thing: Thing) -> list[Key]:
        """Return the requests that wait for it."""
        return sorted(self._waiting.get(thing, ()))


def waited_for(step: Step, seen: Observation) -> frozenset[Thing]:
    """Return what may bring a request on; its own objects do so anyway."""
    if isinstance(step, AwaitReferences):
        namespace = seen.request.namespace
        return frozenset((kind, namespace, name) for kind, name in seen.referred)
    if isinstance(step, AwaitJobPermission | AwaitPermission | AwaitRemoval):
        return frozenset({room_in(seen.request.namespace)})
    lacks_nodes = isinstance(step, AwaitHardware) or bool(seen.lacks)
    return frozenset({NODES}) if lacks_nodes else frozenset()
