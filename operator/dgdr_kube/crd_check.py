"""Whether the kinds that a controller needs are there, and are ours to reconcile."""

import asyncio
from collections.abc import Iterable

from dgdr_kube.errors import Rejected
from dgdr_kube.kinds import CRD, Kind
from dgdr_kube.ports import Cluster, Manifest

PART_OF = "app.kubernetes.io/part-of"
PART_OF_VALUE = "dgdr-operator"
WAIT_S = 60.0
_POLL_S = 1.0


class StartRefused(Exception):
    """The controller must not start; the text says why, and what to do."""


def crd_name(kind: Kind) -> str:
    """Return the name of the kind's CustomResourceDefinition."""
    return f"{kind.plural}.{kind.group}"


def is_ours(crd: Manifest) -> bool:
    """Whether this product installed the CRD; another operator reconciles its own."""
    labels = crd["metadata"].get("labels") or {}
    return bool(labels.get(PART_OF) == PART_OF_VALUE)


def is_served(crd: Manifest, kind: Kind) -> bool:
    """Whether the API server answers for the kind in our version."""
    conditions = (crd.get("status") or {}).get("conditions") or ()
    established = any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
    versions = (crd.get("spec") or {}).get("versions") or ()
    return established and any(v["name"] == kind.version and v.get("served") for v in versions)


async def require_crds(
    cluster: Cluster, kinds: Iterable[Kind], *, wait_s: float = WAIT_S, own: bool = True
) -> None:
    """Wait until the kinds are served: a chart installs CRDs and controllers together.

    Raises:
        StartRefused: one is missing after ``wait_s``, or, with ``own``, is somebody else's.
    """
    left = list(kinds)
    while why := await _why_not(cluster, left, own):
        if wait_s <= 0:
            raise StartRefused(why)
        await asyncio.sleep(min(_POLL_S, wait_s))
        wait_s -= _POLL_S


async def _why_not(cluster: Cluster, left: list[Kind], own: bool) -> str | None:
    """Return why the controller cannot start now; ``left`` shrinks to what is not there yet.

    A right may come as late as a CRD: a chart installs both beside the controller.
    """
    try:
        left[:] = [kind for kind in left if not await _is_there(cluster, kind, own)]
    except Rejected as exc:
        return f"cannot read CustomResourceDefinitions: {exc.message}"
    if not left:
        return None
    listed = ", ".join(crd_name(kind) for kind in left)
    return (
        f"CustomResourceDefinitions are missing or not served: {listed}; install the chart with "
        "crds.install=true, or apply crds/"
        if own
        else f"CustomResourceDefinitions are missing or not served: {listed}; in this mode they "
        "are NVIDIA's: install its operator, in a release that serves them in v1beta1"
    )


async def _is_there(cluster: Cluster, kind: Kind, own: bool) -> bool:
    crd = await cluster.get(CRD, None, crd_name(kind))
    if crd is None:
        return False
    if own and not is_ours(crd):
        raise StartRefused(
            f"CustomResourceDefinition {crd_name(kind)} belongs to somebody else (label {PART_OF} "
            f"is not {PART_OF_VALUE}), and in this mode it has to be ours: set the chart's mode to "
            "Beside or Takeover, or uninstall the other operator together with its CRDs first"
        )
    return is_served(crd, kind)
