"""An object as the API server has it, and what is written over it if nobody wrote since."""

from dgdr_api.names import FieldManager
from dgdr_kube.errors import NotFound
from dgdr_kube.kinds import Kind, kind_of
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


async def patch_status(
    cluster: Cluster, kind: Kind, live: Manifest, patch: Manifest
) -> Manifest | None:
    """Patch the status; returns the object as it is then.

    None: it was deleted meanwhile, so there is nobody left to tell.
    """
    if not patch:
        return live
    meta = live["metadata"]
    where = meta["namespace"], meta["name"]
    try:
        return await cluster.patch_status(kind, *where, patch, MANAGER, meta["resourceVersion"])
    except NotFound:
        return None
