"""What the operator costs with many deployments: light cluster, the chart's rights, one core.

``python -m bench.operator_scale [--count N] [--source CHECKOUT]`` prints one JSON object. There are
N deployments of two components, one of them scaled by an adapter, and N requests that wait for a
claim. ``--source`` measures the operator of another checkout, with that one's chart and Python
environment. Calls are those that the API server dispatched for the operator's account; a change is
timed from the answer to it until a watch tells of what the operator made of it. ``calls_per_pass``
is that of the whole run.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from bench.operator_world import Fleet, calls, install, percentiles, prepare
from bench.planner_scale import cpu_s, peak_memory_mib
from dgdr_kube.client import KubeCluster
from dgdr_kube.errors import ClusterError
from dgdr_kube.kinds import DEPLOYMENT, DGD, DGDSA, Kind
from dgdr_kube.ports import Key, Manifest
from dgdr_kube.store import version_of
from support.cluster import ROOT, TestCluster, cluster

GOAL = {
    "restart_s": 60,
    "reads_per_minute": 10,
    "writes_per_minute": 0,
    "p50_s": 0.25,
    "p99_s": 2.0,
    "rss_mib": 256,
}
MANAGER = "operator-bench"
# What has not settled by then never will.
LONGEST_S = 600.0
_PASSES = re.compile(r"^dgdr_operator_passes_total\{(.*)\} (.*)$", re.M)
_RSS = re.compile(r"^VmRSS:\s+(\d+) kB", re.M)


class Operator:
    """The process, and what it says of itself."""

    def __init__(self, source: Path, kubeconfig: Path, folder: Path, port: int) -> None:
        self._source, self._kubeconfig, self._folder, self._port = source, kubeconfig, folder, port
        config = {
            "images": {"profiler": "registry.test/profiler:1"},
            "profiling": {"clusterRole": "dgdr-operator-profiling"},
            "health": {"port": port},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config))

    def start(self) -> None:
        """Start it, as the chart does."""
        rooms = (self._source / room for room in ("operator", "planner", "profiler_job"))
        environment = os.environ | {
            "KUBECONFIG": str(self._kubeconfig),
            "DGDR_CONFIG": str(self._folder / "config.yaml"),
            "PYTHONPATH": ":".join(map(str, rooms)),
        }
        with (self._folder / "operator.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dgdr_operator"],
                cwd=self._source, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        os.sched_setaffinity(self._process.pid, {max(os.sched_getaffinity(0))})

    def kill(self) -> None:
        """End it as the kernel would."""
        self._process.kill()
        self._process.wait()

    @property
    def cpu_s(self) -> float:
        """CPU seconds so far."""
        return cpu_s(self._process.pid)

    def memory(self) -> dict[str, float]:
        """Resident memory now, and the most there ever was."""
        found = _RSS.search(Path(f"/proc/{self._process.pid}/status").read_text())
        now_mib = int(found.group(1)) / 1024 if found else 0.0
        return {"rss_mib": round(now_mib), "peak_mib": round(peak_memory_mib(self._process.pid))}

    def passes(self) -> dict[str, int]:
        """Passes so far, by queue; none while it does not answer."""
        found: dict[str, int] = {}
        with suppress(OSError):
            page = urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=20).read().decode()
            for labels, count in _PASSES.findall(page):
                queue = re.search(r'queue="(\w+)"', labels)
                if queue is not None:
                    found[queue[1]] = found.get(queue[1], 0) + int(float(count))
        return found


async def created(kube: KubeCluster, fleet: Fleet, on: Operator, per_s: float) -> dict[str, Any]:
    """Create everything and wait until it has come to rest."""
    began, cpu_before = time.monotonic(), on.cpu_s
    await fleet.create(kube, per_s)
    while time.monotonic() - began < LONGEST_S:
        if not (left := await fleet.unsettled(kube)):
            break
        await asyncio.sleep(1 + fleet.count / 500)
    return {
        "settled_s": round(time.monotonic() - began, 1),
        "unsettled": left,
        "cpu_s": round(on.cpu_s - cpu_before, 1),
        **on.memory(),
    }


async def restarted(fleet: Fleet, on: Operator) -> dict[str, Any]:
    """Kill it, start it, and wait until each object has had its pass and the queue is empty."""
    on.kill()
    began = time.monotonic()
    on.start()
    wanted = dict.fromkeys(("dgd", "dgdr", "dgdsa"), fleet.count)
    seen_s, before, quiet_since = 0.0, 0, began
    while time.monotonic() - began < LONGEST_S:
        await asyncio.sleep(0.5)
        passes, now = on.passes(), time.monotonic()
        if not seen_s and all(passes.get(queue, 0) >= count for queue, count in wanted.items()):
            seen_s = now - began
        # Timers bring some back at any time: few enough is quiet.
        if sum(passes.values()) - before > 2 + fleet.count // 200:
            quiet_since = now
        before = sum(passes.values())
        if seen_s and now - quiet_since > 5:
            break
    return {
        "seen_s": round(seen_s, 1),
        "settled_s": round(quiet_since - began, 1),
        "passes": on.passes(),
        "cpu_s": round(on.cpu_s, 1),
        **on.memory(),
    }


async def at_rest(server: TestCluster, on: Operator, seconds: float) -> dict[str, Any]:
    """Watch it do nothing."""
    before, cpu_before, passes_before = calls(server), on.cpu_s, sum(on.passes().values())
    await asyncio.sleep(seconds)
    per_minute = {
        name.removeprefix("bench-"): round((count - before[name]) * 60 / seconds, 1)
        for name, count in calls(server).items()
    }
    return {
        "calls_per_minute": per_minute,
        "passes_per_minute": round((sum(on.passes().values()) - passes_before) * 60 / seconds, 1),
        "cpu_s_per_minute": round((on.cpu_s - cpu_before) * 60 / seconds, 2),
    }


Change = Callable[[Key, int], Awaitable[None]]


class Changes:
    """Scales and edits at a rate, and how long the operator takes to act on each."""

    def __init__(self, kube: KubeCluster, ears: KubeCluster, fleet: Fleet) -> None:
        self._kube, self._ears, self._fleet = kube, ears, fleet
        self._due: dict[tuple[Kind, Key], tuple[int, float]] = {}
        self.took_s: dict[str, list[float]] = {"scale_to_deployment": [], "edit_to_status": []}
        self.refused = 0

    async def run(self, per_s: float, seconds: float, first: int) -> dict[str, Any]:
        """Make the changes, and wait for what comes of them; ``first`` is asked for by none yet."""
        watches = [
            asyncio.create_task(self._hear(DEPLOYMENT, "scale_to_deployment")),
            asyncio.create_task(self._hear(DGD, "edit_to_status")),
        ]
        await asyncio.sleep(2)
        loop, places = asyncio.get_running_loop(), self._fleet.places()
        began, calls_made = loop.time(), []
        for number in range(int(per_s * seconds)):
            await asyncio.sleep(max(0.0, began + number / per_s - loop.time()))
            place = places[number % len(places)]
            change = self._edit if number % 2 else self._scale
            made = self._made(change, place, first + number // len(places))
            calls_made.append(asyncio.create_task(made))
        await asyncio.gather(*calls_made)
        for _ in range(120):
            if not self._due:
                break
            await asyncio.sleep(1)
        for watch in watches:
            watch.cancel()
        found: dict[str, Any] = {name: percentiles(took) for name, took in self.took_s.items()}
        count = {"changes": len(calls_made), "refused": self.refused, "not_seen": len(self._due)}
        return {"per_s": per_s, **count, **found}

    async def _made(self, change: Change, place: Key, number: int) -> None:
        try:
            await change(place, number)
        except ClusterError:  # an API server that is busy answers late, and that is our finding
            self.refused += 1

    async def _scale(self, place: Key, replicas: int) -> None:
        name = f"{place.name}-decode"
        # Due before the answer: the operator may be faster than it.
        self._due[DEPLOYMENT, Key(place.namespace, name)] = replicas, time.monotonic()
        await self._kube.scale(DGDSA, place.namespace, name, replicas, MANAGER)

    async def _edit(self, place: Key, number: int) -> None:
        dgd = await self._kube.get(DGD, *place)
        assert dgd is not None
        main = dgd["spec"]["components"][0]["podTemplate"]["spec"]["containers"][0]
        main["env"] = [{"name": "EDIT", "value": str(number)}]
        generation = dgd["metadata"]["generation"] + 1
        self._due[DGD, place] = generation, time.monotonic()
        await self._kube.patch(DGD, *place, {"spec": dgd["spec"]}, MANAGER)

    async def _hear(self, kind: Kind, what: str) -> None:
        version = (await self._ears.listing(kind, None, kept=version_of)).version
        async with self._ears.watch(kind, None, version) as changes:
            async for change in changes:
                meta = change.manifest["metadata"]
                if "namespace" not in meta:
                    continue  # a bookmark
                due = self._due.get((kind, Key(meta["namespace"], meta["name"])))
                if due is not None and _reached(kind, change.manifest) >= due[0]:
                    del self._due[kind, Key(meta["namespace"], meta["name"])]
                    self.took_s[what].append(time.monotonic() - due[1])


def _reached(kind: Kind, manifest: Manifest) -> int:
    if kind == DEPLOYMENT:
        return int(manifest["spec"].get("replicas", 1))
    return int((manifest.get("status") or {}).get("observedGeneration") or 0)


async def measured(server: TestCluster, folder: Path, options: Any) -> dict[str, Any]:
    """Run all phases, one after the other."""
    fleet = Fleet(options.count)
    source = options.source.resolve()
    on = Operator(source, install(server, source, folder), folder, options.port)
    connect = [
        KubeCluster.connect(user_agent=MANAGER, kubeconfig=str(server.kubeconfig)) for _ in "ab"
    ]
    kube, ears = [await one for one in connect]
    try:
        await prepare(kube, server, fleet, options.idle_nodes)
        on.start()
        await asyncio.sleep(5)
        found: dict[str, Any] = {"created": await created(kube, fleet, on, options.create_per_s)}
        found["created"]["calls"] = calls(server)
        passes = sum(on.passes().values())
        found["calls_per_pass"] = round(
            sum(v for k, v in found["created"]["calls"].items() if k != "bench-watch") / passes, 2
        )
        tell(created=found["created"])
        before = calls(server)
        found["restarted"] = await restarted(fleet, on)
        found["restarted"]["calls"] = {k: v - before[k] for k, v in calls(server).items()}
        tell(restarted=found["restarted"])
        found["at_rest"] = await at_rest(server, on, options.rest_s)
        tell(at_rest=found["at_rest"])
        found["changes"] = []
        first = 2
        for per_s in options.changes_per_s:
            cpu_before, passes = on.cpu_s, sum(on.passes().values())
            changes = await Changes(kube, ears, fleet).run(per_s, options.changes_s, first)
            changes["cpu_ms_per_change"] = round(
                (on.cpu_s - cpu_before) * 1000 / changes["changes"], 1
            )
            first += 1 + changes["changes"] // fleet.count
            changes["passes"] = sum(on.passes().values()) - passes
            found["changes"].append(changes)
            tell(changes=changes)
        return found | {"end": on.memory()}
    finally:
        on.kill()
        await kube.close()
        await ears.close()


def tell(**figures: Any) -> None:
    """Say what is known so far, and how busy the machine is: a run takes half an hour."""
    print(json.dumps(figures | {"load": os.getloadavg()[0]}), file=sys.stderr, flush=True)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="deployments, and requests")
    parser.add_argument("--source", type=Path, default=ROOT, help="another checkout to measure")
    parser.add_argument("--idle-nodes", type=int, default=0, help="nodes that only stand there")
    parser.add_argument("--create-per-s", type=float, default=20.0)
    parser.add_argument("--rest-s", type=float, default=600.0)
    parser.add_argument("--changes-per-s", type=float, nargs="+", default=[5.0, 50.0])
    parser.add_argument("--changes-s", type=float, default=20.0)
    parser.add_argument("--port", type=int, default=18080, help="of the operator's metrics")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="operator-bench-") as folder,
        cluster(f"operator-scale-{os.getpid()}") as server,
    ):
        found = asyncio.run(measured(server, Path(folder), options))
    result = {"count": options.count, "idle_nodes": options.idle_nodes, **found, "goal": GOAL}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
