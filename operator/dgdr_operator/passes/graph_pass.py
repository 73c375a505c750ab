"""One pass over a DynamoGraphDeployment: from its components to workloads and back to a status."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from dgdr_api.codec_v1beta1 import decode
from dgdr_api.graph import Graph
from dgdr_api.names import Label
from dgdr_api.reading import CodecError
from dgdr_kube.errors import ClusterError
from dgdr_kube.kinds import DGD, POD, WORKER_METADATA
from dgdr_kube.manifests import is_going, owner_reference
from dgdr_kube.pass_record import decided
from dgdr_kube.ports import Key, Manifest, Manifests, WatchedCluster
from dgdr_kube.served import installed
from dgdr_operator.core.data_plane import DataPlane, Discovery
from dgdr_operator.core.graph_status import (
    GraphSeen,
    failed_status,
    is_ready,
    status_after,
    unreconciled_status,
    waiting_status,
)
from dgdr_operator.core.lacks import ClusterFacts, lacks_of_graph
from dgdr_operator.core.observed_workloads import PodSeen, WorkloadSeen, pods_seen, workload_seen
from dgdr_operator.core.pinned import graph_hash, pins_of
from dgdr_operator.core.pod_rules import PodRules
from dgdr_operator.core.restart import with_ids
from dgdr_operator.core.upgrades import Renderings, renderings
from dgdr_operator.core.workloads import Problem
from dgdr_operator.followed import OF_GRAPH
from dgdr_operator.passes.candidate_queue import CandidateQueue
from dgdr_operator.passes.claims import claims_of
from dgdr_operator.passes.data_plane_observer import DataPlaneObserver
from dgdr_operator.passes.failures import lasting
from dgdr_operator.passes.graph_children import Children, ChildWriter
from dgdr_operator.passes.graph_patience import LOOK_AGAIN_S, again_s
from dgdr_operator.passes.graph_reporter import GraphReporter, generation_of
from dgdr_operator.passes.graph_restart import plan_restart, standings
from dgdr_operator.passes.graph_upgrades import Decision, GraphUpgrades
from dgdr_operator.passes.group_observer import GroupObserver
from dgdr_operator.passes.status_of import status_of
from dgdr_operator.settings import Settings


def data_plane_of(settings: Settings) -> DataPlane:
    """Return what the pods are told, from the installation's settings."""
    plane = settings.data_plane
    return DataPlane(
        discovery=Discovery(plane.discovery),
        request_plane=plane.request_plane,
        event_plane=plane.event_plane,
        nats_url=plane.nats_url,
        etcd_endpoints=plane.etcd_endpoints,
        model_express_url=plane.model_express_url,
        prometheus_url=settings.prometheus.url,
        pre_stop_s=plane.pre_stop_seconds,
        pull_secrets=settings.images.pull_secrets,
        pods=PodRules(
            service_accounts=settings.security.service_accounts,
            restricted=settings.security.restricted_workers,
            user_id=settings.security.run_as_user,
        ),
    )


class GraphPass:
    """Reconciles one graph; safe to repeat and to be killed at any write."""

    def __init__(
        self,
        cluster: WatchedCluster,
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._reporter = GraphReporter(cluster)
        self._plane = data_plane_of(settings)
        self._is_metadata_ours = WORKER_METADATA in installed(settings.mode)
        self._data_plane = DataPlaneObserver(cluster, clock)
        scopes = settings.namespaces or (None,)
        self._upgrades = GraphUpgrades(cluster, self._plane, settings.rollout, scopes)
        self._candidates = CandidateQueue(cluster)
        self._groups = GroupObserver(cluster, self._data_plane, scopes, clock)

    async def __call__(self, key: Key, now: datetime) -> float | None:
        """Run one pass; returns the seconds after which to look again."""
        dgd = await self._cluster.look(DGD, key.namespace, key.name)
        if dgd is None or is_going(dgd):
            decided("Gone")
            return None  # the owner references remove what we made
        try:
            return await self._reconcile(dgd, now)
        except CodecError as exc:  # an edit, which starts a pass, is the only cure
            decided("Refuse")
            status = failed_status(str(exc), generation_of(dgd), status_of(dgd), now)
            await self._reporter.say_failed(dgd, str(exc), status)
            return None
        except Exception as exc:
            # What no step expects, such as a right that is missing, must not stay in a log.
            if (message := lasting(exc)) is not None:
                status = unreconciled_status(message, generation_of(dgd), status_of(dgd), now)
                with suppress(ClusterError):  # the first failure is what the log has to tell
                    await self._reporter.say_failed(dgd, message, status)
            raise

    async def _reconcile(self, dgd: Manifest, now: datetime) -> float | None:
        old = status_of(dgd)
        graph = decode(dgd)
        if (why := await self._candidates.why_wait(dgd)) is not None:
            decided("HoldBack")
            await self._reporter.report(dgd, waiting_status(why, generation_of(dgd), old, now))
            return LOOK_AGAIN_S
        owner = owner_reference(dgd)
        groups = await self._groups.has_groups(graph, old)
        plane = replace(self._plane, groups=groups)
        writer = ChildWriter(self._cluster, graph, owner, groups=groups)
        there = await writer.observe()
        both = self._renderings(dgd, graph, there, plane)
        is_up = all(map(is_ready, _workloads_seen(there, now)))
        was_seen = old.observed_generation == generation_of(dgd)
        pods = await self._pods(graph) if groups else None
        stand = standings(graph, there, pods or [], now)
        restart, unread = plan_restart(graph, stand, old.restart, was_seen)
        async with self._upgrades.alone(both):
            decision = await self._upgrades.decide(dgd, old, both, is_up=is_up)
            decided(decision.verdict)
            if writer.lacks(decision.workloads.manifests, there) and await self._is_leaving(dgd):
                return None  # the watch is about to say so
            told = await self._reporter.announce(dgd, old, decision, now)
        wanted = with_ids(decision.workloads.manifests, restart.ids, Label.COMPONENT)
        children = await writer.write(wanted, there)
        problems = (*unread, *decision.workloads.problems, *children.problems)
        seen = await self._seen(dgd, graph, children, problems, decision, now)
        await self._reporter.warn_if_stuck(told, seen.upgrade)
        status = status_after(replace(seen, restart=restart.status), old, now)
        await self._reporter.report(told, status)
        await self._reporter.warn(dgd, problems)
        await self._reporter.tell_removed(dgd, children.removed_adapters)
        return again_s(status, decision.verdict, children, now, pods)

    async def _is_leaving(self, dgd: Manifest) -> bool:
        """Whether a graph is being deleted, or gone, although no watch has told of it yet.

        Its children may be told to be gone first, and would be made again for nobody.
        """
        meta = dgd["metadata"]
        now = await self._cluster.get(DGD, meta["namespace"], meta["name"])
        return now is None or is_going(now) or now["metadata"]["uid"] != meta["uid"]

    @staticmethod
    def _renderings(dgd: Manifest, graph: Graph, there: Children, plane: DataPlane) -> Renderings:
        owner = owner_reference(dgd)
        was_seen = status_of(dgd).observed_generation == generation_of(dgd)
        pins = pins_of(dgd, graph, there.own_workloads(owner), was_seen)
        return renderings(graph, owner, plane, graph_hash(dgd), pins)

    async def _seen(
        self,
        dgd: Manifest,
        graph: Graph,
        children: Children,
        problems: tuple[Problem, ...],
        decision: Decision,
        now: datetime,
    ) -> GraphSeen:
        workloads = _workloads_seen(children, now)
        is_up = all(map(is_ready, workloads))
        pods = () if is_up else pods_seen(await self._pods(graph))
        facts = ClusterFacts() if is_up else await self._facts(pods)
        # What standalone mode cannot run is no part of an upgrade.
        is_written = not children.problems and not children.must_wait
        return GraphSeen(
            graph=graph,
            generation=generation_of(dgd),
            workloads=workloads,
            pods=pods,
            problems=problems,
            lacks=lacks_of_graph(graph, decision.plane, facts),
            claims=await claims_of(self._cluster, graph),
            upgrade=decision.outcome(status_of(dgd), now, is_written=is_written, is_up=is_up),
        )

    async def _facts(self, pods: tuple[PodSeen, ...]) -> ClusterFacts:
        """Look at what the cluster has; at its many nodes only when a pod finds none."""
        is_homeless = any(pod.unschedulable is not None for pod in pods)
        nodes = await self._data_plane.nodes() if is_homeless else None
        needs = self._plane.needs_rights and self._is_metadata_ours
        kinds = (WORKER_METADATA,) if needs else ()
        return await self._data_plane.facts(kinds, nodes)

    async def _pods(self, graph: Graph) -> Manifests:
        return await self._cluster.find(POD, graph.namespace, OF_GRAPH, graph.name)


def _workloads_seen(children: Children, now: datetime) -> tuple[WorkloadSeen, ...]:
    return tuple(workload_seen(one, now) for one in children.workloads())
