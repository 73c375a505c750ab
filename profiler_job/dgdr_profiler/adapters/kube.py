"""Plain calls to the API server, over kr8s' session and credentials."""

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
import kr8s
from kr8s.asyncio import api as connect

from dgdr_api.conversion import converted
from dgdr_api.names import FieldManager

logger = logging.getLogger(__name__)

Manifest = dict[str, Any]

# An API server that restarts, or that a network hides for a moment, is no reason to lose a run.
RETRIES = 6
FIRST_RETRY_S = 0.5
TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500


class ClusterError(Exception):
    """The API server refused, or could not be reached."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class NotFound(ClusterError):
    """The object does not exist."""


class AlreadyExists(ClusterError):
    """An object of that name exists."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Where objects of one kind live."""

    version: str
    plural: str


DGD = Resource("nvidia.com/v1beta1", "dynamographdeployments")
WORKER_METADATA = Resource("nvidia.com/v1alpha1", "dynamoworkermetadatas")
CONFIG_MAP = Resource("v1", "configmaps")
POD = Resource("v1", "pods")
EVENT = Resource("v1", "events")


class Kube:
    """Objects of one namespace."""

    def __init__(self, api: Any, namespace: str, dgd_version: str = DGD.version) -> None:
        self._api = api
        self.namespace = namespace
        self._dgd = replace(DGD, version=dgd_version)

    @classmethod
    async def connect(cls, namespace: str, dgd_version: str = DGD.version) -> "Kube":
        """Connect with the pod's account, or with the kubeconfig of the environment.

        ``dgd_version`` is the version in which this cluster takes deployments; to who asks here
        they are v1beta1.
        """
        return cls(await connect(namespace=namespace), namespace, dgd_version)

    async def get(self, resource: Resource, name: str) -> Manifest | None:
        """Return an object, or None."""
        try:
            found = await self._call("GET", self._place(resource), name)
        except NotFound:
            return None
        return found if resource != DGD else converted(found, DGD.version)

    async def list(
        self,
        resource: Resource,
        selector: Mapping[str, str],
        fields: Mapping[str, str] | None = None,
    ) -> list[Manifest]:
        """Return the objects that carry all labels and have all fields."""
        params = {"labelSelector": _selector(selector), "fieldSelector": _selector(fields or {})}
        chosen = {key: text for key, text in params.items() if text}
        found = await self._call("GET", resource, params=chosen)
        return list(found.get("items", ()))

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Create an object.

        Raises:
            AlreadyExists: one of that name exists.
            ClusterError: it was refused.
        """
        body = manifest if resource != DGD else converted(manifest, self._dgd.version)
        return await self._call("POST", self._place(resource), body=body)

    async def merge(self, resource: Resource, name: str, patch: Manifest) -> Manifest:
        """Apply a JSON merge patch."""
        kind = "application/merge-patch+json"
        return await self._call("PATCH", resource, name, body=patch, content_type=kind)

    async def delete(self, resource: Resource, name: str) -> None:
        """Delete an object and, in the background, what it owns; fine when it is gone."""
        options = {"propagationPolicy": "Background"}
        try:
            await self._call("DELETE", self._place(resource), name, body=options)
        except NotFound:
            return

    def _place(self, resource: Resource) -> Resource:
        return resource if resource != DGD else self._dgd

    async def log_tail(self, pod: str, container: str, previous: bool, lines: int) -> str:
        """Return the last lines of a container; empty when there is no log."""
        params = {"tailLines": str(lines), "container": container}
        params["previous"] = str(previous).lower()
        url = f"pods/{pod}/log"
        try:
            return await self._text("GET", "v1", url, params=params)
        except ClusterError:
            return ""

    async def log(self, pod: str, container: str, limit_bytes: int) -> str:
        """Return a container's log from its beginning; empty when there is none."""
        params = {"container": container, "limitBytes": str(limit_bytes)}
        try:
            return await self._text("GET", "v1", f"pods/{pod}/log", params=params)
        except ClusterError:
            return ""

    async def _call(
        self,
        method: str,
        resource: Resource,
        name: str = "",
        *,
        params: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        manager = {} if method == "GET" else {"fieldManager": FieldManager.PROFILER.value}
        if method == "DELETE":
            manager = {}
        text = await self._text(
            method,
            resource.version,
            f"{resource.plural}/{name}".rstrip("/"),
            params={**(params or {}), **manager},
            content=None if body is None else json.dumps(body),
            headers={"Content-Type": content_type},
        )
        answer: Manifest = json.loads(text)
        return answer

    async def _text(self, method: str, version: str, url: str, **request: Any) -> str:
        for attempt in range(RETRIES):
            try:
                return await self._once(method, version, url, **request)
            except ClusterError as exc:
                if not _passing(exc) or attempt == RETRIES - 1:
                    raise
                logger.info("%s %s: %s; trying again", method, url, exc)
                await asyncio.sleep(FIRST_RETRY_S * 2**attempt)
        raise AssertionError("unreachable")

    async def _once(self, method: str, version: str, url: str, **request: Any) -> str:
        call = self._api.call_api(
            method, version=version, namespace=self.namespace, url=url, **request
        )
        try:
            async with call as response:
                return str(response.text)
        except kr8s.ServerError as exc:
            status = exc.response.status_code if exc.response is not None else None
            raise _error(status, f"{method} {url}: {exc}") from exc
        except (httpx.TransportError, kr8s.APITimeoutError) as exc:
            raise ClusterError(f"{method} {url}: {exc!r}") from exc


def _selector(pairs: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in pairs.items())


def _error(status: int | None, message: str) -> ClusterError:
    match status:
        case 404:
            return NotFound(message, status)
        case 409:
            return AlreadyExists(message, status)
        case _:
            return ClusterError(message, status)


def _passing(error: ClusterError) -> bool:
    """Whether the error may go away by itself."""
    return error.status is None or error.status == TOO_MANY_REQUESTS or error.status >= SERVER_ERROR
