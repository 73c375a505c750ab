"""Keeps the Secret with the certificates, and has API servers trust them."""

import base64
import logging
from collections.abc import Callable
from datetime import datetime

from dgdr_api.catalog import CRDS
from dgdr_kube.errors import ClusterError, NotFound
from dgdr_kube.kinds import CRD, MUTATING_WEBHOOKS, SECRET, VALIDATING_WEBHOOKS, Kind
from dgdr_kube.ports import Cluster, Manifest
from dgdr_webhooks.core.certificates import Certificates, renewed
from dgdr_webhooks.core.farewell import comeback, stranger
from dgdr_webhooks.core.trust import Place, trust_of_configuration, trust_of_crd
from dgdr_webhooks.settings import Webhooks

log = logging.getLogger(__name__)

MANAGER = "dgdr-webhooks"
CONVERTED = tuple(crd.name for crd in CRDS if len(crd.versions) > 1)
_KEYS = {
    "ca.crt": "authorities",
    "ca.key": "authority_key",
    "tls.crt": "chain",
    "tls.key": "key",
}

Patch = Callable[[Manifest, Place, str], Manifest | None]


class NoCertificate(Exception):
    """There is nothing to serve with; the text says what has to be there."""


class Authority:
    """The certificates of one installation; each pod tends them, and who writes first wins."""

    def __init__(self, cluster: Cluster, settings: Webhooks) -> None:
        self._cluster = cluster
        self._settings = settings
        self._strangers: set[str] = set()
        self._place = Place(
            namespace=settings.namespace, service=settings.service, hosts=settings.hosts
        )

    async def tend(self, now: datetime) -> Certificates:
        """Renew what is due and return what is to be served now.

        Raises:
            ClusterError: the API server did not answer, or another pod was faster: again later.
            NoCertificate: somebody else has to make it and has not.
        """
        own, name = self._settings.certificate, self._settings.certificate.secret
        secret = await self._cluster.get(SECRET, self._settings.namespace, name)
        if secret is None:
            raise NoCertificate(f"Secret {self._settings.namespace}/{name} is not there")
        found = _read(secret)
        if not own.managed:
            if found is None or not (found.chain and found.key):
                raise NoCertificate(f"Secret {self._settings.namespace}/{name} has no tls.crt")
            return found
        wanted = renewed(found, self._settings.terms(), now)
        if wanted != found:
            version = secret["metadata"]["resourceVersion"]
            data = {"data": written(wanted)}
            await self._cluster.patch(
                SECRET, self._settings.namespace, name, data, MANAGER, version
            )
            log.info("Certificate made; it ends at %s", wanted.ends())
        await self._announce(wanted.authorities)
        return wanted

    async def _announce(self, authorities: str) -> None:
        """Write whom to trust; what cannot be written now is tried again at the next check."""
        for name in CONVERTED:
            await self._trust(CRD, name, self._of_crd, authorities)
        for kind in (VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS):
            configuration = self._settings.configuration
            await self._trust(kind, configuration, trust_of_configuration, authorities)

    def _of_crd(self, crd: Manifest, place: Place, authorities: str) -> Manifest | None:
        name, other = crd["metadata"]["name"], stranger(crd, place)
        if other is not None and name not in self._strangers:
            self._strangers.add(name)
            log.warning(
                "CustomResourceDefinition %s is converted by %s, not by Service %s/%s of this "
                "installation; apply the CRDs of its chart: helm template -s templates/crds.yaml",
                *(name, other, place.namespace, place.service),
            )
        return comeback(crd, place, authorities) or trust_of_crd(crd, place, authorities)

    async def _trust(self, kind: Kind, name: str, patch: Patch, authorities: str) -> None:
        try:
            found = await self._cluster.get(kind, None, name)
            change = patch(found, self._place, authorities) if found else None
            if found and change:
                version = found["metadata"]["resourceVersion"]
                await self._cluster.patch(kind, None, name, change, MANAGER, version)
                log.info("%s %s trusts our authority now", kind.kind, name)
        except NotFound:
            return
        except ClusterError as exc:
            log.warning("%s %s does not trust our authority yet: %s", kind.kind, name, exc)


def _read(secret: Manifest) -> Certificates | None:
    data = secret.get("data") or {}
    try:
        texts = {field: base64.b64decode(data.get(k, "")).decode() for k, field in _KEYS.items()}
    except ValueError:
        return None
    # An authority without a certificate still issues one that everybody trusts.
    return Certificates(**texts) if any(texts.values()) else None


def written(made: Certificates) -> dict[str, str]:
    """Return what the Secret holds of them."""
    fields = {key: getattr(made, field) for key, field in _KEYS.items()}
    return {key: base64.b64encode(text.encode()).decode() for key, text in fields.items()}
