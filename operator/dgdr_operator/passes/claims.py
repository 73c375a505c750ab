"""Looks up how many GPUs the resource claims of a graph hand out."""

from collections.abc import Iterable

from dgdr_api.gpus import Claims, claim_sources, claimed_gpus
from dgdr_api.graph import Graph
from dgdr_kube.errors import NotServed, Rejected
from dgdr_kube.kinds import RESOURCE_CLAIM_TEMPLATES, RESOURCE_CLAIMS, Kind
from dgdr_kube.ports import Cluster, Manifest


async def claims_of(cluster: Cluster, graph: Graph) -> Claims:
    """Return the GPUs by claim; one that is not there, or does not say, is not among them.

    Raises:
        ClusterError: nobody can tell now; what was known stays true.
    """
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
    manifest = await _served(
        cluster, RESOURCE_CLAIM_TEMPLATES if is_template else RESOURCE_CLAIMS, namespace, name
    )
    spec = (manifest or {}).get("spec") or {}
    return spec.get("spec") if is_template else spec or None


async def _served(
    cluster: Cluster, versions: Iterable[Kind], namespace: str | None, name: str
) -> Manifest | None:
    """Read an object in the newest version that is served; None without the right to."""
    for kind in versions:
        try:
            return await cluster.get(kind, namespace, name)
        except NotServed:
            continue
        except Rejected:
            return None
    return None
