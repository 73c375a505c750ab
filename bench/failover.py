"""How long until another process goes on, however the leader ends: light cluster, real processes.

``python -m bench.failover [--times N] [--scenes profiling scaling] [--kinds killed cut]`` prints
one JSON object. Each scene and kind has two processes and a Lease of its own; the leader ends, and
is started again when the other one leads. ``led_s`` is from the end until the other one has the
Lease, ``wrote_s`` to its first write beside it, ``acted_s`` to what was asked for in that moment.
``late_writes`` are those of the old leader after the other one's first, also when it comes back
(``cut``, ``hung``) and what the network held is delivered; ``double_writes`` are those of them on
what the other one had written before, or of something new. ``broken`` is what was done twice, or
not at all.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from bench.failover_rounds import Duo, Round, summary
from bench.failover_scenes import Planning, Profiling, Scaling, Scene
from bench.outage_world import START_EACH_S, World, world
from support.api_faults import faulty_api
from support.cluster import ROOT, TestCluster, cluster
from support.failing import CRASHING, CRASHING_PLANNER, KINDS
from support.live_metrics import Frontend
from support.operator_process import CLUSTER_ROLE, OperatorProcess
from support.pairs import Half

GOAL_S = 20.0
SCENES = ("profiling", "scaling", "planning")
ACCEPTED = ("killed", "crashed", "cut")


async def duo(around: World, name: str, code: str, lease: str, **sections: Any) -> Duo:
    """Start two; they end with the world."""
    halves = []
    for letter in "ab":
        folder = around.folder / f"{name}-{letter}"
        folder.mkdir()
        api = around.stack.enter_context(faulty_api(around.server.kubeconfig, folder))
        process = OperatorProcess(around.server, folder, [name], lease_in=name, **sections)
        process.kubeconfig, process.code = api.kubeconfig, ["-c", code]
        around.stack.callback(process.kill)
        process.start()
        await asyncio.sleep(START_EACH_S)
        halves.append(Half(process, api))
    return Duo((halves[0], halves[1]), lease, name, around.kube)


async def staged(around: World, scene: str, kinds: Iterable[str]) -> dict[str, tuple[Scene, Duo]]:
    """Return a scene and its two processes for each kind."""
    names = {kind: f"{scene}-{kind}" for kind in kinds}
    for name in names.values():
        await around.namespace(name)
    if scene == "planning":
        fronts = {name: Frontend() for name in names.values()}
        source = {"url": around.scraped(fronts), "scrapeIntervalSeconds": 1}
        return {
            kind: (
                Planning(name, around.kube, around.adapters, fronts[name]),
                await duo(around, name, CRASHING_PLANNER, "dgdr-planner", prometheus=source),
            )
            for kind, name in names.items()
        }
    play = Profiling if scene == "profiling" else Scaling
    return {
        kind: (
            play(name, around.kube, around.deployments),
            await duo(around, name, CRASHING, "dgdr-operator"),
        )
        for kind, name in names.items()
    }


async def played(name: str, kind: str, scene: Scene, both: Duo, times: int) -> dict[str, Any]:
    """End the leader so many times while the scene goes on."""
    rounds: list[Round] = []
    await scene.prepare()
    going_on = asyncio.create_task(scene.run())
    try:
        for _ in range(times):
            rounds.append(await both.round(kind, scene))
            told = {"scene": name, "kind": kind, **summary(rounds[-1:], ())}
            print(json.dumps(told), file=sys.stderr, flush=True)
            if going_on.done():
                going_on.result()
    finally:
        going_on.cancel()
        with suppress(asyncio.CancelledError):
            await going_on
    return {"scene": name, "kind": kind, **summary(rounds, await scene.broken())}


async def measured(server: TestCluster, folder: Path, options: Any) -> dict[str, Any]:
    """Play all scenes side by side, each with every kind of end."""
    async with world(server, folder) as around:
        stages = {name: await staged(around, name, options.kinds) for name in options.scenes}
        found = await asyncio.gather(
            *(
                played(name, kind, scene, both, options.times)
                for name, kinds in stages.items()
                for kind, (scene, both) in kinds.items()
            )
        )
    return {"goal_s": GOAL_S, "ends": found}


def main() -> int:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--times", type=int, default=20)
    arguments.add_argument("--scenes", nargs="+", default=[*SCENES], choices=SCENES)
    arguments.add_argument("--kinds", nargs="+", default=[*ACCEPTED], choices=[*KINDS])
    options = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends too
    with (
        cluster(f"failover-{os.getpid()}") as server,
        tempfile.TemporaryDirectory(prefix="failover-") as folder,
    ):
        server.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        server.kubectl("create", "clusterrole", CLUSTER_ROLE, "--verb=get", "--resource=configmaps")
        server.add_gpu_nodes(1, gpus_per_node=64)
        print(json.dumps(asyncio.run(measured(server, Path(folder), options)), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
