"""Whom the API server trusts: ``caBundle`` in CRDs and webhook configurations, as a patch."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

BUNDLE = "caBundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where our webhooks are called: by a Service, or by hosts of a URL."""

    namespace: str
    service: str
    hosts: tuple[str, ...] = ()

    def is_meant_by(self, client: Any) -> bool:
        """Whether a ``clientConfig`` calls us."""
        if not isinstance(client, Mapping):
            return False
        url, service = client.get("url"), client.get("service")
        if isinstance(url, str):
            return any(url.startswith(f"https://{host}:") for host in self.hosts)
        if not isinstance(service, Mapping):
            return False
        return (service.get("namespace"), service.get("name")) == (self.namespace, self.service)


def trust_of_crd(crd: Json, place: Place, authorities: str) -> dict[str, Any] | None:
    """Return the patch that has a CRD's conversion trust us; None: it does, or is not ours."""
    conversion = (crd.get("spec") or {}).get("conversion") or {}
    client = (conversion.get("webhook") or {}).get("clientConfig")
    bundle = encoded(authorities)
    if client is None or not place.is_meant_by(client) or client.get(BUNDLE) == bundle:
        return None
    return {"spec": {"conversion": {"webhook": {"clientConfig": {BUNDLE: bundle}}}}}


def trust_of_configuration(
    configuration: Json, place: Place, authorities: str
) -> dict[str, Any] | None:
    """Return the merge patch that has webhooks trust us; None where there is nothing to change."""
    bundle, webhooks = encoded(authorities), configuration.get("webhooks") or []
    wanted = [
        {**one, "clientConfig": {**one["clientConfig"], BUNDLE: bundle}}
        if place.is_meant_by(one.get("clientConfig"))
        else one
        for one in webhooks
    ]
    return {"webhooks": wanted} if wanted != webhooks else None


def encoded(authorities: str) -> str:
    """Return certificates as ``caBundle`` has them."""
    return base64.b64encode(authorities.encode()).decode()
