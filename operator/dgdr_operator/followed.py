"""What the operator follows: of which kinds, with which labels, filed under what.

The API server sends what carries these labels, and nothing else, of kinds that others use too.
"""

from collections.abc import Iterable
from dataclasses import replace

from dgdr_api.names import NAMESPACE_SCOPE_LEASE, Label
from dgdr_kube.index import Index, labelled
from dgdr_kube.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    DGD,
    DGDR,
    DGDSA,
    JOB,
    LEASE,
    NODE,
    POD,
    PROFILING_POLICY,
    PVC,
    ROLE,
    ROLE_BINDING,
    SERVICE,
    SERVICE_ACCOUNT,
    SLA_PLANNER,
    Kind,
)
from dgdr_kube.kopf_feed import Collection
from dgdr_kube.ports import Manifest
from dgdr_kube.served import Mode
from dgdr_operator.core import kept, routing
from dgdr_operator.core.upgrades import LOST_TURN, Verdict, reason_of

OF_GRAPH = labelled(Label.GRAPH.value)
OF_RUN = labelled(Label.RUN.value)
OF_JOB = labelled(Label.JOB_DGDR.value)
CHILDREN = (DEPLOYMENT, SERVICE, ROLE_BINDING, ROLE, SERVICE_ACCOUNT)
"""Kinds that a graph is made of; its adapters are watched whoever made them."""


def _graphs_of_adapter(adapter: Manifest) -> Iterable[str]:
    return (key.name for key in routing.graph_of_adapter(adapter))


def _candidates(graph: Manifest) -> Iterable[str]:
    return ("",) if Label.RUN.value in (graph["metadata"].get("labels") or {}) else ()


def _with_gpus(node: Manifest) -> Iterable[str]:
    return ("",) if kept.has_gpus(node) else ()


def _upgrades(graph: Manifest) -> Iterable[str]:
    reason = reason_of(graph)
    return (reason,) if reason in (Verdict.UPGRADING, *LOST_TURN) else ()


ADAPTERS_OF_GRAPH = Index("dgdRef", _graphs_of_adapter)
CANDIDATES = Index("candidates", _candidates)
"""Under the empty value: every graph that a profiling run has made."""
GPU_NODES = Index("gpus", _with_gpus)
"""Under the empty value: every node that reports GPUs; the others decide nothing."""
UPGRADES = Index("upgrades", _upgrades)
"""Graphs that are being upgraded, and those that did not come back, by the reason of UpToDate."""


def _child(kind: Kind) -> Collection:
    return Collection(
        kind=kind, label=Label.GRAPH.value, kept=kept.without_history, indices=(OF_GRAPH,)
    )


def collections(mode: Mode) -> tuple[Collection, ...]:
    """Return what is followed: where NVIDIA's operator makes the workloads, none of that."""
    if mode is not Mode.BESIDE:
        return COLLECTIONS
    return tuple(one for one in COLLECTIONS if one.kind not in (DGDSA, LEASE, *CHILDREN))


COLLECTIONS = (
    Collection(kind=DGDR, kept=kept.without_history, tells_first=True),
    Collection(
        kind=DGD,
        kept=kept.without_history,
        indices=(OF_RUN, CANDIDATES, UPGRADES),
        tells_first=True,
    ),
    Collection(
        kind=DGDSA,
        kept=kept.without_history,
        indices=(ADAPTERS_OF_GRAPH, OF_GRAPH),
        tells_first=True,
    ),
    Collection(kind=JOB, label=Label.JOB_DGDR.value, kept=kept.without_history),
    Collection(
        kind=CONFIG_MAP,
        label=Label.DGDR_NAME.value,
        # Measured points come by the hundred, and only the profiler reads them.
        unless=Label.RECORDS.value,
        kept=kept.of_config_map,
    ),
    *(_child(kind) for kind in CHILDREN),
    Collection(kind=POD, label=Label.GRAPH.value, kept=kept.of_pod, indices=(OF_GRAPH,)),
    Collection(kind=POD, label=Label.JOB_DGDR.value, kept=kept.of_pod, indices=(OF_JOB,)),
    Collection(kind=PROFILING_POLICY, kept=kept.without_history),
    Collection(kind=SLA_PLANNER, kept=kept.only_metadata),
    Collection(kind=PVC, kept=kept.only_name),
    # Whose a namespace is. Without the right to read it only Deployments show a second owner.
    Collection(
        kind=replace(LEASE, named=NAMESPACE_SCOPE_LEASE),
        kept=kept.without_history,
        needed=False,
    ),
    # Who may not read nodes has to say the GPUs himself: a smaller installation, and a whole one.
    # A request looks at all of them at once: to unpack 5,000 takes 0.1 s.
    Collection(kind=NODE, kept=kept.of_node, indices=(GPU_NODES,), needed=False, packed=False),
)
