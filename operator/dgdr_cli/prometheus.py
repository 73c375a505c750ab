"""Questions to Prometheus from a user's machine, through the API server where it is a Service."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from dgdr_cli.errors import CliError

Json = Mapping[str, Any]
Get = Callable[[str, Mapping[str, str]], tuple[int, Any]]
"""Gets a path with parameters; returns the HTTP status and the JSON, None where it is none."""

_SERVICE = re.compile(r"([a-z0-9-]+)\.([a-z0-9-]+)\.svc(\..+)?")
OTHERWISE = (
    "give --prometheus URL, such as http://localhost:9090 of `kubectl port-forward -n monitoring"
    " svc/prometheus 9090`"
)


class PrometheusError(CliError):
    """Prometheus gives no answer; the message says why and what helps."""


@dataclass(frozen=True, slots=True)
class Prometheus:
    """One Prometheus, and the way to it."""

    shown: str
    get: Get

    def query(self, text: str) -> list[Json]:
        """Return the result of an instant query.

        Raises:
            PrometheusError: there is no answer.
        """
        return self._result("query", {"query": text})

    def query_range(self, text: str, start_s: float, end_s: float, step_s: float) -> list[Json]:
        """Return the result of a range query; raises what ``query`` does."""
        span = {"start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:g}"}
        return self._result("query_range", {"query": text, **span})

    def _result(self, call: str, params: Mapping[str, str]) -> list[Json]:
        status, answer = self.get(f"api/v1/{call}", params)
        data = answer.get("data") if isinstance(answer, Mapping) else None
        if status == 200 and isinstance(data, Mapping) and isinstance(data.get("result"), list):
            return list(data["result"])
        raise PrometheusError(f"Prometheus at {self.shown} {_cause(status, answer)}")


def _cause(status: int, answer: Any) -> str:
    said = answer.get("error") or answer.get("message") if isinstance(answer, Mapping) else None
    said = f": {' '.join(str(said).split())[:200]}" if said else ""
    if status in (401, 403):
        return f"answered {status}, it wants other credentials{said}; {OTHERWISE}"
    if status == 200:
        return f"answered something that is no query result; {OTHERWISE}"
    return f"answered {status}{said}; {OTHERWISE}"


def service_path(url: str) -> str | None:
    """Return where the API server reaches a Service of this URL; None where it is none."""
    parts = urlsplit(url)
    found = _SERVICE.fullmatch(parts.hostname or "")
    if found is None:
        return None
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    name = f"{'https' if secure else 'http'}:{found[1]}:{port}"
    path = parts.path.rstrip("/")
    return f"/api/v1/namespaces/{found[2]}/services/{name}/proxy{path}"
