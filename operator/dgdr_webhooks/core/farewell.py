"""What becomes of the kinds when nobody converts any more: one version, without conversion."""

from collections.abc import Mapping
from typing import Any

from dgdr_webhooks.core.trust import Place

Json = Mapping[str, Any]


class StillStored(ValueError):
    """Objects of an old version may be stored; the text says how to be rid of them."""


def farewell(crd: Json, place: Place) -> dict[str, Any] | None:
    """Return the merge patch that takes our webhook out of a CRD; None where it is not in there.

    The version that is stored stays. The others would be shown as what they are not, so they are
    served no longer.

    Raises:
        StillStored: without conversion nobody could read some of its objects.
    """
    spec = crd["spec"]
    client = ((spec.get("conversion") or {}).get("webhook") or {}).get("clientConfig")
    if not place.is_meant_by(client):
        return None
    stored = next(one["name"] for one in spec["versions"] if one["storage"])
    old = sorted(set((crd.get("status") or {}).get("storedVersions") or ()) - {stored})
    if old:
        raise StillStored(
            f"{crd['metadata']['name']}: objects may still be stored as {', '.join(old)}; write "
            f"each of them once (kubectl get and replace), take {', '.join(old)} out of the CRD's "
            "status.storedVersions, and uninstall again"
        )
    versions = [{**one, "served": one["served"] and one["storage"]} for one in spec["versions"]]
    return {"spec": {"conversion": {"strategy": "None", "webhook": None}, "versions": versions}}
