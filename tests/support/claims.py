"""Templates of resource claims, as DRA drivers' users write them."""

from typing import Any


def claim_template(
    name: str, device_class: str, count: int = 1, version: str = "v1", **more: Any
) -> dict[str, Any]:
    """Return a template of namespace ``ns`` whose claims ask for so many devices of a class."""
    asked = {"deviceClassName": device_class, "count": count, **more}
    request = {"name": "device", **(asked if version == "v1beta1" else {"exactly": asked})}
    return {
        "apiVersion": f"resource.k8s.io/{version}",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": name, "namespace": "ns"},
        "spec": {"spec": {"devices": {"requests": [request]}}},
    }
