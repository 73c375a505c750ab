"""The API server as ``kubectl`` sees it, without starting one for each request."""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

WARNING = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``warnings`` are those that kubectl prints."""

    status: int
    body: Any
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return self.status < 300

    @property
    def message(self) -> str:
        """Why it was refused, in the API server's words."""
        return str(self.body.get("message", self.body)) if isinstance(self.body, dict) else ""


class Rest:
    """One connection, kept open."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self._address = urlsplit(cluster["server"])
        self._tls = ssl.create_default_context(
            cadata=_bytes(cluster, "certificate-authority", kubeconfig).decode()
        )
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for key in ("client-certificate", "client-key"):
                paths.append(Path(folder, key))
                paths[-1].write_bytes(_bytes(user, key, kubeconfig))
            self._tls.load_cert_chain(*paths)
        self._connection: http.client.HTTPSConnection | None = None

    def call(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Answer:
        """Send one request; a connection that the server has closed is opened again."""
        headers = {"Content-Type": content_type, "Accept": "application/json"}
        payload = None if body is None else json.dumps(body)
        for attempt in (1, 2):
            if self._connection is None:
                self._connection = http.client.HTTPSConnection(
                    self._address.hostname or "",
                    self._address.port,
                    timeout=TIMEOUT_S,
                    context=self._tls,
                )
            try:
                self._connection.request(method, path, body=payload, headers=headers)
                response = self._connection.getresponse()
                text = response.read()
                break
            except (OSError, http.client.HTTPException):
                self._connection.close()
                self._connection = None
                if attempt == 2:
                    raise
        said = ", ".join(response.headers.get_all("Warning") or ())
        warnings = tuple(one.replace('\\"', '"') for one in WARNING.findall(said))
        return Answer(response.status, _parsed(text), warnings)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _bytes(entry: dict[str, str], key: str, kubeconfig: Path) -> bytes:
    if f"{key}-data" in entry:
        return base64.b64decode(entry[f"{key}-data"])
    return (kubeconfig.parent / entry[key]).read_bytes()


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.decode(errors="replace")
