"""The target in a cluster: read its graph and adapters, write numbers."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from dgdr_api.graph import Role
from dgdr_api.names import FieldManager, Label, component_name
from dgdr_kube.errors import ClusterError, Conflict, NotFound
from dgdr_kube.kinds import DGD, DGDSA, POD
from dgdr_kube.ports import Manifest, WatchedCluster
from dgdr_planner.observe.observation import TargetSeen
from dgdr_planner.observe.target import ABSENT, adapter_names, replicas_of, target_of, with_replicas
from dgdr_planner.observe.value import Trouble
from dgdr_planner.plan import RolePlan
from dgdr_planner.tell.status import Done

log = logging.getLogger(__name__)


Versions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read of one version of a deployment and its adapters."""

    versions: Versions
    roles: tuple[Role, ...]
    found: TargetSeen | Trouble


class ClusterTargets:
    """Implements ``ports.Targets`` for DynamoGraphDeployments."""

    def __init__(self, cluster: WatchedCluster) -> None:
        self._cluster = cluster
        self._known: dict[tuple[str, str], _Known] = {}

    async def observe(
        self,
        namespace: str,
        name: str,
        roles: tuple[Role, ...],
        *,
        with_pods: bool = False,
        certain: bool = False,
    ) -> TargetSeen | Trouble:
        """Return the replicas of these roles; ``certain`` as they are now, not as watched."""
        read = self._cluster.get if certain else self._cluster.look
        dgd = await read(DGD, namespace, name) or await self._cluster.get(DGD, namespace, name)
        if dgd is None:
            self._known.pop((namespace, name), None)
            text = (
                f"there is no DynamoGraphDeployment {name} in namespace {namespace}; create it, or "
                "change spec.targetRef"
            )
            return Trouble(ABSENT, text)
        names = adapter_names(dgd, roles)
        found = [(own, await read(DGDSA, namespace, own)) for own in names]
        adapters = {own: one for own, one in found if one is not None}
        pods = None
        if with_pods:
            pods = await self._cluster.list(POD, namespace, {Label.GRAPH: name})
            return target_of(dgd, adapters, roles, pods)
        return self._read(dgd, adapters, roles)

    def forget(self, namespace: str, name: str) -> None:
        """Drop what was read of a deployment that nobody scales any more."""
        self._known.pop((namespace, name), None)

    def _read(
        self, dgd: Manifest, adapters: dict[str, Manifest], roles: tuple[Role, ...]
    ) -> TargetSeen | Trouble:
        """Read a deployment whose pods nobody looked at, once for each version of it."""
        meta = dgd["metadata"]
        key, versions = (meta["namespace"], meta["name"]), _versions(dgd, *adapters.values())
        known = self._known.get(key)
        if known is None or known.versions != versions or known.roles != roles:
            known = _Known(versions, roles, target_of(dgd, adapters, roles))
            self._known[key] = known
        return known.found

    async def scale(self, target: TargetSeen, changes: Sequence[RolePlan]) -> Done:
        """Write the adapters' scale subresource; the deployment itself where there is none."""
        # More first: capacity that is missing hurts, capacity that is left over only costs.
        ordered = sorted(changes, key=lambda change: change.current - change.replicas)
        written: set[Role] = set()
        rest: list[RolePlan] = []
        try:
            for change in ordered:
                if await self._scale_adapter(target, change):
                    written.add(change.seen.role)
                else:
                    rest.append(change)
            if rest:
                await self._patch_target(target, rest)
                written |= {change.seen.role for change in rest}
        except Conflict as exc:
            log.info("%s/%s changed meanwhile: %s", target.namespace, target.name, exc)
            return Done(roles=frozenset(written), outdated=True)
        except ClusterError as exc:
            trouble = Trouble("ScaleFailed", f"the replicas could not be written: {exc}")
            return Done(roles=frozenset(written), trouble=trouble)
        return Done(roles=frozenset(written))

    async def _scale_adapter(self, target: TargetSeen, change: RolePlan) -> bool:
        """Write one adapter; False when there is none."""
        if change.seen.adapter_version is None:
            return False
        adapter = component_name(target.name, change.seen.component)
        try:
            await self._cluster.scale(
                DGDSA,
                target.namespace,
                adapter,
                change.replicas,
                FieldManager.PLANNER,
                change.seen.adapter_version,
            )
        except NotFound:
            return False
        return True

    async def _patch_target(self, target: TargetSeen, changes: Sequence[RolePlan]) -> None:
        """Write the deployment's own replicas, all in one patch.

        A merge patch replaces the list of components, so it carries the version that it was made
        from.
        """
        dgd = await self._cluster.get(DGD, target.namespace, target.name)
        if dgd is None:
            raise NotFound(f"DynamoGraphDeployment {target.name} is gone")
        replicas = {change.seen.component: change.replicas for change in changes}
        expected = {change.seen.component: change.seen.replicas for change in changes}
        if replicas_of(dgd, expected) != expected:
            raise Conflict(f"somebody else changed the replicas of {target.name}")
        components = with_replicas(dgd, replicas)
        await self._cluster.patch(
            DGD,
            target.namespace,
            target.name,
            {"spec": {"components": components}},
            FieldManager.PLANNER,
            dgd["metadata"]["resourceVersion"],
        )


def _versions(*manifests: Manifest) -> Versions:
    metas = [manifest["metadata"] for manifest in manifests]
    return tuple((str(meta.get("uid")), str(meta.get("resourceVersion"))) for meta in metas)
