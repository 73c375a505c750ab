"""Operators and planners side by side on one API server, each behind a line of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bench.outage_lanes import MANAGER, Deployments, Lane, Load, Work
from bench.outage_seen import Seen
from dgdr_kube.client import KubeCluster
from dgdr_kube.kinds import DEPLOYMENT, DGD, DGDSA
from dgdr_kube.ports import Manifest
from dgdr_kube.process import end
from support.api_faults import faulty_api
from support.cluster import TestCluster
from support.kubelet import Kubelet
from support.live_metrics import Frontend, prometheus, served
from support.operator_process import OperatorProcess
from support.planner_stage import QUICK
from support.planning import (
    DGD_NAME,
    adapter,
    curves_config_map,
    graph_deployment,
    sla_planner,
)

# A start costs seconds of a core: all at once would be late for their own first probe.
START_EACH_S = 2.0
SCRAPE_S = 1.0


@dataclass
class World:
    """What runs; it ends with its stack."""

    server: TestCluster
    folder: Path
    stack: AsyncExitStack
    kube: KubeCluster
    session: aiohttp.ClientSession
    deployments: Seen
    adapters: Seen
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    async def operators(self, count: int) -> list[Lane]:
        """Start operators."""
        return [await self._operator(f"operator-{number}") for number in range(count)]

    async def planners(self, count: int) -> list[Lane]:
        """Start planners, and a Prometheus that scrapes what they look after."""
        fronts = {f"planner-{number}": Frontend() for number in range(count)}
        url = self.scraped(fronts) if fronts else ""
        return [await self._planner(name, front, url) for name, front in fronts.items()]

    def scraped(self, fronts: Mapping[str, Frontend]) -> str:
        """Return the URL of a Prometheus that scrapes these frontends, by their namespaces."""
        targets = {
            self.stack.enter_context(served(front)): _labels(name) for name, front in fronts.items()
        }
        return self.stack.enter_context(
            prometheus(self._folder("prometheus"), targets, SCRAPE_S)
        ).url

    async def namespace(self, name: str) -> None:
        """Make a namespace."""
        meta = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        await self.kube.apply(meta, MANAGER)

    async def end(self, lanes: Iterable[Lane]) -> None:
        """End the processes of these lanes."""
        names = {lane.name for lane in lanes}
        await end([task for task in self.tasks if task.get_name() in names])

    async def _operator(self, name: str) -> Lane:
        await self.namespace(name)
        work = Deployments(name, self.kube, self.deployments, self.adapters)
        return await self._started(name, "dgdr_operator", work)

    async def _planner(self, name: str, front: Frontend, url: str) -> Lane:
        await self.namespace(name)
        await deploy_planned(self.kube, name)
        source = {"url": url, "scrapeIntervalSeconds": 1}
        work = Load(name, front, self.adapters)
        return await self._started(name, "dgdr_planner", work, prometheus=source)

    async def _started(self, name: str, program: str, work: Work, **sections: Any) -> Lane:
        folder = self._folder(name)
        api = self.stack.enter_context(faulty_api(self.server.kubeconfig, folder))
        process = OperatorProcess(self.server, folder, [name], lease_in=name, **sections)
        process.kubeconfig, process.code = api.kubeconfig, ["-m", program]
        kubelet = Kubelet(process, self.session)
        self.tasks.add(asyncio.create_task(kubelet.run(), name=name))
        await asyncio.sleep(START_EACH_S)
        return Lane(name, api, kubelet, work)

    def _folder(self, name: str) -> Path:
        own = self.folder / name
        own.mkdir()
        return own


@asynccontextmanager
async def world(server: TestCluster, folder: Path) -> AsyncIterator[World]:
    """See everything, with nothing running yet; whatever is started ends with it."""
    async with AsyncExitStack() as stack:
        kube, source = [
            await KubeCluster.connect(user_agent=MANAGER, kubeconfig=str(server.kubeconfig))
            for _ in range(2)
        ]
        stack.push_async_callback(source.close)
        stack.push_async_callback(kube.close)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        lines = await stack.enter_async_context(AsyncExitStack())
        seen = Seen(source, DEPLOYMENT), Seen(source, DGDSA)
        around = World(server, folder, lines, kube, session, *seen)
        around.tasks |= {asyncio.create_task(one.run()) for one in seen}
        try:
            yield around
        finally:
            await end(around.tasks)


async def deploy_planned(kube: KubeCluster, namespace: str) -> None:
    """Make a deployment whose pods are ready, and its planner."""
    graph = graph_deployment()
    for manifest in (
        curves_config_map(),
        {key: value for key, value in graph.items() if key != "status"},
        adapter("prefill", 1),
        adapter("decode", 1),
        sla_planner(interval="5s", behavior=QUICK),
    ):
        await kube.apply(_in(namespace, manifest), MANAGER)
    await kube.patch_status(DGD, namespace, DGD_NAME, graph["status"], MANAGER)


def _labels(namespace: str) -> dict[str, str]:
    """Return what the chart's relabelling tells of a frontend's pod."""
    return {
        "namespace": namespace,
        "dynamo_namespace": f"{namespace}-{DGD_NAME}",
        "pod": "frontend-a",
    }


def _in(namespace: str, manifest: Mapping[str, Any]) -> Manifest:
    moved = deepcopy(dict(manifest))
    moved["metadata"]["namespace"] = namespace
    return moved
