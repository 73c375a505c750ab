"""Two processes on one Lease, of which the leader ends again and again."""

import asyncio
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.failover_scenes import Scene, until
from bench.outage_seen import all_there
from dgdr_kube.client import KubeCluster
from dgdr_kube.kinds import LEASE
from support.api_faults import Sent
from support.failing import BACK, KINDS, double_writes
from support.pairs import Half

SETTLED_S = 3.0
PATIENCE_S = 90.0
# Until all that the network held has reached the server.
DELIVERED_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One end of a leader, in seconds after it.

    ``led_s``: the other one has the Lease; ``wrote_s``: its first write beside it; ``acted_s``:
    what was asked for in that moment is there. ``late_writes`` are the old leader's, after the
    other one's first; ``double_writes`` those of them on an object that the other one had written
    before, or of a new object.
    """

    led_s: float | None
    wrote_s: float | None
    acted_s: float | None
    late_writes: tuple[str, ...]
    double_writes: tuple[str, ...]


@dataclass
class Duo:
    """Both halves, on one Lease."""

    halves: tuple[Half, Half]
    lease: str
    namespace: str
    kube: KubeCluster

    async def leader(self) -> Half:
        """Wait for one of them to lead while the other one stands by."""
        await until(f"a leader in {self.namespace}", self._has_leader)
        found = await self._leader()
        assert found is not None
        await until("the other one waits", lambda: self._waits(self.other(found)))
        return found

    def other(self, half: Half) -> Half:
        first, second = self.halves
        return second if half is first else first

    async def round(self, kind: str, scene: Scene) -> Round:
        """End the leader so, and start it again when the other one leads."""
        await scene.settle()
        leader = await self.leader()
        other = self.other(leader)
        await asyncio.sleep(SETTLED_S)
        ended_s = KINDS[kind](leader)
        wanted = await scene.ask()
        await all_there([wanted], ended_s + PATIENCE_S)
        await until("the other one leads", lambda: self._is_held_by(other))
        first_s = _first_s(other.work(), ended_s)
        leases = [one for one in other.api.sent if "/leases" in one.path and one.status < 300]
        led_s = _first_s(leases, ended_s)
        await self._revive(kind, leader)
        late = [] if first_s is None else double_writes(leader, first_s)
        doubled = [one for one in late if _is_double(one, other.work(), ended_s)]
        seen_s = wanted.when_s()
        return Round(
            led_s=_since(ended_s, led_s),
            wrote_s=_since(ended_s, first_s),
            acted_s=_since(ended_s, seen_s),
            late_writes=tuple(f"{one.verb} {one.path}" for one in late),
            double_writes=tuple(f"{one.verb} {one.path}" for one in doubled),
        )

    async def _revive(self, kind: str, half: Half) -> None:
        """Let the old leader hear of the other one, if it can; then start it anew."""
        if kind in BACK:
            BACK[kind](half)
        await asyncio.to_thread(half.process.wait)
        await asyncio.sleep(DELIVERED_S)
        folder = half.process.log.parent
        (folder / "crash").unlink(missing_ok=True)
        half.process.log.rename(folder / f"life-{half.process.starts}.log")
        half.process.start()

    async def _leader(self) -> Half | None:
        found = await self.kube.get(LEASE, self.namespace, self.lease) or {"spec": {}}
        held = str(found["spec"].get("holderIdentity") or "").partition("_")[0]
        return next((half for half in self.halves if half.name == held), None)

    async def _has_leader(self) -> bool:
        return await self._leader() is not None

    async def _is_held_by(self, half: Half) -> bool:
        return await self._leader() is half

    async def _waits(self, half: Half) -> bool:
        return "Standing by" in half.process.log.read_text()


def summary(rounds: Sequence[Round], broken: Sequence[str]) -> dict[str, Any]:
    """Return the figures of one scene and kind."""
    return {
        "runs": len(rounds),
        "led_s": _spread([one.led_s for one in rounds]),
        "wrote_s": _spread([one.wrote_s for one in rounds]),
        "acted_s": _spread([one.acted_s for one in rounds]),
        "late_writes": [text for one in rounds for text in one.late_writes],
        "double_writes": [text for one in rounds for text in one.double_writes],
        "broken": [*broken],
    }


def _is_double(late: Sent, others: Iterable[Sent], ended_s: float) -> bool:
    if "/events" in late.path:
        return False
    ours = (one for one in others if ended_s < one.at_s < late.at_s)
    return late.verb == "POST" or any(_object(one.path) == _object(late.path) for one in ours)


def _object(path: str) -> str:
    return path.removesuffix("/status").removesuffix("/scale")


def _first_s(writes: Iterable[Sent], after_s: float) -> float | None:
    return next((one.at_s for one in writes if one.at_s > after_s), None)


def _since(began_s: float, at_s: float | None) -> float | None:
    return None if at_s is None else at_s - began_s


def _spread(seconds: Iterable[float | None]) -> dict[str, Any]:
    all_ = [*seconds]
    known = sorted(one for one in all_ if one is not None)
    if not known:
        return {"never": len(all_)}
    return {
        "min": round(known[0], 2),
        "median": round(statistics.median(known), 2),
        "max": round(known[-1], 2),
        "never": len(all_) - len(known),
    }
