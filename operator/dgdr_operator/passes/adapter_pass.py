"""One pass over a scaling adapter: its replicas into the graph, the pods' number back."""

import logging
from contextlib import suppress
from datetime import datetime

from dgdr_api.codec_v1beta1 import decode
from dgdr_api.graph import Component, Graph
from dgdr_api.models.dgdsa import DgdsaStatus
from dgdr_api.models.dgdsa import DynamoGraphDeploymentScalingAdapter as Adapter
from dgdr_api.names import FieldManager, component_name
from dgdr_api.reading import CodecError
from dgdr_kube.errors import Conflict, NotFound, Rejected
from dgdr_kube.kinds import DEPLOYMENT, DGD, DGDSA
from dgdr_kube.manifests import is_going, ref
from dgdr_kube.ports import Cluster, Event, Key, Manifest, Severity
from dgdr_operator.core.adapter import (
    Scaling,
    adapter_status,
    components_written_by,
    decide_copy,
    render_copy,
)
from dgdr_operator.core.observed_workloads import deployment_seen
from dgdr_operator.settings import Settings

log = logging.getLogger(__name__)

# The graph may come after a user's adapter, and its events do not name the adapter.
LOOK_AGAIN_S = 30.0
# Somebody else wrote the graph in the same moment: read again.
RETRY_S = 0.1


class AdapterPass:
    """Reconciles one adapter; the adapter, not the graph, says how many replicas there are."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster = cluster
        self._settings = settings

    async def __call__(self, key: Key, now: datetime) -> float | None:
        """Run one pass; returns the seconds after which to look again."""
        manifest = await self._cluster.get(DGDSA, key.namespace, key.name)
        if manifest is None or is_going(manifest):
            return None
        adapter = Adapter.parse(manifest)
        dgd = await self._cluster.get(DGD, key.namespace, adapter.spec.dgd_ref.name)
        graph = _readable(dgd)
        if dgd is None or graph is None:
            return LOOK_AGAIN_S
        component = graph.component(adapter.spec.dgd_ref.component)
        if component is None:
            await self._complain(manifest, _no_component(graph, adapter))
            return LOOK_AGAIN_S
        try:
            await self._copy(dgd, graph, now)
        except Conflict:
            return RETRY_S
        except Rejected as exc:
            await self._complain(manifest, f"{graph.name} was not scaled: {exc.message}")
            return LOOK_AGAIN_S
        await self._report(manifest, graph, component)
        return None

    async def _copy(self, dgd: Manifest, graph: Graph, now: datetime) -> None:
        """Write the numbers of all of the graph's adapters, and tell each that was heard."""
        found = await self._cluster.list(DGDSA, graph.namespace)
        adapters = {
            manifest["metadata"]["name"]: (manifest, parsed)
            for manifest in found
            if not is_going(manifest)
            and (parsed := Adapter.parse(manifest)).spec.dgd_ref.name == graph.name
        }
        ours = components_written_by(dgd, FieldManager.SCALE)
        copy = decide_copy(graph, (parsed for _, parsed in adapters.values()), ours)
        if not copy.scalings:
            return
        for scaling in copy.scalings:
            log.info("%s/%s: %s", graph.namespace, graph.name, scaling)
        await self._cluster.apply(render_copy(dgd, copy), FieldManager.SCALE)
        for scaling in copy.scalings:
            await self._report_scaling(scaling, adapters[scaling.adapter][0], now)

    async def _report_scaling(self, scaling: Scaling, adapter: Manifest, now: datetime) -> None:
        await self._cluster.emit(Event(about=ref(adapter), reason="Scaled", message=str(scaling)))
        await self._write_status(adapter, DgdsaStatus(last_scale_time=now))

    async def _report(self, manifest: Manifest, graph: Graph, component: Component) -> None:
        name = component_name(graph.name, component.name)
        deployment = await self._cluster.get(DEPLOYMENT, graph.namespace, name)
        replicas = deployment_seen(deployment).replicas if deployment is not None else None
        status = adapter_status(graph, component, replicas)
        await self._write_status(manifest, status)

    async def _write_status(self, adapter: Manifest, status: DgdsaStatus) -> None:
        """Write what the status says; what it leaves out stays as it is."""
        old, new = adapter.get("status") or {}, status.to_json()
        patch = {key: value for key, value in new.items() if old.get(key) != value}
        if not patch:
            return
        meta = adapter["metadata"]
        with suppress(NotFound):  # deleted during the pass: there is nobody left to tell
            await self._cluster.patch_status(
                DGDSA, meta["namespace"], meta["name"], patch, FieldManager.OPERATOR
            )

    async def _complain(self, adapter: Manifest, text: str) -> None:
        await self._cluster.emit(
            Event(
                about=ref(adapter),
                reason="UpdateFailed",
                message=text,
                severity=Severity.WARNING,
                once=f"generation-{adapter['metadata'].get('generation', 0)}",
            )
        )


def _readable(dgd: Manifest | None) -> Graph | None:
    """Return the graph, unless it is going or cannot be read, which its own status says."""
    if dgd is None or is_going(dgd):
        return None
    try:
        return decode(dgd)
    except CodecError:
        return None


def _no_component(graph: Graph, adapter: Adapter) -> str:
    names = ", ".join(component.name for component in graph.components)
    wanted = adapter.spec.dgd_ref.component
    return f"{graph.name} has no component {wanted!r}; it has {names}"
