"""Many deployments with their planners, and what their frontends would show."""

import asyncio
import re
import time
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.request import urlopen

from dgdr_api.names import dynamo_namespace
from dgdr_kube.client import KubeCluster
from dgdr_kube.kinds import CONFIG_MAP, DGD, DGDSA, SLA_PLANNER
from support.live_metrics import Frontend
from support.planning import adapter, curves_config_map, graph_deployment, sla_planner

MANAGER = "scale-bench"
PER_NAMESPACE = 20
# What is created or read at a time.
AT_ONCE = 32
RATE_PER_S = 4.0
_SERIES = re.compile(r"^(\w+)(?:\{(.*)\})? (.*)$")
_QUERIES = re.compile(r'^prometheus_http_requests_total\{.*handler="/api/v1/query(?:_range)?".*\} ')


@dataclass(frozen=True, slots=True)
class Fleet:
    """``planners`` deployments, spread over namespaces as teams are."""

    planners: int
    interval_s: int

    def places(self) -> list[tuple[str, str]]:
        """Namespace and name of each deployment."""
        return [(f"team-{n // PER_NAMESPACE}", f"q-{n}") for n in range(self.planners)]

    async def create(self, kubeconfig: str) -> None:
        """Create everything but the load."""
        kube = await KubeCluster.connect(user_agent=MANAGER, kubeconfig=kubeconfig)
        spaces = sorted({namespace for namespace, _ in self.places()})
        await _all(_namespace(kube, namespace) for namespace in spaces)
        await _all(self._deployment(kube, *place) for place in self.places())
        await kube.close()

    async def _deployment(self, kube: KubeCluster, namespace: str, name: str) -> None:
        graph = _moved(graph_deployment(), namespace, name)
        status = graph.pop("status")
        await kube.apply(graph, MANAGER)
        await kube.patch_status(DGD, namespace, name, status, MANAGER)
        for component in ("prefill", "decode"):
            one = _moved(adapter(component, 1), namespace, f"{name}-{component}")
            one["spec"]["dgdRef"]["name"] = name
            await kube.apply(one, MANAGER)
        target = {"kind": "DynamoGraphDeployment", "name": name}
        automatic = {"model": "Auto", "quantile": 0.9}
        planner = sla_planner(
            targetRef=target,
            interval=f"{self.interval_s}s",
            forecast=automatic,
            sla={"ttftMs": 300, "itlMs": 25, "percentile": "p95"},
        )
        await kube.apply(_moved(planner, namespace, name), MANAGER)

    async def planning(self, kubeconfig: str) -> int:
        """How many planners say that they plan."""
        kube = await KubeCluster.connect(user_agent=MANAGER, kubeconfig=kubeconfig)
        found = await kube.list(SLA_PLANNER, None)
        await kube.close()
        return sum(
            one["reason"] == "Planning"
            for planner in found
            for one in (planner.get("status") or {}).get("conditions") or ()
            if one["type"] == "Ready"
        )

    async def reading_s(self, kubeconfig: str) -> float:
        """CPU seconds to read the five objects of each planner once."""
        kube = await KubeCluster.connect(user_agent=MANAGER, kubeconfig=kubeconfig)
        began_s = time.process_time()
        await _all(_read(kube, *place) for place in self.places())
        took_s = time.process_time() - began_s
        await kube.close()
        return took_s

    def scrape_job(self, address: str) -> dict[str, Any]:
        """All frontends on one page, which says itself whose each series is."""
        return {
            "job_name": "frontends",
            "honor_labels": True,
            "static_configs": [{"targets": [address]}],
        }


class Exporter:
    """The frontends of a fleet on one page, all under the same load."""

    def __init__(self, fleet: Fleet) -> None:
        self._frontend = Frontend(rate_per_s=RATE_PER_S)
        self._labels = [_labels(*place) for place in fleet.places()]

    def page(self) -> str:
        """The page that Prometheus scrapes."""
        series = [_SERIES.match(line) for line in self._frontend.page().splitlines()]
        return "".join(
            f"{one[1]}{{{labels}{',' + one[2] if one[2] else ''}}} {one[3]}\n"
            for one in series
            if one is not None
            for labels in self._labels
        )


def queries_asked(url: str) -> float:
    """PromQL queries that a Prometheus has answered, by its own count."""
    with urlopen(f"{url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if _QUERIES.match(line))


async def _namespace(kube: KubeCluster, namespace: str) -> None:
    await kube.create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}, MANAGER
    )
    await kube.apply(_moved(curves_config_map(), namespace, "curves"), MANAGER)


async def _read(kube: KubeCluster, namespace: str, name: str) -> None:
    await kube.get(SLA_PLANNER, namespace, name)
    await kube.get(DGD, namespace, name)
    await kube.get(CONFIG_MAP, namespace, "curves")
    for component in ("prefill", "decode"):
        await kube.get(DGDSA, namespace, f"{name}-{component}")


async def _all(work: Iterable[Awaitable[None]]) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(each: Awaitable[None]) -> None:
        async with turns:
            await each

    await asyncio.gather(*(one(each) for each in work))


def _moved(manifest: dict[str, Any], namespace: str, name: str) -> dict[str, Any]:
    return {**manifest, "metadata": {"name": name, "namespace": namespace}}


def _labels(namespace: str, name: str) -> str:
    graph = dynamo_namespace(namespace, name)
    return f'namespace="{namespace}",dynamo_namespace="{graph}",pod="{name}-frontend-0"'
