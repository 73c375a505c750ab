"""A stand-in for NVIDIA's operator: its kinds with open schemas, and a loop that reconciles them.

It is not the real one (https://github.com/ai-dynamo/dynamo, ``deploy/operator``). What is tried
with it is whose fields are whose: it makes adapters, copies their numbers, makes Deployments
through a DynamoComponentDeployment, reports, under the field manager of a Go controller, leaves a
namespace alone whose Lease somebody renews. It has no webhooks, and nothing runs.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dgdr_api.names import NAMESPACE_SCOPE_LEASE
from dgdr_kube.client import KubeCluster
from dgdr_kube.errors import AlreadyExists, ClusterError, NotFound
from dgdr_kube.kinds import (
    _KNOWN,
    DEPLOYMENT,
    DGD,
    DGD_V1ALPHA1,
    DGDR,
    DGDSA,
    DGDSA_V1ALPHA1,
    LEASE,
    WORKER_METADATA,
    Kind,
)
from dgdr_kube.manifests import merge_patch, owner_reference
from dgdr_operator.core.ownership import holder_of

Json = dict[str, Any]

MANAGER = "manager"
COMPONENT = Kind(
    "nvidia.com", "v1alpha1", "dynamocomponentdeployments", "DynamoComponentDeployment"
)
_SHORT = {"dynamographdeployments": "dgd", "dynamographdeploymentscalingadapters": "dgdsa"}
_EACH_S = 0.5


def crds(version: str) -> list[Json]:
    """Its CustomResourceDefinitions, in a release that serves deployments in one version."""
    graphs = DGD_V1ALPHA1 if version == "v1alpha1" else DGD
    newer = () if version == "v1alpha1" else (DGDSA.version,)
    kinds = (graphs, COMPONENT, DGDR, WORKER_METADATA)
    return [_crd(DGDSA_V1ALPHA1, *newer), *(_crd(kind) for kind in kinds)]


def _crd(kind: Kind, *newer: str) -> Json:
    subresources: Json = {"status": {}}
    if kind.plural == DGDSA.plural:
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
        }
    names = {"kind": kind.kind, "plural": kind.plural, "singular": kind.kind.lower()}
    if short := _SHORT.get(kind.plural):
        names |= {"shortNames": [short]}  # type: ignore[dict-item]
    versions = [
        {
            "name": name,
            "served": True,
            "storage": name == kind.version,
            "schema": {"openAPIV3Schema": _schema(kind)},
            "subresources": subresources,
        }
        for name in (kind.version, *newer)
    ]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "names": names,
            "scope": "Namespaced",
            "versions": versions,
        },
    }


def _schema(kind: Kind) -> Json:
    """Anything goes; of a list of components each one is owned by itself, as in NVIDIA's."""
    open_: Json = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if kind != DGD:
        return open_
    each = {**open_, "required": ["name"], "properties": {"name": {"type": "string"}}}
    components = {
        "type": "array",
        "items": each,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
    }
    return {**open_, "properties": {"spec": {**open_, "properties": {"components": components}}}}


@contextmanager
def nvidias_operator(kubeconfig: Path, version: str) -> Iterator[None]:
    """Reconcile every deployment of the cluster until the end."""
    stop = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_run(kubeconfig, version, stop)))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)


async def _run(kubeconfig: Path, version: str, stop: threading.Event) -> None:
    _KNOWN[COMPONENT.api_version, COMPONENT.kind] = COMPONENT
    cluster = await KubeCluster.connect(user_agent=MANAGER, kubeconfig=str(kubeconfig))
    graphs = DGD_V1ALPHA1 if version == "v1alpha1" else DGD
    try:
        while not stop.is_set():
            for dgd in await cluster.list(graphs, None):
                with suppress(ClusterError):  # the next round looks again
                    await _Graph(cluster, graphs, dgd).reconcile()
            await asyncio.sleep(_EACH_S)
    finally:
        await cluster.close()


class _Graph:
    """One deployment, in the version that is stored."""

    def __init__(self, cluster: KubeCluster, kind: Kind, dgd: Json) -> None:
        self._cluster, self._kind, self._dgd = cluster, kind, dgd
        self._namespace = dgd["metadata"]["namespace"]
        self._name = dgd["metadata"]["name"]

    async def reconcile(self) -> None:
        lease = await self._cluster.get(LEASE, self._namespace, NAMESPACE_SCOPE_LEASE)
        if holder_of(lease, datetime.now(UTC)) or self._dgd["metadata"].get("deletionTimestamp"):
            return
        wanted = {}
        for name, component in _components(self._dgd).items():
            wanted[name] = await self._adapted(name, component)
        await self._write_replicas(wanted)
        for name, replicas in wanted.items():
            await self._deploy(name, replicas)
        await self._report(wanted)

    async def _adapted(self, name: str, component: Mapping[str, Any]) -> int:
        """Return what the component's adapter says, which is made where one is asked for."""
        own = int(component.get("replicas", 1))
        asked = component.get("scalingAdapter")
        if asked is None or asked.get("enabled") is False:
            return own
        adapter = f"{self._name}-{name.lower()}"
        found = await self._cluster.get(DGDSA_V1ALPHA1, self._namespace, adapter)
        if found is not None:
            return int(found["spec"]["replicas"])
        made = {
            "apiVersion": DGDSA_V1ALPHA1.api_version,
            "kind": DGDSA_V1ALPHA1.kind,
            "metadata": self._meta(adapter),
            "spec": {"replicas": own, "dgdRef": {"name": self._name, "serviceName": name}},
        }
        await self._cluster.create(made, MANAGER)
        return own

    async def _write_replicas(self, wanted: Mapping[str, int]) -> None:
        spec = self._dgd["spec"]
        if self._kind == DGD_V1ALPHA1:
            services = {n: {"replicas": r} for n, r in wanted.items()}
            patch: Json = {"services": services}
        else:
            components = [{**c, "replicas": wanted[c["name"]]} for c in spec["components"]]
            patch = {"components": components}
        has = {n: c.get("replicas") for n, c in _components(self._dgd).items()}
        if has != wanted:
            self._dgd = await self._cluster.patch(
                self._kind,
                self._namespace,
                self._name,
                {"spec": patch},
                MANAGER,
                self._dgd["metadata"]["resourceVersion"],
            )

    async def _deploy(self, name: str, replicas: int) -> None:
        """Have a Deployment of the component's, through an object of its own between them."""
        labels = {
            "nvidia.com/dynamo-graph-deployment-name": self._name,
            "nvidia.com/dynamo-component": name,
        }
        full = f"{self._name}-{name.lower()}"
        between = await self._made(COMPONENT, self._meta(full), {"replicas": replicas})
        meta = {**self._meta(full), "labels": labels}
        meta["ownerReferences"] = [owner_reference(between)]
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "main", "image": "registry.test/x:1"}]},
        }
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        await self._made(DEPLOYMENT, meta, spec)

    async def _made(self, kind: Kind, meta: Json, spec: Json) -> Json:
        found = await self._cluster.get(kind, self._namespace, meta["name"])
        if found is None:
            manifest = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta}
            try:
                return await self._cluster.create({**manifest, "spec": spec}, MANAGER)
            except AlreadyExists as exc:
                raise NotFound(str(exc)) from exc
        if found["spec"]["replicas"] == spec["replicas"]:
            return found
        patch = {"spec": {"replicas": spec["replicas"]}}
        return await self._cluster.patch(kind, self._namespace, meta["name"], patch, MANAGER)

    async def _report(self, wanted: Mapping[str, int]) -> None:
        """Report all that is asked for as ready; only differences are written."""
        states = {
            n: {"replicas": r, "readyReplicas": r, "availableReplicas": r, "updatedReplicas": r}
            for n, r in wanted.items()
        }
        old = self._dgd.get("status") or {}
        conditions = old.get("conditions") or [
            {
                "type": "Ready",
                "status": "True",
                "reason": "all_resources_are_ready",
                "message": "All resources are ready",
                "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        ]
        field = "services" if self._kind == DGD_V1ALPHA1 else "components"
        new = {
            **old,
            "state": "successful",
            "conditions": conditions,
            "observedGeneration": self._dgd["metadata"]["generation"],
            field: states,
        }
        if patch := merge_patch(old, new):
            await self._cluster.patch_status(
                self._kind, self._namespace, self._name, patch, MANAGER
            )

    def _meta(self, name: str) -> Json:
        owners = [owner_reference(self._dgd)]
        return {"name": name, "namespace": self._namespace, "ownerReferences": owners}


def _components(dgd: Json) -> dict[str, Json]:
    if "services" in dgd["spec"]:
        return dict(dgd["spec"]["services"])
    return {component["name"]: component for component in dgd["spec"]["components"]}
