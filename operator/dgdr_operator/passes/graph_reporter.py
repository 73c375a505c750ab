"""What users hear of a graph: its status and its Events."""

from collections.abc import Iterable
from datetime import datetime

from dgdr_api.models.dgd_v1beta1 import DGDStatus
from dgdr_kube.kinds import DGD
from dgdr_kube.manifests import merge_patch, ref
from dgdr_kube.ports import Event, Manifest, Severity, WatchedCluster
from dgdr_operator.core.upgrades import LOST_TURN, Upgrade, Verdict, reason_of, taking_turn, text_of
from dgdr_operator.core.workloads import Problem
from dgdr_operator.passes.graph_upgrades import Decision
from dgdr_operator.passes.live import patch_status


def generation_of(dgd: Manifest) -> int:
    """Return which edit of the spec a graph is at."""
    return int(dgd["metadata"].get("generation", 0))


class GraphReporter:
    """Tells of one graph at a time."""

    def __init__(self, cluster: WatchedCluster) -> None:
        self._cluster = cluster

    async def report(self, dgd: Manifest, status: DGDStatus) -> Manifest:
        """Write what differs; returns the graph as it is then."""
        patch = merge_patch(dgd.get("status") or {}, status.to_json())
        return await patch_status(self._cluster, DGD, dgd, patch) or dgd

    async def say_failed(self, dgd: Manifest, message: str, status: DGDStatus) -> None:
        """Say why nothing could be done, in an Event and in the status."""
        await self.warn(dgd, (Problem(component="", message=message),))
        await self.report(dgd, status)

    async def announce(
        self, dgd: Manifest, old: DGDStatus, decision: Decision, now: datetime
    ) -> Manifest:
        """Say that pods are replaced before the first one is: a turn is had by its record alone.

        Returns the graph as it is then.
        """
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
            return await self.report(
                dgd, taking_turn(old, decision.behind, now, generation_of(dgd))
            )
        return dgd

    async def warn_if_stuck(self, dgd: Manifest, upgrade: Upgrade) -> None:
        """Say that an upgrade has lost its turn, when it does."""
        if upgrade.verdict in LOST_TURN and reason_of(dgd) != upgrade.verdict:
            await self._cluster.emit(
                Event(
                    about=ref(dgd),
                    reason=upgrade.verdict,
                    message=upgrade.message,
                    severity=Severity.WARNING,
                )
            )

    async def warn(self, dgd: Manifest, problems: Iterable[Problem]) -> None:
        """Say once for each generation what is in the way."""
        for problem in problems:
            await self._cluster.emit(
                Event(
                    about=ref(dgd),
                    reason="ReconcileFailed",
                    message=str(problem),
                    severity=Severity.WARNING,
                    once=f"generation-{generation_of(dgd)}-{problem}",
                )
            )

    async def tell_removed(self, dgd: Manifest, adapters: Iterable[str]) -> None:
        """Say which adapters were deleted."""
        for name in adapters:
            text = f"Deleted scaling adapter {name}: the component no longer asks for one"
            await self._cluster.emit(Event(about=ref(dgd), reason="AdapterDeleted", message=text))
