"""Bad days of the API server, for minutes, before operators and planners: light cluster, processes.

``python -m bench.outages [--times N] [--lasts 60 300] [--down 10 120 600]`` prints one JSON object.
Each operator has a namespace, a Lease and a line to the API server of its own, and bad days one
after the other; so do planners, beside a Prometheus that is well. A kubelet of ours probes them as
the chart says. ``down`` kills the API server itself, for all of them at once. ``seconds`` are from
a day's end until the last of what was wanted is there: begun when it began, made, scaled and
deleted while it lasted, made after it. ``during`` counts the runs that had done all before its end.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from bench.outage_faults import KINDS, BadDay, days
from bench.outage_lanes import Lane
from bench.outage_seen import Verdict
from bench.outage_world import world
from support.api_server import ApiServer
from support.cluster import ROOT, TestCluster, cluster

GOAL_S = 15.0


async def served(
    lane: Lane, left: "deque[BadDay]", told: list[Verdict], begins_in_s: float
) -> None:
    """Give a lane bad days until none is left."""
    await asyncio.sleep(begins_in_s)
    while left:
        verdict = await lane.day(left.popleft())
        told.append(verdict)
        print(json.dumps(asdict(verdict)), file=sys.stderr, flush=True)


async def downs(
    server: TestCluster, lanes: Sequence[Lane], lasts_s: Iterable[float], told: list[Verdict]
) -> None:
    """Kill the API server before all of them, and start it again."""
    api = ApiServer(server.name)
    for seconds in lasts_s:
        await asyncio.gather(*(lane.work.prepare() for lane in lanes))
        ended = [len(lane.kubelet.ended) for lane in lanes]
        await asyncio.gather(*(lane.work.begin() for lane in lanes))
        api.kill()
        await asyncio.sleep(seconds)
        await asyncio.to_thread(api.start)
        await asyncio.to_thread(api.wait_ready)
        ended_s = time.monotonic()
        await asyncio.gather(*(lane.work.change() for lane in lanes))
        await asyncio.gather(*(lane.work.after() for lane in lanes))
        verdicts = await asyncio.gather(
            *(
                lane.judged("down", "cut", seconds, ended_s, before)
                for lane, before in zip(lanes, ended, strict=True)
            )
        )
        for verdict in verdicts:
            told.append(verdict)
            print(json.dumps(asdict(verdict)), file=sys.stderr, flush=True)


def summary(told: Iterable[Verdict]) -> list[dict[str, Any]]:
    """Return one line for each program, fault and duration."""
    groups: dict[tuple[str, str, float], list[Verdict]] = {}
    for one in told:
        groups.setdefault((one.lane.partition("-")[0], one.fault, one.lasts_s), []).append(one)
    return [_line(*group, of=ones) for group, ones in sorted(groups.items())]


def _line(program: str, fault: str, lasts_s: float, of: Sequence[Verdict]) -> dict[str, Any]:
    last = [max(seconds) for one in of if (seconds := _seconds(one)) is not None]
    return {
        "program": program,
        "fault": fault,
        "lasts_s": lasts_s,
        "runs": len(of),
        "lived": sum(not one.ended for one in of),
        "ended_by_probe": sum("probe" in one.ended for one in of),
        "ended_by_itself": sum("itself" in one.ended for one in of),
        "during": sum(seconds == 0 for seconds in last),
        "median_s": round(statistics.median(last), 1) if last else None,
        "max_s": round(max(last), 1) if last else None,
        "control_max_s": max((one.control_s for one in of if one.control_s), default=None),
        "over_goal": len(of) - sum(seconds <= GOAL_S for seconds in last),
        "never": len(of) - len(last),
        "zombies": sum(one.zombie for one in of),
        "left_over": sum(one.left_over for one in of),
    }


def _seconds(one: Verdict) -> list[float] | None:
    known = [seconds for seconds in one.seconds.values() if seconds is not None]
    return known if len(known) == len(one.seconds) else None


async def measured(server: TestCluster, folder: Path, options: Any) -> dict[str, Any]:
    """Run all, and tell what was seen."""
    told: list[Verdict] = []
    async with world(server, folder) as around:
        operators = await around.operators(options.lanes)
        planners = await around.planners(options.planners)
        of_operators = days(options.faults, options.lasts, options.times)
        of_planners = days(options.faults, options.lasts, options.planner_times)
        # Not all at once: what is timed is how each recovers, not how they share the CPUs then.
        apart_s = max(options.lasts, default=0.0) / max(len(operators), 1)
        await asyncio.gather(
            *(served(one, of_operators, told, n * apart_s) for n, one in enumerate(operators)),
            *(served(one, of_planners, told, n * apart_s) for n, one in enumerate(planners)),
        )
        await around.end(operators[options.times :])
        await downs(server, [*operators[: options.times], *planners], options.down, told)
    return {
        "goal_s": GOAL_S,
        "runs": len(told),
        "zombies": sum(one.zombie for one in told),
        "by_fault": summary(told),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", nargs="*", default=[*KINDS], choices=[*KINDS])
    parser.add_argument("--lasts", type=float, nargs="*", default=[60.0, 300.0], help="seconds")
    parser.add_argument("--down", type=float, nargs="*", default=[10.0, 120.0, 600.0])
    parser.add_argument("--times", type=int, default=10, help="of each, for operators")
    parser.add_argument("--planner-times", type=int, default=1, help="of each, for planners")
    parser.add_argument("--lanes", type=int, default=10, help="operators side by side")
    parser.add_argument("--planners", type=int, default=1, help="planners side by side")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends too
    logging.getLogger("dgdr_kube").setLevel(logging.ERROR)  # what it sees by follows outages too
    with (
        tempfile.TemporaryDirectory(prefix="outages-") as folder,
        cluster(f"outages-{os.getpid()}") as server,
    ):
        server.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        found = asyncio.run(measured(server, Path(folder), options))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
