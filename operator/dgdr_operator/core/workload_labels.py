"""Labels of what a graph becomes; selectors, dashboards and Dynamo's discovery rely on them."""

from dgdr_api.graph import Component, Graph, Role
from dgdr_api.names import (
    MANAGED_BY_VALUE,
    SHARED_DYNAMO_NAMESPACE,
    Annotation,
    Label,
    component_name,
    dynamo_namespace,
)

Labels = dict[str, str]

DISCOVERY_LABELS: Labels = {
    Label.DISCOVERY_BACKEND: "kubernetes",
    Label.DISCOVERY_ENABLED: "true",
}


def selector_labels(graph: Graph, component: Component) -> Labels:
    """The one label by which Deployment and Service find their pods.

    A Deployment's selector can never change, so it must hold nothing that an edit changes.
    """
    return {Label.SELECTOR: component_name(graph.name, component.name)}


def graph_labels(graph: Graph) -> Labels:
    """Labels of everything that belongs to the graph; pruning lists by them."""
    return {Label.MANAGED_BY: MANAGED_BY_VALUE, Label.GRAPH: graph.name}


def runtime_namespace(graph: Graph, component: Component) -> str:
    """Return the Dynamo namespace in which a component registers."""
    if component.extra.get("globalDynamoNamespace") is True:
        return SHARED_DYNAMO_NAMESPACE
    return dynamo_namespace(graph.namespace or "default", graph.name)


def component_labels(graph: Graph, component: Component) -> Labels:
    """Labels of a component's Deployment, Service, pods and scaling adapter."""
    namespace = runtime_namespace(graph, component)
    return {
        **graph_labels(graph),
        **selector_labels(graph, component),
        Label.DYNAMO_NAMESPACE: namespace[:63].rstrip("-."),
        Label.COMPONENT: component.name,
        **({Label.COMPONENT_TYPE: component.role} if component.role is not Role.NONE else {}),
        **_worker_labels(component.role),
    }


def pod_labels(graph: Graph, component: Component) -> Labels:
    """Labels of a component's pods: the user's, then ours, by which selectors find them."""
    metrics = "false" if _metrics_are_off(graph) else "true"
    return {
        **graph.pod_labels,
        **component.labels,
        **component_labels(graph, component),
        Label.METRICS_ENABLED: metrics,
        **_run_labels(graph),
    }


def _run_labels(graph: Graph) -> Labels:
    """Say of which profiling run the pods are, for as long as one of them holds a GPU."""
    run = graph.labels.get(Label.RUN)
    return {} if run is None else {Label.RUN: run}


def _metrics_are_off(graph: Graph) -> bool:
    return graph.annotations.get(Annotation.ENABLE_METRICS, "").lower() == "false"


def _worker_labels(role: Role) -> Labels:
    if not role.serves_model:
        return {}
    split = role in (Role.PREFILL, Role.DECODE)
    return {
        Label.COMPONENT_CLASS: "worker",
        **({Label.SUB_COMPONENT_TYPE: str(role)} if split else {}),
    }
