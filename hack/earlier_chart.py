"""``python3 -m hack.earlier_chart COMMIT NAME``: keep a chart, and objects of its operator.

An upgrade is tested from what an earlier version really left behind. This checks out that version,
packs its chart, and lets its own operator bring a request into each phase against its own fake of
the API server. ``tests/integration/test_upgrade.py`` puts both onto a real one.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "tests/integration/earlier_charts"
SOURCES = ("tests", "operator", "planner", "profiler_job", ".")
SUSPENDED = {"profilingJob": {"suspend": True, "template": {"spec": {"containers": []}}}}


def keep(commit: str, name: str) -> None:
    """Write the chart and the objects of that commit."""
    KEPT.mkdir(exist_ok=True)
    chart = ("archive", "--format=tar.gz", "--prefix=dgdr-operator/")
    packed = ("--output", str(KEPT / f"{name}.tgz"), f"{commit}:helm/dgdr-operator")
    _git(*chart, *packed)
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder) / "earlier"
        _git("worktree", "add", "--detach", str(there), commit)
        try:
            path = ":".join(str(there / source) for source in SOURCES)
            command = (sys.executable, __file__, "--objects", str(KEPT / f"{name}.json"))
            _run("env", f"PYTHONPATH={path}", *command)
        finally:
            _git("worktree", "remove", "--force", str(there))


async def objects() -> dict[str, list[dict[str, Any]]]:
    """Return what the operator of the PYTHONPATH leaves behind, by the phase of the request."""
    phases: dict[str, Callable[[Any, Any], Awaitable[None]]] = {
        "Pending": _settled,
        "Profiling": _settled,
        "Ready": _lived,
        "Deploying": _until_created,
        "Deployed": _lived,
        "Failed": _failed,
    }
    asked: dict[str, dict[str, Any]] = {
        "Profiling": {"overrides": SUSPENDED},
        "Ready": {"autoApply": False},
    }
    return {
        phase: await _in_phase(phase, live, asked.get(phase, {})) for phase, live in phases.items()
    }


async def _in_phase(
    phase: str, live: Callable[[Any, Any], Awaitable[None]], spec: dict[str, Any]
) -> list[dict[str, Any]]:
    from dgdr_kube.ports import Key
    from dgdr_operator.passes.graph_pass import GraphPass
    from support import dgdr_world as world_of

    world_of.NS = phase.lower()
    world_of.KEY = Key(world_of.NS, world_of.NAME)
    request = world_of.dgdr(**spec)
    if phase == "Pending":
        request["metadata"]["annotations"] = {"dgdr.dev/profiling-policy": "not-there-yet"}
    world = world_of.World(request)
    await live(world, GraphPass(world.cluster, world_of.SETTINGS))
    if world.phase != phase:
        raise SystemExit(f"{phase}: the request is {world.phase}")
    kinds_of_others = ("Node", "CustomResourceDefinition", "Pod")
    everything = world.cluster.everything().values()
    return [one for one in everything if one["kind"] not in kinds_of_others]


async def _settled(world: Any, _: Any) -> None:
    await world.settle()


async def _lived(world: Any, graph_pass: Any) -> None:
    """The profiler is played without candidates: on a cluster without processes they would go."""
    await world.settle()
    await world.profiler_finishes()
    await world.settle()
    if world.dgd is not None:
        await _become_ready(world, graph_pass)
        await world.settle()


async def _until_created(world: Any, graph_pass: Any) -> None:
    await world.settle()
    await world.profiler_finishes()
    await world.settle()
    await graph_pass(_graph(world), world.now)


async def _failed(world: Any, _: Any) -> None:
    await world.settle()
    await world.profiler_reports("SweepingPrefill", "candidate 1 of 3", profiler_status="failed")
    world.job_is("Failed", "BackoffLimitExceeded")
    await world.settle()


async def _become_ready(world: Any, graph_pass: Any) -> None:
    from dgdr_kube.kinds import DEPLOYMENT

    await graph_pass(_graph(world), world.now)
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    for one in world.cluster.everything().values():
        if one["kind"] == "Deployment":
            report: dict[str, Any] = dict.fromkeys(counts, one["spec"]["replicas"])
            report["observedGeneration"] = one["metadata"]["generation"]
            meta = one["metadata"]
            world.cluster.set_status(DEPLOYMENT, meta["namespace"], meta["name"], report)
    await graph_pass(_graph(world), world.now)


def _graph(world: Any) -> Any:
    from dgdr_kube.ports import Key

    meta = world.dgd["metadata"]
    return Key(meta["namespace"], meta["name"])


def lines(by_phase: dict[str, list[dict[str, Any]]]) -> str:
    """Return JSON with a line for each object, so that a difference can be read."""
    phases = (
        f"{json.dumps(phase)}: [\n"
        + ",\n".join(json.dumps(one, sort_keys=True) for one in found)
        + "\n]"
        for phase, found in by_phase.items()
    )
    return "{\n" + ",\n".join(phases) + "\n}\n"


def _git(*arguments: str) -> None:
    _run("git", "-C", str(ROOT), *arguments)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    if sys.argv[1] == "--objects":
        Path(sys.argv[2]).write_text(lines(asyncio.run(objects())))
    else:
        keep(sys.argv[1], sys.argv[2])
