"""How a planner's Prometheus is asked: URL and credentials, read where they are kept.

They are read again for each tick, so that a rotated Secret or file counts at once. A tenant names
objects of its own namespace, never files: files are the installation's. Which Secrets the planner
may read, by name, is a right that the chart grants; without it there is a cause, not a crash.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dgdr_api.models.sla_planner_metrics import PROMETHEUS_URL, PrometheusSource
from dgdr_kube.errors import ClusterError, Rejected
from dgdr_kube.kinds import CONFIG_MAP, SECRET
from dgdr_kube.ports import Cluster
from dgdr_kube.settings import Prometheus
from dgdr_planner.observe.endpoint import RESERVED_PARAMETERS, TIMEOUT_S, Credentials, Endpoint
from dgdr_planner.observe.snapshot import NoSnapshot

TOKEN, CA, CERTIFICATE, KEY = "token", "ca.crt", "tls.crt", "tls.key"


class _Missing(Exception):
    """A credential that is named is not there; the text says which one and the cure."""


class PrometheusEndpoints:
    """Implements ``ports.Endpoints``."""

    def __init__(self, cluster: Cluster, installation: Prometheus) -> None:
        self._cluster = cluster
        self._installation = installation

    async def endpoint(
        self, namespace: str, source: PrometheusSource | None
    ) -> Endpoint | NoSnapshot:
        """Return the planner's own Prometheus, otherwise the installation's."""
        if source is None and not self._installation.url:
            cause = "no Prometheus is named, neither by the installation nor by spec.metrics"
            return NoSnapshot("PrometheusMissing", cause)
        try:
            if source is None and not _has_files(self._installation):
                return _installed(self._installation)
            if source is None:
                return await asyncio.to_thread(_installed, self._installation)
            return await self._own(namespace, source)
        except _Missing as exc:
            return NoSnapshot("PrometheusCredentialsMissing", str(exc))
        except ClusterError as exc:
            cause = f"the credentials of Prometheus cannot be read: {type(exc).__name__}"
            return NoSnapshot("PrometheusCredentialsMissing", cause)

    async def _own(self, namespace: str, source: PrometheusSource) -> Endpoint | NoSnapshot:
        if not re.fullmatch(PROMETHEUS_URL, source.url):
            # An object from before the CRD refused it.
            cause = "spec.metrics.prometheus.url has a user, a query or a fragment; leave them out"
            return NoSnapshot("PrometheusUrlRefused", cause)
        return Endpoint(
            url=source.url,
            parameters=_parameters(source.parameters or {}),
            timeout_s=source.timeout_s or TIMEOUT_S,
            credentials=await self._credentials(namespace, source),
        )

    async def _credentials(self, namespace: str, source: PrometheusSource) -> Credentials:
        read = Credentials()
        if source.token_secret_ref is not None:
            ref = source.token_secret_ref
            data = await self._secret(namespace, ref.name)
            read = replace(read, token=_token(_of(data, f"Secret {ref.name}", ref.key or TOKEN)))
        if source.client_certificate_secret_ref is not None:
            name = source.client_certificate_secret_ref.name
            data = await self._secret(namespace, name)
            read = replace(
                read,
                certificate_pem=_of(data, f"Secret {name}", CERTIFICATE),
                key_pem=_of(data, f"Secret {name}", KEY),
            )
        if source.ca_config_map_ref is not None:
            at = source.ca_config_map_ref
            found = await self._cluster.get(CONFIG_MAP, namespace, at.name)
            data = {} if found is None else found.get("data") or {}
            read = replace(read, ca_pem=_of(data, f"ConfigMap {at.name}", at.key or CA))
        return read

    async def _secret(self, namespace: str, name: str) -> Mapping[str, str]:
        try:
            found = await self._cluster.get(SECRET, namespace, name)
        except Rejected as exc:
            raise _Missing(
                f"the planner may not read Secret {name}: the chart's prometheus.tenantSecrets"
                " lists the names that it may"
            ) from exc
        encoded = {} if found is None else found.get("data") or {}
        return {key: _decoded(text) for key, text in encoded.items()}


def _has_files(settings: Prometheus) -> bool:
    return bool(settings.credentials_directory or settings.token_file)


def _installed(settings: Prometheus) -> Endpoint:
    folder = settings.credentials_directory
    held = {name: _file(Path(folder, name)) for name in (TOKEN, CA, CERTIFICATE, KEY) if folder}
    if folder and not any(held.values()):
        raise _Missing(f"{folder} has none of {', '.join(held)}")
    token = held.get(TOKEN, "")
    if settings.token_file:
        token = _file(Path(settings.token_file))
        if not token:
            raise _Missing(f"{settings.token_file} is not there, or empty")
    return Endpoint(
        url=settings.url,
        parameters=_parameters(settings.parameters),
        timeout_s=settings.timeout_seconds,
        credentials=Credentials(
            token=_token(token),
            ca_pem=held.get(CA, ""),
            certificate_pem=held.get(CERTIFICATE, ""),
            key_pem=held.get(KEY, ""),
        ),
    )


def _file(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""


def _of(data: Mapping[str, str], where: str, key: str) -> str:
    if not data.get(key):
        raise _Missing(f"there is no {where} with a key {key}, which Prometheus is asked with")
    return data[key]


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _token(text: str) -> str:
    """Return a token that fits into a header; what else is there is not a token."""
    token = text.strip()
    if not (token.isascii() and token.isprintable()):
        raise _Missing("the token of Prometheus holds something that no token holds")
    return token


def _parameters(given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((k, v) for k, v in given.items() if k not in RESERVED_PARAMETERS))
