"""Many deployments and requests for the operator, with the account that its chart gives it."""

import asyncio
import subprocess
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dgdr_kube.client import KubeCluster
from dgdr_kube.kinds import DGD, DGDR, Kind
from dgdr_kube.ports import Key, Manifest
from support.cluster import ROOT, TestCluster
from support.dgdr_world import dgdr
from support.dgds import decode_worker, dgd, frontend

MANAGER = "operator-bench"
SYSTEM = "dgdr-system"
ACCOUNT = "dgdr-operator"
KUBERNETES = "1.34"
VALUES = ROOT / "helm/dgdr-operator/ci/default-values.yaml"
PER_NAMESPACE = 20
PODS_PER_NODE = 100
AT_ONCE = 32
READ, WRITE, WATCH = "bench-read", "bench-write", "bench-watch"
_VERBS = {
    READ: ["get", "list"],
    WRITE: ["create", "update", "patch", "delete", "deletecollection"],
    WATCH: ["watch"],
}


@dataclass(frozen=True, slots=True)
class Fleet:
    """``count`` deployments of a frontend and a scaled worker, and as many requests that wait.

    The requests name a claim that is not there.
    """

    count: int

    def places(self) -> list[Key]:
        """Namespace and name of each deployment; its request has the same."""
        return [Key(f"team-{n // PER_NAMESPACE}", f"q{n}") for n in range(self.count)]

    def namespaces(self) -> list[str]:
        """The namespaces."""
        return sorted({place.namespace for place in self.places()})

    def manifests(self, place: Key) -> list[Manifest]:
        """A deployment and a request."""
        worker = decode_worker(replicas=1, scalingAdapter={}, main={"command": ["serve"]})
        graph = dgd(frontend(), worker)
        request = dgdr(modelCache={"pvcName": "not-there"})
        for manifest in (graph, request):
            manifest["metadata"] |= {"namespace": place.namespace, "name": place.name}
        request["metadata"]["name"] = f"r-{place.name}"
        return [graph, request]

    async def create(self, kube: KubeCluster, per_s: float) -> None:
        """Create all, so many pairs a second."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number, place in enumerate(self.places()):
            await asyncio.sleep(max(0.0, began + number / per_s - loop.time()))
            for manifest in self.manifests(place):
                await kube.create(manifest, MANAGER)

    async def unsettled(self, kube: KubeCluster) -> int:
        """How many have not come to rest."""
        graphs, requests = await kube.list(DGD, None), await kube.list(DGDR, None)
        settled = sum(_status(one).get("state") == "successful" for one in graphs)
        return 2 * self.count - settled - sum(bool(_status(one)) for one in requests)


def _status(manifest: Manifest) -> Manifest:
    found: Manifest = manifest.get("status") or {}
    return found


async def prepare(kube: KubeCluster, on: TestCluster, fleet: Fleet, idle_nodes: int) -> None:
    """Make namespaces, nodes for all pods, and nodes that only stand there, as large as real."""
    on.add_gpu_nodes(2 + 3 * fleet.count // PODS_PER_NODE)
    spaces = [_named("v1", "Namespace", name) for name in fleet.namespaces()]
    await in_parallel(kube.create(space, MANAGER) for space in spaces)
    await in_parallel(_idle_node(kube, number) for number in range(idle_nodes))


async def _idle_node(kube: KubeCluster, number: int) -> None:
    # Nobody would run a pod there.
    node = _named("v1", "Node", f"idle-{number}", unschedulable=True)
    await kube.create(node, MANAGER)
    images = [
        {"names": [f"registry.test/i{n}@sha256:{number:064x}", f"registry.test/i{n}:{number}"]}
        for n in range(50)
    ]
    capacity = {"cpu": "192", "memory": "2Ti", "pods": "110"}
    status = {"capacity": capacity, "allocatable": capacity, "images": images}
    await kube.patch_status(_NODE, None, f"idle-{number}", status, MANAGER)


_NODE = Kind("", "v1", "nodes", "Node", namespaced=False)


def _named(version: str, kind: str, name: str, **spec: Any) -> Manifest:
    found: Manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": name}}
    return found | ({"spec": spec} if spec else {})


async def in_parallel(calls: Iterable[Awaitable[Any]]) -> None:
    """Await all, some at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def gated(call: Awaitable[Any]) -> None:
        async with gate:
            await call

    await asyncio.gather(*(gated(call) for call in calls))


# -- the account


def install(on: TestCluster, source: Path, folder: Path) -> Path:
    """Install CRDs and rights as the chart of a checkout does; returns the operator's kubeconfig.

    Its calls are counted apart by the API server, by read, write and watch.
    """
    chart = source / "helm/dgdr-operator"
    on.kubectl("apply", "--server-side", "-f", str(source / "crds"))
    on.kubectl("create", "namespace", SYSTEM)
    rights = subprocess.run(
        [
            str(on.bin_dir / "helm"), "template", ACCOUNT, str(chart),
            "--namespace", SYSTEM, "--kube-version", KUBERNETES,
            "--values", str(VALUES),
            "--show-only", "templates/operator-rbac.yaml",
            "--show-only", "templates/operator.yaml",
        ],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    kept = [one for one in yaml.safe_load_all(rights) if one and one["kind"] in _RIGHTS]
    (account,) = [o["metadata"]["name"] for o in kept if o["kind"] == "ServiceAccount"]
    text = yaml.safe_dump_all([*kept, *_counters(account)])
    on.kubectl("apply", "-n", SYSTEM, "-f", "-", stdin=text)
    return _kubeconfig(on, account, folder)


_RIGHTS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


def _counters(account: str) -> list[Manifest]:
    """One FlowSchema for each class of calls: the server counts what it dispatches by it."""
    subject = {
        "kind": "ServiceAccount",
        "serviceAccount": {"name": account, "namespace": SYSTEM},
    }
    return [
        _named(
            "flowcontrol.apiserver.k8s.io/v1",
            "FlowSchema",
            name,
            matchingPrecedence=2,
            priorityLevelConfiguration={"name": "workload-low"},
            distinguisherMethod={"type": "ByUser"},
            rules=[
                {
                    "subjects": [subject],
                    "resourceRules": [
                        {
                            "verbs": verbs,
                            "apiGroups": ["*"],
                            "resources": ["*"],
                            "namespaces": ["*"],
                            "clusterScope": True,
                        }
                    ],
                }
            ],
        )
        for name, verbs in _VERBS.items()
    ]


def _kubeconfig(on: TestCluster, account: str, folder: Path) -> Path:
    token = on.kubectl("create", "token", account, "-n", SYSTEM, "--duration=24h").strip()
    config = yaml.safe_load(on.kubeconfig.read_text())
    config["users"] = [{"name": account, "user": {"token": token}}]
    for context in config["contexts"]:
        context["context"]["user"] = account
    path = folder / "operator.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    path.chmod(0o600)
    return path


def calls(on: TestCluster) -> dict[str, int]:
    """How many calls of each class the API server has dispatched for the operator."""
    found = dict.fromkeys(_VERBS, 0)
    for line in on.kubectl("get", "--raw", "/metrics").splitlines():
        if line.startswith("apiserver_flowcontrol_dispatched_requests_total{"):
            for name in found:
                if f'flow_schema="{name}"' in line:
                    found[name] += int(float(line.rpartition(" ")[2]))
    return found


def percentiles(found: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile, in seconds."""
    ranked = sorted(found)
    if not ranked:
        return {}
    at = {name: ranked[min(int(share * len(ranked)), len(ranked) - 1)] for name, share in _SHARES}
    return {name: round(value, 3) for name, value in at.items()}


_SHARES = (("p50_s", 0.5), ("p99_s", 0.99))
