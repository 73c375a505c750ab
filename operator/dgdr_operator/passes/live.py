"""An object as the API server has it, and what is wanted applied over it."""

from dgdr_api.names import FieldManager
from dgdr_kube.kinds import kind_of
from dgdr_kube.manifests import over, version_of
from dgdr_kube.ports import Cluster, Manifest

MANAGER = FieldManager.OPERATOR.value


async def get_live(cluster: Cluster, manifest: Manifest) -> Manifest | None:
    """Read the object of a manifest's kind and name; None when it is not there."""
    meta = manifest["metadata"]
    return await cluster.get(kind_of(manifest), meta["namespace"], meta["name"])


async def apply_over(cluster: Cluster, wanted: Manifest, live: Manifest | None) -> Manifest:
    """Apply what is wanted, if nobody wrote since ``live`` was read."""
    version = version_of(live)
    return await cluster.apply(over(wanted, live), MANAGER, resource_version=version)
