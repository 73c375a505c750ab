"""Ends of a leader, and what the other one makes of it; for a test of each and a bench of many."""

import signal
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from support import api_faults
from support.api_faults import Sent
from support.cluster import TestCluster
from support.operator_process import until
from support.pairs import Half, Pair, pair

# How long a leader is left to itself before it ends, so that both have settled.
SETTLED_S = 3.0


@dataclass(frozen=True)
class Taken:
    """How long it took the other one, and what should not have been written."""

    kind: str
    seconds: float
    double_writes: list[Sent]

    def told(self) -> dict[str, object]:
        return {
            "seconds": round(self.seconds, 2),
            "double_writes": [f"{one.verb} {one.path}" for one in self.double_writes],
        }


def killed(_: Pair, leader: Half) -> float:
    """As the kernel does, with no chance to tidy up."""
    now = time.monotonic()
    leader.process.kill()
    return now


def told_to_stop(_: Pair, leader: Half) -> float:
    """As the kubelet does, in a rolling update."""
    now = time.monotonic()
    leader.process.send(signal.SIGTERM)
    return now


def crashed(_: Pair, leader: Half) -> float:
    """A loop of its own ends by a fault: planted by ``CRASHING`` at its start."""
    now = time.monotonic()
    (leader.process.log.parent / "crash").touch()
    return now


def cut_off(_: Pair, leader: Half) -> float:
    """Its network is gone: nothing is answered any more."""
    now = time.monotonic()
    leader.api.begin(api_faults.silent, breaks=False)
    return now


def hung(_: Pair, leader: Half) -> float:
    """It stands still, and goes on when another one leads."""
    now = time.monotonic()
    leader.process.send(signal.SIGSTOP)
    return now


KINDS: dict[str, Callable[[Pair, Half], float]] = {
    "killed": killed,
    "stopped": told_to_stop,
    "crashed": crashed,
    "cut": cut_off,
    "hung": hung,
}

# Runs the operator, one loop of which ends by a fault as soon as a file says so.
CRASHING = """
import asyncio, os, pathlib
import dgdr_operator.__main__ as program
crash = pathlib.Path(os.environ["DGDR_CONFIG"]).with_name("crash")
async def heartbeat(health, loop):
    while not crash.exists():
        health.beat(loop)
        await asyncio.sleep(0.05)
    raise RuntimeError("a fault of ours")
program.heartbeat = heartbeat
program.main()
"""


def fail_over(where: TestCluster, folder: Path, kind: str, number: int) -> Taken:
    """Let a leader end in one way, and see the other one go on."""
    with pair(where, folder, f"{kind}-{number}", code=["-c", CRASHING]) as both:
        leader = both.leader()
        other = both.other(leader)
        both.ask_for("before")
        until("the leader works", lambda: both.has("before"))
        until("the other one waits", lambda: "Standing by" in other.process.log.read_text())
        time.sleep(SETTLED_S)
        ended_s = KINDS[kind](both, leader)
        both.ask_for("after")
        seconds = both.seconds_until_done("after", ended_s)
        first_s = other.work()[0].at_s
        revive(kind, leader)
        return Taken(kind, min(seconds, first_s - ended_s), double_writes(leader, first_s))


def revive(kind: str, leader: Half) -> None:
    """Give a leader that could not go on a chance to write what it must not."""
    if kind == "cut":
        leader.api.end()
    elif kind == "hung":
        leader.process.send(signal.SIGCONT)
    if kind in ("cut", "hung"):
        assert leader.process.wait() == 1


def double_writes(leader: Half, first_s: float) -> list[Sent]:
    """Return what the old leader has written after the first write of the new one."""
    return [one for one in leader.work() if one.at_s > first_s]


def summary(taken: Iterable[Taken]) -> dict[str, object]:
    all_ = [*taken]
    seconds = sorted(one.seconds for one in all_)
    return {
        "runs": len(all_),
        "median_s": round(statistics.median(seconds), 2),
        "max_s": round(seconds[-1], 2),
        "double_writes": sum(len(one.double_writes) for one in all_),
    }
