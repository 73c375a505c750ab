"""What a tick of many SLAPlanners costs: light cluster, real Prometheus, real planner process.

``python -m bench.planner_scale [--planners N]`` prints one JSON object. Each planner has its own
deployment, adapters and frontend series, and remembers 520 windows of load. ``tick_s`` is how long
the planner process is busy in one interval, ``cpu_s`` the CPU time of that, both medians over the
intervals;
``ratio_to_reading`` compares that CPU time with what this process needs to read the five objects
of each planner from the same API server, as every tick would without watches.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from bench.scale_past import remembering
from bench.scale_world import RATE_PER_S, Exporter, Fleet, queries_asked
from support.cluster import ROOT, TestCluster, cluster
from support.live_metrics import prometheus, served, until

GOAL = {"tick_s": 5.0, "queries_per_tick": 10.0, "peak_memory_mib": 512.0}
SCRAPE_S = 5.0
SAMPLE_S = 0.1
# Of a core: less is housekeeping.
BUSY = 0.2
CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS_PER_S


def peak_memory_mib(pid: int) -> float:
    """The most memory that a process ever had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kib = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kib) / 1024


def ticks(pid: int, interval_s: float, count: int) -> list[dict[str, float]]:
    """Watch so many intervals; of each the CPU time and the seconds in which any was used."""
    found = []
    for _ in range(count):
        began, before, busy = time.monotonic(), cpu_s(pid), 0
        start = before
        while time.monotonic() - began < interval_s:
            time.sleep(SAMPLE_S)
            now = cpu_s(pid)
            busy += now - before > BUSY * SAMPLE_S
            before = now
        found.append({"cpu_s": before - start, "tick_s": busy * SAMPLE_S})
    return found


def planner_process(folder: Path, on: TestCluster, url: str) -> subprocess.Popen[Any]:
    """Start the planner as an installation does."""
    settings = {
        "prometheus": {"url": url, "scrapeIntervalSeconds": SCRAPE_S},
        "health": {"port": 0},
        "switch": {"namespace": "dgdr-system"},
    }
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    environment = os.environ | {"KUBECONFIG": str(on.kubeconfig), "DGDR_CONFIG": str(config)}
    with (folder / "planner.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dgdr_planner"], env=environment, stdout=log, stderr=log
        )


def measured(on: TestCluster, folder: Path, planners: int, interval_s: int) -> dict[str, Any]:
    """Build the world, wait until every planner plans, and watch."""
    fleet = Fleet(planners, interval_s)
    asyncio.run(fleet.create(str(on.kubeconfig)))
    with (
        served(Exporter(fleet)) as address,
        prometheus(folder, {}, SCRAPE_S, jobs=[fleet.scrape_job(address)]) as server,
        remembering(server.url, RATE_PER_S) as url,
    ):
        process = planner_process(folder, on, url)
        try:
            kubeconfig = str(on.kubeconfig)
            ready = until_ready(fleet, kubeconfig, 120 + planners)
            asked = queries_asked(server.url)
            found = ticks(process.pid, interval_s, 4)
            asked = queries_asked(server.url) - asked
            memory_mib = peak_memory_mib(process.pid)
            fresh = asyncio.run(fleet.planning(kubeconfig))
        finally:
            process.terminate()
            process.wait(60)
    reading_s = asyncio.run(fleet.reading_s(kubeconfig))
    medians = {name: statistics.median(one[name] for one in found) for name in found[0]}
    return {
        "planning": fresh,
        "ready_after_s": round(ready, 1),
        "tick_s": round(medians["tick_s"], 2),
        "cpu_s": round(medians["cpu_s"], 2),
        "cpu_ms_per_planner": round(1000 * medians["cpu_s"] / planners, 1),
        "peak_memory_mib": round(memory_mib),
        "queries_per_tick": asked / len(found),
        "reading_cpu_s": round(reading_s, 2),
        "ratio_to_reading": round(medians["cpu_s"] / reading_s, 2),
    }


def until_ready(fleet: Fleet, kubeconfig: str, seconds: float) -> float:
    """Wait until all planners plan; return how long that took."""
    began = time.monotonic()
    until(
        lambda: asyncio.run(fleet.planning(kubeconfig)) == fleet.planners,
        seconds,
        "all planners plan",
    )
    return time.monotonic() - began


def main(arguments: list[str] | None = None) -> int:
    """Run, print, and fail where a goal for a thousand planners is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--planners", type=int, default=1000)
    parser.add_argument("--interval", type=int, default=20, help="seconds between ticks")
    asked = parser.parse_args(arguments)
    with cluster(f"scale-{os.getpid()}") as on, tempfile.TemporaryDirectory() as folder:
        on.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        found = measured(on, Path(folder), asked.planners, asked.interval)
    load = [round(one, 1) for one in os.getloadavg()]
    report = {"benchmark": "planner_scale", "planners": asked.planners, **found}
    print(json.dumps({**report, "goal": GOAL, "load_average": load}))
    return int(any(found[name] > most for name, most in GOAL.items()))


if __name__ == "__main__":
    sys.exit(main())
