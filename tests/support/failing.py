"""Ends of a leader, and what the other one makes of it; for a test of each and a bench of many."""

import signal
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from support import api_faults
from support.api_faults import Sent, Watches
from support.cluster import TestCluster
from support.operator_process import until
from support.pairs import Half, pair

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


def killed(leader: Half) -> float:
    """As the kernel does, with no chance to tidy up."""
    now = time.monotonic()
    leader.process.kill()
    return now


def told_to_stop(leader: Half) -> float:
    """As the kubelet does, in a rolling update."""
    now = time.monotonic()
    leader.process.send(signal.SIGTERM)
    return now


def crashed(leader: Half) -> float:
    """A loop of its own ends by a fault: planted by ``CRASHING`` at its start."""
    now = time.monotonic()
    (leader.process.log.parent / "crash").touch()
    return now


def cut_off(leader: Half) -> float:
    """Its network is gone: nothing is answered any more."""
    now = time.monotonic()
    leader.api.begin(api_faults.silent, watches=Watches.HUNG)
    return now


def hung(leader: Half) -> float:
    """It stands still, and goes on when another one leads."""
    now = time.monotonic()
    leader.process.send(signal.SIGSTOP)
    return now


KINDS: dict[str, Callable[[Half], float]] = {
    "killed": killed,
    "stopped": told_to_stop,
    "crashed": crashed,
    "cut": cut_off,
    "hung": hung,
}

# What brings a leader back that could not go on.
BACK: dict[str, Callable[[Half], None]] = {
    "cut": lambda leader: leader.api.end(),
    "hung": lambda leader: leader.process.send(signal.SIGCONT),
}

_CRASHING = """
import asyncio, os, pathlib, sys
import {program}.__main__ as program
crash = pathlib.Path(os.environ["DGDR_CONFIG"]).with_name("crash")
async def beat(health, loop="loop"):
    while not crash.exists():
        health.beat(loop)
        await asyncio.sleep(0.05)
    raise RuntimeError("a fault of ours")
program.{loop} = beat
sys.exit(program.main())
"""


def crashing(program: str, loop: str) -> str:
    """Return code that runs it; one loop of it ends by a fault as soon as a file says so."""
    return _CRASHING.format(program=program, loop=loop)


CRASHING = crashing("dgdr_operator", "heartbeat")
CRASHING_PLANNER = crashing("dgdr_planner", "_beat")


def fail_over(where: TestCluster, folder: Path, kind: str, number: int) -> Taken:
    """Let a leader end in one way, and see the other one go on."""
    with pair(where, folder, f"{kind}-{number}", code=["-c", CRASHING]) as both:
        leader = both.leader()
        other = both.other(leader)
        both.ask_for("before")
        until("the leader works", lambda: both.has("before"))
        until("the other one waits", lambda: "Standing by" in other.process.log.read_text())
        time.sleep(SETTLED_S)
        ended_s = KINDS[kind](leader)
        both.ask_for("after")
        seconds = both.seconds_until_done("after", ended_s)
        first_s = other.work()[0].at_s
        revive(kind, leader)
        return Taken(kind, min(seconds, first_s - ended_s), double_writes(leader, first_s))


def revive(kind: str, leader: Half) -> None:
    """Give a leader that could not go on a chance to write what it must not."""
    if kind in BACK:
        BACK[kind](leader)
        assert leader.process.wait() == 1


def double_writes(leader: Half, first_s: float) -> list[Sent]:
    """Return what the old leader has written after the first write of the new one."""
    return [one for one in leader.work() if one.at_s > first_s]


def summary(taken: Iterable[Taken]) -> dict[str, object]:
    all_ = [*taken]
    seconds = sorted(one.seconds for one in all_)
    return {
        "runs": len(all_),
        "min_s": round(seconds[0], 2),
        "median_s": round(statistics.median(seconds), 2),
        "max_s": round(seconds[-1], 2),
        "double_writes": sum(len(one.double_writes) for one in all_),
    }
