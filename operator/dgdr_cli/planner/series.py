"""Selectors of one planner's series in Prometheus: its own, and those of its frontends."""

from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.names import dynamo_namespace
from dgdr_planner.observe.queries import GRAPH, Template, selector
from dgdr_planner.observe.snapshot import spellings

OWN = Template("own", 'target_namespace="{namespace}",planner="{planner}"')


def own(planner: SLAPlanner) -> str:
    """Select what the planner shows of itself."""
    namespace = planner.metadata.namespace or "default"
    return selector(OWN.render(namespace=namespace, planner=planner.metadata.name))


def frontends(planner: SLAPlanner) -> str:
    """Select what the frontends of its target show."""
    namespace = planner.metadata.namespace or "default"
    graph = dynamo_namespace(namespace, planner.spec.target_ref.name)
    return selector(GRAPH.render(namespace=namespace, spellings=spellings(graph)))
