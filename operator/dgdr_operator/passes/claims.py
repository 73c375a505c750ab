"""Looks up how many GPUs the resource claims of a graph hand out."""

from dgdr_api.gpus import Claims, claim_sources, claimed_gpus
from dgdr_api.graph import Graph
from dgdr_kube.errors import Rejected, Unreachable
from dgdr_kube.kinds import RESOURCE_CLAIM, RESOURCE_CLAIM_TEMPLATE
from dgdr_kube.ports import Cluster, Manifest


async def claims_of(cluster: Cluster, graph: Graph) -> Claims:
    """Return the GPUs by claim; one that is not there, or does not say, is not among them."""
    sources = {source for component in graph.components for source in claim_sources(component)}
    found: dict[str, int] = {}
    for source in sorted(sources):
        spec = await _spec(cluster, graph.namespace, source)
        gpus = None if spec is None else claimed_gpus(spec)
        if gpus is not None:
            found[source] = gpus
    return found


async def _spec(cluster: Cluster, namespace: str | None, source: str) -> Manifest | None:
    how, _, name = source.partition("/")
    is_template = how == "template"
    kind = RESOURCE_CLAIM_TEMPLATE if is_template else RESOURCE_CLAIM
    try:
        manifest = await cluster.get(kind, namespace, name)
    except (Rejected, Unreachable):  # not allowed, or a cluster that does not serve the kind
        return None
    spec = (manifest or {}).get("spec") or {}
    return spec.get("spec") if is_template else spec or None
