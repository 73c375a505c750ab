"""One pass over a scaling adapter: its replicas into the graph, the pods' number back."""

import asyncio
import logging
from contextlib import suppress
from datetime import datetime
from weakref import WeakValueDictionary

from dgdr_api.graph import Graph
from dgdr_api.models.dgdsa import DgdsaStatus
from dgdr_api.models.dgdsa import DynamoGraphDeploymentScalingAdapter as Adapter
from dgdr_api.names import FieldManager
from dgdr_kube.errors import ClusterError, Rejected
from dgdr_kube.kinds import DEPLOYMENT, DGD, DGDSA
from dgdr_kube.manifests import is_going, over, ref
from dgdr_kube.pass_record import decided
from dgdr_kube.ports import Event, Key, Manifest, Severity, WatchedCluster
from dgdr_operator.core.adapter import (
    Reason,
    ReplicaCopy,
    Target,
    Verdict,
    components_written_by,
    decide_copy,
    find_target,
    read_adapter,
    render_copy,
    second_to,
    speaker,
    status_seen,
    with_pods,
    with_verdict,
)
from dgdr_operator.core.observed_workloads import workload_seen
from dgdr_operator.core.workload import is_group, workload_name
from dgdr_operator.followed import ADAPTERS_OF_GRAPH
from dgdr_operator.passes.failures import lasting
from dgdr_operator.passes.live import patch_status
from dgdr_operator.passes.status_of import status_of
from dgdr_operator.settings import Settings

log = logging.getLogger(__name__)

# Events start a pass, those of a graph that comes after its adapter too; this only bounds how long
# a lost one goes unnoticed.
LOOK_AGAIN_S = 300.0


class AdapterPass:
    """Reconciles one adapter; the adapter, not the graph, says how many replicas there are."""

    def __init__(self, cluster: WatchedCluster, settings: Settings) -> None:
        self._cluster = cluster
        self._settings = settings
        # Adapters of one graph write the same fields of it: one at a time, or all but one fail.
        self._writing: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, key: Key, now: datetime) -> float | None:
        """Run one pass; returns the seconds after which to look again."""
        manifest = await self._cluster.look(DGDSA, key.namespace, key.name)
        if manifest is None or is_going(manifest):
            decided("Gone")
            return None
        try:
            return await self._reconcile(manifest, now)
        except Exception as exc:
            # What no step expects, such as a right that is missing, must not stay in a log.
            if (message := lasting(exc)) is not None:
                verdict = Verdict(reason=Reason.RECONCILE_FAILED, message=message)
                with suppress(ClusterError):  # the first failure is what the log has to tell
                    await self._complain(manifest, verdict, now)
            raise

    async def _reconcile(self, manifest: Manifest, now: datetime) -> float | None:
        adapter = read_adapter(manifest)
        if isinstance(adapter, Verdict):
            return await self._complain(manifest, adapter, now)
        graph = Key(manifest["metadata"]["namespace"], adapter.spec.dgd_ref.name)
        lock = self._writing.setdefault(graph, asyncio.Lock())
        async with lock:
            target = find_target(await self._cluster.look(DGD, *graph), adapter)
            if isinstance(target, Verdict):
                return await self._complain(manifest, target, now)
            others = [parsed for _, parsed in await self._adapters(target.graph)]
            followed = speaker(target.component, others)
            if (second := second_to(adapter, followed)) is not None:
                return await self._complain(manifest, second, now)
            try:
                scaled = await self._copy(target.manifest, target.graph)
            except Rejected as exc:
                text = f"{target.graph.name} was not scaled: {exc.message}"
                verdict = Verdict(reason=Reason.UPDATE_FAILED, message=text)
                return await self._complain(manifest, verdict, now)
        decided("Copy" if scaled else "Settled")
        mine = manifest["metadata"]["name"]
        for name, other in scaled.items():
            if name != mine:
                await self._write_status(other, _scaled_at(now, other))
        status = _scaled_at(now, manifest) if mine in scaled else status_seen(manifest)
        await self._report(manifest, status, target, now)
        return None

    async def _copy(self, dgd: Manifest, graph: Graph) -> dict[str, Manifest]:
        """Write the numbers of all of the graph's adapters; return those that were heard."""
        adapters, copy = await self._decided(dgd, graph)
        growing = [one.adapter for one in copy.scalings if one.after > one.before]
        for name in growing:  # a number that was taken back since holds GPUs that others count on
            await self._cluster.fresh.look(DGDSA, graph.namespace, name)
        if growing:
            adapters, copy = await self._decided(dgd, graph)
        if not copy.scalings:
            return {}
        for scaling in copy.scalings:
            log.info("%s/%s: %s", graph.namespace, graph.name, scaling)
        version = dgd["metadata"]["resourceVersion"]
        await self._cluster.apply(
            over(render_copy(dgd, copy), dgd), FieldManager.SCALE, resource_version=version
        )
        for scaling in copy.scalings:
            about = ref(adapters[scaling.adapter])
            await self._cluster.emit(Event(about=about, reason="Scaled", message=str(scaling)))
        return {scaling.adapter: adapters[scaling.adapter] for scaling in copy.scalings}

    async def _decided(
        self, dgd: Manifest, graph: Graph
    ) -> tuple[dict[str, Manifest], ReplicaCopy]:
        """Return the graph's adapters by name, and what they make of its replicas."""
        adapters = await self._adapters(graph)
        ours = components_written_by(dgd, FieldManager.SCALE)
        copy = decide_copy(graph, (parsed for _, parsed in adapters), ours)
        return {manifest["metadata"]["name"]: manifest for manifest, _ in adapters}, copy

    async def _adapters(self, graph: Graph) -> list[tuple[Manifest, Adapter]]:
        found = await self._cluster.find(DGDSA, graph.namespace, ADAPTERS_OF_GRAPH, graph.name)
        read = [(manifest, read_adapter(manifest)) for manifest in found if not is_going(manifest)]
        return [
            (manifest, parsed)
            for manifest, parsed in read
            if isinstance(parsed, Adapter) and parsed.spec.dgd_ref.name == graph.name
        ]

    async def _report(
        self, manifest: Manifest, status: DgdsaStatus, target: Target, now: datetime
    ) -> None:
        replicas = await self._replicas(target)
        status = with_pods(status, target, replicas)
        generation = _generation(manifest)
        await self._write_status(manifest, with_verdict(status, Verdict(), generation, now))

    async def _replicas(self, target: Target) -> int | None:
        """Return the replicas that there are; None where nobody can tell."""
        if is_group(target.component):
            # Not watched, and not served everywhere: the graph's own pass has looked.
            state = (status_of(target.manifest).components or {}).get(target.component.name)
            return state.replicas if state else None
        name = workload_name(target.graph, target.component)
        found = await self._cluster.look(DEPLOYMENT, target.graph.namespace, name)
        return workload_seen(found).replicas if found is not None else None

    async def _write_status(self, adapter: Manifest, status: DgdsaStatus) -> None:
        """Write what the status says; what it leaves out stays as it is."""
        old, new = adapter.get("status") or {}, status.to_json()
        patch = {key: value for key, value in new.items() if old.get(key) != value}
        await patch_status(self._cluster, DGDSA, adapter, patch)

    async def _complain(self, adapter: Manifest, verdict: Verdict, now: datetime) -> float:
        """Say what is wrong, and return when to look again."""
        decided(verdict.reason)
        generation = _generation(adapter)
        if verdict.reason is not Reason.NO_TARGET:
            await self._cluster.emit(
                Event(
                    about=ref(adapter),
                    reason=verdict.reason,
                    message=verdict.message,
                    severity=Severity.WARNING,
                    once=f"generation-{generation}/{verdict.message}",
                )
            )
        status = with_verdict(status_seen(adapter), verdict, generation, now)
        await self._write_status(adapter, status)
        return LOOK_AGAIN_S


def _scaled_at(now: datetime, adapter: Manifest) -> DgdsaStatus:
    return status_seen(adapter).model_copy(update={"last_scale_time": now})


def _generation(adapter: Manifest) -> int:
    return int(adapter["metadata"].get("generation", 0))
