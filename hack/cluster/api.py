"""A few REST calls with client certificates: starting kubectl for each would double the boot."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hack.cluster.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path

# A healthy API server on the same machine answers in milliseconds, a starting one refuses.
TIMEOUT_S = 10.0


class ApiError(ClusterError):
    """The API server answered, but not with success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"API server answered {status}: {message}")
        self.status = status


class ApiUnreachable(ClusterError):
    """Nothing that speaks TLS with our authority answers there."""


class Api:
    """The cluster's API server as its administrator."""

    def __init__(self, server: str, pki: Path) -> None:
        self._address = urlsplit(server)
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")

    def get(self, path: str) -> Any:
        return json.loads(self._call("GET", path))

    def is_ready(self) -> bool:
        try:
            return self._call("GET", "/readyz") == b"ok"
        except ClusterError:
            return False

    def merge(self, path: str, patch: dict[str, Any]) -> None:
        self._call("PATCH", path, patch, "application/merge-patch+json")

    def apply(self, path: str, manifest: dict[str, Any]) -> None:
        """Server-side apply, so that a second boot step changes nothing."""
        query = "?fieldManager=dgdr-cluster&force=true"
        self._call("PATCH", path + query, manifest, "application/apply-patch+yaml")

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, content_type: str = ""
    ) -> bytes:
        connection = http.client.HTTPSConnection(
            self._address.hostname or "", self._address.port, timeout=TIMEOUT_S, context=self._tls
        )
        headers = {"Content-Type": content_type} if body is not None else {}
        payload = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, body=payload, headers=headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as exc:
            raise ApiUnreachable(f"{self._address.netloc}: {exc}") from exc
        finally:
            connection.close()
        if response.status >= 300:
            raise ApiError(response.status, answer.decode(errors="replace")[:500])
        return answer
