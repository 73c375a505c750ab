"""What becomes of the kinds when nobody converts any more: one version, without conversion.

And back: an installation of the same name finds the mark that the one before it left. Helm does not
put conversion back, because it compares the CRD that it renders with the one that it rendered.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from dgdr_api.crd import CONVERT_PATH
from dgdr_webhooks.core.trust import BUNDLE, Place, encoded

Json = Mapping[str, Any]

TAKEN_OUT = "dgdr.dev/conversion-taken-out"
"""Annotation of a CRD: namespace and name of the Service that converted, and whom it trusted."""


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
    client = _client(crd)
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
    patch = {"spec": {"conversion": {"strategy": "None", "webhook": None}, "versions": versions}}
    # Without a bundle nobody could tell the pods that still run from those of the next install.
    if not (client.get("service") and client.get(BUNDLE)):
        return patch
    return {**patch, "metadata": {"annotations": {TAKEN_OUT: _mark(place, client[BUNDLE])}}}


def comeback(crd: Json, place: Place, authorities: str | None) -> dict[str, Any] | None:
    """Return the merge patch that has us convert again; None where it was not we who left.

    Pods that still run while they are uninstalled have the authority of the mark, and put nothing
    back; the next installation makes one of its own. Without ``authorities`` somebody else writes
    whom to trust, and the caller knows that it is a new installation.
    """
    mark = ((crd.get("metadata") or {}).get("annotations") or {}).get(TAKEN_OUT)
    bundle, client = None if authorities is None else encoded(authorities), _client(crd)
    owner = f"{place.namespace}/{place.service}/"
    if (
        not isinstance(mark, str)
        or not mark.startswith(owner)
        or (bundle is not None and mark == _mark(place, bundle))
    ):
        return None
    if client is not None and not place.is_meant_by(client):
        return None
    service = {"namespace": place.namespace, "name": place.service, "path": CONVERT_PATH}
    webhook = {
        "clientConfig": {"service": service} | ({BUNDLE: bundle} if bundle else {}),
        "conversionReviewVersions": ["v1"],
    }
    return {
        "metadata": {"annotations": {TAKEN_OUT: None}},
        "spec": {
            "conversion": {"strategy": "Webhook", "webhook": webhook},
            "versions": [{**one, "served": True} for one in crd["spec"]["versions"]],
        },
    }


def stranger(crd: Json, place: Place) -> str | None:
    """Return the Service or URL that converts in our place; None where it is we, or nobody."""
    client = _client(crd)
    if client is None or place.is_meant_by(client):
        return None
    service = client.get("service")
    if not isinstance(service, Mapping):
        return str(client.get("url"))
    return f"Service {service.get('namespace')}/{service.get('name')}"


def _client(crd: Json) -> Any:
    conversion = (crd.get("spec") or {}).get("conversion") or {}
    return (conversion.get("webhook") or {}).get("clientConfig")


def _mark(place: Place, bundle: str) -> str:
    return f"{place.namespace}/{place.service}/{hashlib.sha256(bundle.encode()).hexdigest()[:16]}"
