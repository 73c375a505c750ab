"""What a graph, or a request, needs and the installation or the cluster has not.

Only what can be seen is said: settings, manifests, kinds, nodes. A server that is named but does
not answer is for its clients to report. What could not be looked at counts as there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dgdr_api.conditions import condition, find, with_condition
from dgdr_api.effective import EffectiveSpec
from dgdr_api.gpus import plugged_gpus
from dgdr_api.graph import Component, Graph, Role
from dgdr_api.models.base import Conditions
from dgdr_api.planner_config import FIELD as PLANNER_FIELD
from dgdr_api.planner_config import parse_planner_config
from dgdr_api.pods import GPU
from dgdr_api.releases import Feature, release_of
from dgdr_operator.core.data_plane import DataPlane
from dgdr_operator.core.discovery_rbac import GLOBAL_PLANNER
from dgdr_operator.core.environment import environment

DATA_PLANE_READY = "DataPlaneReady"
# Their first releases ask for NATS whatever the planes say; real engines never did.
_WITHOUT_NATS = {
    "dynamo.mocker": Feature.MOCKER_WITHOUT_NATS,
    "dynamo.planner": Feature.PLANNER_WITHOUT_NATS,
    GLOBAL_PLANNER: Feature.PLANNER_WITHOUT_NATS,
}


class LackReason(StrEnum):
    """What is lacking, as one word."""

    CRDS_MISSING = "CrdsMissing"
    CRDS_FOREIGN = "CrdsForeign"
    NATS = "NatsNotConfigured"
    ETCD = "EtcdNotConfigured"
    GPUS = "GpusNotAllocatable"
    PROMETHEUS = "PrometheusNotConfigured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """One thing that is lacking, and what cures it."""

    reason: LackReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """What the cluster was seen to have; None: nobody looked, or was allowed to."""

    crds_missing: tuple[str, ...] = ()
    crds_foreign: tuple[str, ...] = ()
    gpus_by_node: tuple[int, ...] | None = None


def lacks_of_graph(graph: Graph, plane: DataPlane, facts: ClusterFacts) -> tuple[Lack, ...]:
    """Return what the components of a graph need and have not."""
    of_components = (lack for c in graph.components for lack in _of_component(graph, c, plane))
    return (*_of_crds(facts), *of_components, *_too_few_gpus(graph, facts.gpus_by_node))


def lacks_of_request(
    wanted: EffectiveSpec, prometheus_url: str, facts: ClusterFacts
) -> tuple[Lack, ...]:
    """Return what a request will need and has not, known before hours of profiling."""
    return (*_of_crds(facts), *_no_gpus(facts.gpus_by_node), *_of_planner(wanted, prometheus_url))


def with_lacks(
    conditions: Conditions, lacks: tuple[Lack, ...], now: datetime, generation: int
) -> Conditions:
    """Return the conditions with what is lacking; nothing is said where nothing ever was."""
    if not lacks and find(conditions, DATA_PLANE_READY) is None:
        return conditions
    reason = lacks[0].reason if lacks else "Complete"
    text = "; ".join(lack.message for lack in lacks) or "nothing is lacking"
    new = condition(DATA_PLANE_READY, not lacks, reason, text, now, generation)
    return with_condition(conditions, new, now)


def _of_crds(facts: ClusterFacts) -> Iterator[Lack]:
    if facts.crds_missing:
        yield Lack(
            reason=LackReason.CRDS_MISSING,
            message="CustomResourceDefinitions are missing or not served: "
            f"{', '.join(facts.crds_missing)}; install the chart with crds.install=true, or apply "
            "crds/",
        )
    if facts.crds_foreign:
        yield Lack(
            reason=LackReason.CRDS_FOREIGN,
            message="CustomResourceDefinitions belong to another operator: "
            f"{', '.join(facts.crds_foreign)}; two operators would undo each other's work, "
            "uninstall the other one with its CRDs",
        )


def _of_component(graph: Graph, component: Component, plane: DataPlane) -> Iterator[Lack]:
    values = {e["name"]: e.get("value") for e in environment(graph, component, plane)}
    what = f"component {component.name}"

    def is_set(name: str) -> bool:
        # A value from elsewhere, or a whole Secret or ConfigMap, is not looked into.
        return values.get(name, "") != "" or bool(component.env_from)

    wants_nats = "nats" in (values.get("DYN_REQUEST_PLANE"), values.get("DYN_EVENT_PLANE"))
    program = _program_with_nats(component)
    if (wants_nats or program) and not is_set("NATS_SERVER"):
        why = f"runs {program}, which needs it" if program else "asks for it"
        yield Lack(
            reason=LackReason.NATS,
            message=f"{what} has no NATS server and {why}; set the chart's dataPlane.natsUrl, or "
            "NATS_SERVER in its env",
        )
    if values.get("DYN_DISCOVERY_BACKEND") == "etcd" and not is_set("ETCD_ENDPOINTS"):
        yield Lack(
            reason=LackReason.ETCD,
            message=f"{what} has no etcd and asks for it; set the chart's "
            "dataPlane.etcdEndpoints, or ETCD_ENDPOINTS in its env",
        )
    if component.role is Role.PLANNER and not is_set("PROMETHEUS_ENDPOINT"):
        yield Lack(
            reason=LackReason.PROMETHEUS,
            message=f"{what} has no Prometheus to ask; set the chart's prometheus.url, or "
            "PROMETHEUS_ENDPOINT in its env",
        )


def _program_with_nats(component: Component) -> str | None:
    """Return which of Dynamo's programs a component runs that starts with a server only."""
    line = " ".join((*component.command, *component.args))
    release = release_of(component.extra.get("runtimeVersionOverride"), component.image)
    return next(
        (name for name, cure in _WITHOUT_NATS.items() if name in line and not release.has(cure)),
        None,
    )


def _too_few_gpus(graph: Graph, gpus_by_node: Iterable[int] | None) -> Iterator[Lack]:
    """Compare the largest pod with the largest node: what is free is for the scheduler to say."""
    largest = max(graph.components, key=plugged_gpus, default=None)
    if gpus_by_node is None or largest is None:
        return
    most = max(gpus_by_node, default=0)
    if (needs := plugged_gpus(largest)) > most:
        has = f"the largest node has {most}" if most else "no node has any"
        yield Lack(
            reason=LackReason.GPUS,
            message=f"a pod of component {largest.name} needs {needs} {GPU} and {has} "
            "allocatable; add such a node, or look at its device plug-in",
        )


def _no_gpus(gpus_by_node: Iterable[int] | None) -> Iterator[Lack]:
    if gpus_by_node is not None and not any(gpus_by_node):
        yield Lack(
            reason=LackReason.GPUS,
            message=f"no node has {GPU} allocatable, so candidates have to wait for a node; add "
            "one, or look at the device plug-in",
        )


def _of_planner(wanted: EffectiveSpec, prometheus_url: str) -> Iterator[Lack]:
    if wanted.planner is None or prometheus_url:
        return
    if parse_planner_config(wanted.planner).keys.metric_pulling_prometheus_endpoint:
        return
    yield Lack(
        reason=LackReason.PROMETHEUS,
        message="spec.features.planner asks for a planner, which will hold for want of a "
        "Prometheus; set the chart's prometheus.url, or "
        f"{PLANNER_FIELD}.metric_pulling_prometheus_endpoint",
    )
