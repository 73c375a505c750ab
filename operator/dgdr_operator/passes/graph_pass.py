"""One pass over a DynamoGraphDeployment: from its components to workloads and back to a status."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from dgdr_api.codec_v1beta1 import decode
from dgdr_api.conditions import READY, find
from dgdr_api.graph import Graph
from dgdr_api.models.dgd_v1beta1 import DgdState, DGDStatus, RestartStatus
from dgdr_api.names import FieldManager, Label
from dgdr_api.reading import CodecError
from dgdr_kube.errors import ClusterError, NotFound
from dgdr_kube.kinds import DEPLOYMENT, DGD, LEADER_WORKER_SET, POD, WORKER_METADATA
from dgdr_kube.manifests import is_going, merge_patch, owner_reference, ref
from dgdr_kube.pass_record import decided
from dgdr_kube.ports import Event, Key, Manifest, Manifests, Severity, WatchedCluster
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
from dgdr_operator.core.observed_workloads import (
    PodSeen,
    WorkloadSeen,
    pods_seen,
    workload_seen,
)
from dgdr_operator.core.pinned import graph_hash, pins_of
from dgdr_operator.core.pod_rules import PodRules
from dgdr_operator.core.restart import (
    Plan,
    Standing,
    have_come,
    id_of,
    planned,
    restart_of,
    with_ids,
)
from dgdr_operator.core.upgrades import (
    Renderings,
    Verdict,
    reason_of,
    renderings,
    taking_turn,
    text_of,
)
from dgdr_operator.core.workload import all_run, workload_name
from dgdr_operator.core.workloads import Problem
from dgdr_operator.followed import OF_GRAPH
from dgdr_operator.passes.candidate_queue import CandidateQueue
from dgdr_operator.passes.claims import claims_of
from dgdr_operator.passes.data_plane_observer import DataPlaneObserver
from dgdr_operator.passes.failures import lasting
from dgdr_operator.passes.graph_children import Children, ChildWriter
from dgdr_operator.passes.graph_upgrades import Decision, GraphUpgrades
from dgdr_operator.passes.group_observer import GroupObserver
from dgdr_operator.passes.status_of import status_of
from dgdr_operator.settings import Settings

WORKLOADS = (DEPLOYMENT, LEADER_WORKER_SET)

# Events start a pass; these only bound how long a lost one goes unnoticed.
LOOK_AGAIN_S = 15.0
LOOK_AGAIN_WHEN_READY_S = 600.0
# LeaderWorkerSets are not watched: their pods are, which tells of most that happens to them.
LOOK_AGAIN_AT_GROUPS_S = 60.0
# They report a moment after the last event of a pod.
GROUPS_REPORT_S = 1.0
# Garbage collection of an earlier graph of the same name takes about this long.
LEAVING_S = 1.0
# What the API server refuses, or somebody else has, is tried again ever more rarely.
LONGEST_REFUSED_S = 600.0
# Nobody calls the next one when a turn is given back; engines load for longer than this.
LOOK_AGAIN_FOR_TURN_S = 60.0


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
            status = failed_status(str(exc), _generation(dgd), status_of(dgd), now)
            await self._say_failed(dgd, str(exc), status)
            return None
        except Exception as exc:
            # What no step expects, such as a right that is missing, must not stay in a log.
            if (message := lasting(exc)) is not None:
                status = unreconciled_status(message, _generation(dgd), status_of(dgd), now)
                with suppress(ClusterError):  # the first failure is what the log has to tell
                    await self._say_failed(dgd, message, status)
            raise

    async def _reconcile(self, dgd: Manifest, now: datetime) -> float | None:
        old = status_of(dgd)
        graph = decode(dgd)
        if (why := await self._candidates.why_wait(dgd)) is not None:
            decided("HoldBack")
            await self._report(dgd, waiting_status(why, _generation(dgd), old, now))
            return LOOK_AGAIN_S
        owner = owner_reference(dgd)
        groups = await self._groups.has_groups(graph, old)
        plane = replace(self._plane, groups=groups)
        writer = ChildWriter(self._cluster, graph, owner, groups=groups)
        there = await writer.observe()
        both = self._renderings(dgd, graph, there, plane)
        is_up = all(map(is_ready, _workloads_of(there, now)))
        was_seen = old.observed_generation == _generation(dgd)
        pods = await self._group_pods(graph, groups=groups)
        standings = _standings(graph, there, pods, now)
        restart, unread = _restart(graph, standings, old.restart, was_seen)
        async with self._upgrades.alone(both):
            decision = await self._upgrades.decide(dgd, old, both, now, is_up=is_up)
            decided(decision.verdict)
            if writer.lacks(decision.workloads.manifests, there) and await self._is_leaving(dgd):
                return None  # the watch is about to say so
            told = await self._announce(dgd, old, decision, now)
        wanted = with_ids(decision.workloads.manifests, restart.ids, Label.COMPONENT)
        children = await writer.write(wanted, there)
        problems = (*unread, *decision.workloads.problems, *children.problems)
        seen = await self._seen(dgd, graph, children, problems, decision, now)
        status = status_after(replace(seen, restart=restart.status), old, now)
        await self._report(told, status)
        await self._emit(dgd, problems, children.removed_adapters)
        if children.must_wait:
            return _patience_s(status, now, LEAVING_S, LOOK_AGAIN_S)
        if children.problems:
            return _patience_s(status, now, LOOK_AGAIN_S, LONGEST_REFUSED_S)
        after_s = _look_again_s(status, decision.verdict)
        return min(after_s, _groups_again_s(children, pods, now)) if groups else after_s

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
        was_seen = status_of(dgd).observed_generation == _generation(dgd)
        live = [m for kind in WORKLOADS for m in there.ours(kind, owner)]
        pins = pins_of(dgd, graph, live, was_seen)
        return renderings(graph, owner, plane, graph_hash(dgd), pins)

    async def _announce(
        self, dgd: Manifest, old: DGDStatus, decision: Decision, now: datetime
    ) -> Manifest:
        """Say that pods are replaced before the first one is: a turn is had by its record alone.

        Returns the graph as it is then.
        """
        if decision.verdict is Verdict.STUCK and reason_of(dgd) != Verdict.STUCK:
            text = text_of(Verdict.STUCK, ())
            warning = Event(
                about=ref(dgd), reason=Verdict.STUCK, message=text, severity=Severity.WARNING
            )
            await self._cluster.emit(warning)
        if not decision.replaces_pods:
            return dgd
        await self._cluster.emit(
            Event(
                about=ref(dgd),
                reason="PodsUpgraded",
                message=text_of(Verdict.UPGRADING, decision.behind),
                once=f"{decision.handled_at}-{decision.behind}",
            )
        )
        if decision.verdict is Verdict.UPGRADING and reason_of(dgd) != Verdict.UPGRADING:
            return await self._report(dgd, taking_turn(old, decision.behind, now, _generation(dgd)))
        return dgd

    async def _seen(
        self,
        dgd: Manifest,
        graph: Graph,
        children: Children,
        problems: tuple[Problem, ...],
        decision: Decision,
        now: datetime,
    ) -> GraphSeen:
        workloads = _workloads_of(children, now)
        is_up = all(map(is_ready, workloads))
        pods = () if is_up else await self._pods(graph)
        facts = ClusterFacts() if is_up else await self._facts(pods)
        # What standalone mode cannot run is no part of an upgrade.
        is_written = not children.problems and not children.must_wait
        return GraphSeen(
            graph=graph,
            generation=_generation(dgd),
            workloads=workloads,
            pods=pods,
            problems=problems,
            lacks=lacks_of_graph(graph, decision.plane, facts),
            claims=await claims_of(self._cluster, graph),
            upgrade=decision.outcome(status_of(dgd), is_written=is_written, is_up=is_up),
        )

    async def _facts(self, pods: tuple[PodSeen, ...]) -> ClusterFacts:
        """Look at what the cluster has; at its many nodes only when a pod finds none."""
        is_homeless = any(pod.unschedulable is not None for pod in pods)
        nodes = await self._data_plane.nodes() if is_homeless else None
        needs = self._plane.needs_rights and self._is_metadata_ours
        kinds = (WORKER_METADATA,) if needs else ()
        return await self._data_plane.facts(kinds, nodes)

    async def _pods(self, graph: Graph) -> tuple[PodSeen, ...]:
        return pods_seen(await self._cluster.find(POD, graph.namespace, OF_GRAPH, graph.name))

    async def _group_pods(self, graph: Graph, *, groups: bool) -> Manifests:
        """Return the pods, as they are told of, of a graph that may have groups."""
        if not groups:
            return []
        return await self._cluster.find(POD, graph.namespace, OF_GRAPH, graph.name)

    async def _report(self, dgd: Manifest, status: DGDStatus) -> Manifest:
        """Write what differs; returns the graph as it is then."""
        patch = merge_patch(dgd.get("status") or {}, status.to_json())
        if not patch:
            return dgd
        meta = dgd["metadata"]
        try:
            return await self._cluster.patch_status(
                DGD,
                meta["namespace"],
                meta["name"],
                patch,
                FieldManager.OPERATOR,
                meta["resourceVersion"],
            )
        except NotFound:
            return dgd  # deleted during the pass: there is nobody left to tell

    async def _say_failed(self, dgd: Manifest, message: str, status: DGDStatus) -> None:
        await self._emit(dgd, (Problem(component="", message=message),))
        await self._report(dgd, status)

    async def _emit(
        self, dgd: Manifest, problems: tuple[Problem, ...], removed: Iterable[str] = ()
    ) -> None:
        for problem in problems:
            await self._cluster.emit(
                Event(
                    about=ref(dgd),
                    reason="ReconcileFailed",
                    message=str(problem),
                    severity=Severity.WARNING,
                    once=f"generation-{_generation(dgd)}-{problem}",
                )
            )
        for name in removed:
            text = f"Deleted scaling adapter {name}: the component no longer asks for one"
            await self._cluster.emit(Event(about=ref(dgd), reason="AdapterDeleted", message=text))


def _patience_s(status: DGDStatus, now: datetime, least_s: float, most_s: float) -> float:
    """Return how long to wait for what is in the way: ever longer, the longer it lasts."""
    ready = find(status.conditions, READY)
    lasted_s = (now - ready.last_transition_time).total_seconds() if ready else 0.0
    return min(max(lasted_s, least_s), most_s)


def _workloads_of(children: Children, now: datetime) -> tuple[WorkloadSeen, ...]:
    return tuple(workload_seen(one, now) for kind in WORKLOADS for one in children.of(kind))


def _standings(
    graph: Graph, there: Children, pods: Manifests, now: datetime
) -> dict[str, Standing]:
    """Return how the workload of each component stands, of those that have one.

    ``pods`` are those of groups, whose own report may be of earlier ones.
    """
    live = {m["metadata"]["name"]: m for kind in WORKLOADS for m in there.of(kind)}
    found = ((c, live.get(workload_name(graph, c))) for c in graph.components)
    return {
        component.name: _standing(workload, _of_component(pods, component.name), now)
        for component, workload in found
        if workload is not None
    }


def _standing(workload: Manifest, pods: list[Manifest], now: datetime) -> Standing:
    is_up = is_ready(workload_seen(workload, now))
    has_come = workload["kind"] != LEADER_WORKER_SET.kind or have_come(workload, pods)
    return Standing(id=id_of(workload), ready=is_up and has_come)


def _of_component(pods: Manifests, name: str) -> list[Manifest]:
    label = Label.COMPONENT
    return [p for p in pods if (p["metadata"].get("labels") or {}).get(label) == name]


def _groups_again_s(children: Children, pods: Manifests, now: datetime) -> float:
    """Return when to look at groups again: soon where one runs and has not said so yet."""
    for group in children.of(LEADER_WORKER_SET):
        of_group = _of_component(pods, group["metadata"]["labels"].get(Label.COMPONENT, ""))
        if all_run(group, of_group) and not is_ready(workload_seen(group, now)):
            return GROUPS_REPORT_S
    return LOOK_AGAIN_AT_GROUPS_S


def _restart(
    graph: Graph, there: dict[str, Standing], old: RestartStatus | None, was_seen: bool
) -> tuple[Plan, tuple[Problem, ...]]:
    """Plan the restart; one that cannot be read leaves ids as they are, and holds up nothing."""
    try:
        asked = restart_of(graph, old)
    except CodecError as exc:
        unread = Problem(component="", message=str(exc))
        return replace(planned(None, there, old), status=old), (unread,)
    return planned(asked, there, old, was_seen=was_seen), ()


def _look_again_s(status: DGDStatus, verdict: Verdict) -> float:
    if verdict in (Verdict.WAITS_FOR_TURN, Verdict.MEASURED):
        return LOOK_AGAIN_FOR_TURN_S
    return LOOK_AGAIN_WHEN_READY_S if status.state is DgdState.SUCCESSFUL else LOOK_AGAIN_S


def _generation(dgd: Manifest) -> int:
    return int(dgd["metadata"].get("generation", 0))
