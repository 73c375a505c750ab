"""What a process brings about, seen behind no fault, and the verdict on it."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from dgdr_kube.client import KubeCluster
from dgdr_kube.following import follow
from dgdr_kube.kinds import Kind
from dgdr_kube.ports import Key, Manifest
from dgdr_kube.store import Store, key_of

LOOK_S = 0.1

Holds = Callable[[Manifest], bool]


async def _soon(_: float) -> None:
    """Wait for less than a follower wants to: what it sees is timed."""
    await asyncio.sleep(LOOK_S)


@dataclass
class Seen:
    """All objects of a kind, and when each version of one was seen first."""

    source: KubeCluster
    kind: Kind
    store: Store = field(init=False)
    _told: dict[Key, list[tuple[float, Manifest]]] = field(default_factory=dict)
    _now: dict[Key, Manifest] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = Store(self._hear)

    async def run(self) -> None:
        """Follow until cancelled."""
        await follow(self.source, self.kind, None, self.store, _soon)

    def when_s(self, key: Key, holds: Holds, since_s: float) -> float | None:
        """Return when an object became so after that moment; None: not yet."""
        told = self._told.get(key, ())
        return next((at_s for at_s, one in told if at_s >= since_s and holds(one)), None)

    def now(self, key: Key) -> Manifest | None:
        """Return an object as it was seen last; None: it is not there."""
        return self._now.get(key)

    def _hear(self, old: Manifest | None, new: Manifest | None) -> None:
        if new is None:
            self._now.pop(key_of(old or {}), None)
            return
        self._now[key_of(new)] = new
        self._told.setdefault(key_of(new), []).append((time.monotonic(), new))


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object that a process has to make, or to change."""

    seen: Seen
    key: Key
    holds: Holds = lambda _: True
    since_s: float = 0.0

    def when_s(self) -> float | None:
        """Return when it was so first; None: not yet."""
        return self.seen.when_s(self.key, self.holds, self.since_s)


async def all_there(wanted: Iterable[Wanted], until_s: float) -> bool:
    """Wait for all of them, at most until then."""
    left = [*wanted]
    while left := [one for one in left if one.when_s() is None]:
        if time.monotonic() > until_s:
            return False
        await asyncio.sleep(LOOK_S)
    return True


def seconds_after(wanted: Mapping[str, Wanted], ended_s: float) -> dict[str, float | None]:
    """Return how long after its end each was there; 0: while it lasted."""
    found: dict[str, float | None] = {}
    for name, one in wanted.items():
        at_s = one.when_s()
        found[name] = None if at_s is None else round(max(at_s - ended_s, 0.0), 2)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a process on one bad day.

    ``ended``: why it ended, each time: by its probe, or by itself. ``seconds`` after the day's end
    by what was wanted; 0: while it lasted, None: never. A ``zombie`` lives, is well by its probe,
    and does not act within a minute. ``left_over``: objects of what was deleted meanwhile.
    ``control_s``: how long the same takes a moment later, with nothing broken.
    """

    fault: str
    watches: str
    lasts_s: float
    lane: str
    ended: tuple[str, ...]
    seconds: dict[str, float | None]
    zombie: bool
    left_over: int = 0
    control_s: float | None = None
