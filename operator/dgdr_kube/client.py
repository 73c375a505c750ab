"""The cluster over ``kubernetes.aio``: plain REST calls on manifests, errors turned into ours.

Generated API classes are not used: they know no custom kinds, and their models would have to be
turned back into manifests.
"""

import math
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Self, TypeVar

import aiohttp
from kubernetes.aio.client import ApiClient, ApiException, Configuration
from kubernetes.aio.config import (
    ConfigException,
    kube_config,
    load_incluster_config,
    load_kube_config,
)

from dgdr_kube import answers, errors, event_writer, watch_stream
from dgdr_kube.calls import NO_ANSWER, Call, CallTold, Verb, unheard
from dgdr_kube.cluster_ca import ClusterCa
from dgdr_kube.kinds import Kind, kind_of
from dgdr_kube.pace import Pace
from dgdr_kube.ports import Change, Event, Kept, Listing, Manifest, Manifests, whole
from dgdr_kube.workqueue import moved_on

MERGE_PATCH = "application/merge-patch+json"
# JSON is YAML: the body is sent as JSON under the only content type that means "apply".
APPLY_PATCH = "application/apply-patch+yaml"
_PAGE = 500
CONNECTIONS = 100

Query = Sequence[tuple[str, str]]
T = TypeVar("T")


class KubeCluster:
    """Implements ``dgdr_kube.ports.Cluster`` against a real API server.

    ``left_s`` is asked before each write, how many seconds it may take; with none it is not begun.
    ``told`` hears of each call that was sent.
    """

    def __init__(
        self,
        api: ApiClient,
        *,
        instance: str,
        timeout_s: float = 30.0,
        left_s: Callable[[], float] = lambda: math.inf,
        pace: Pace | None = None,
        told: CallTold = unheard,
    ) -> None:
        self._api = api
        self._ca = ClusterCa(api.rest_client.ssl_context, api.configuration.ssl_ca_cert)
        self._timeout_s = timeout_s
        self._left_s = left_s
        self._pace = pace
        self._told = told
        self._events = event_writer.EventWriter(self, instance)

    @classmethod
    async def connect(
        cls,
        *,
        user_agent: str,
        kubeconfig: str | None = None,
        connections: int = CONNECTIONS,
        left_s: Callable[[], float] = lambda: math.inf,
        pace: Pace | None = None,
        told: CallTold = unheard,
    ) -> Self:
        """Connect as the pod's service account, otherwise as the kubeconfig says.

        A kubeconfig that is named here wins over the account. ``connections`` are open at a time
        at most; 0 is any number. ``pace`` bounds the calls; watches are none.
        """
        configuration = Configuration(connection_pool_maxsize=connections)
        if kubeconfig is not None:
            await _load_kubeconfig(kubeconfig, configuration)
        else:
            try:
                load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            except ConfigException:
                await _load_kubeconfig(os.environ.get("KUBECONFIG"), configuration)
        api = ApiClient(configuration)
        # The client has read them; a process that is killed would leave a private key behind.
        kube_config._cleanup_temp_files()  # type: ignore[no-untyped-call]
        api.user_agent = user_agent
        instance = os.environ.get("POD_NAME") or os.uname().nodename
        return cls(api, instance=instance, left_s=left_s, pace=pace, told=told)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()  # type: ignore[no-untyped-call]

    async def serves(self, kind: Kind) -> bool:
        """Whether the API server answers for a kind: everybody may ask."""
        try:
            answer = await self._call(Verb.GET, kind.discovery, None)
        except (errors.NotFound, errors.NotServed):
            return False
        return any(one.get("name") == kind.plural for one in answer.get("resources") or ())

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Read one object; None when it is not there."""
        try:
            return await self._call(Verb.GET, kind, namespace, name)
        except errors.NotFound:
            return None

    async def list(
        self,
        kind: Kind,
        namespace: str | None,
        labels: Mapping[str, str] | None = None,
        *,
        kept: Kept = whole,
    ) -> Manifests:
        """Read all objects of a namespace (None: of all namespaces) that carry these labels."""
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        return (await self.listing(kind, namespace, selector, kept=kept)).items

    async def listing(
        self,
        kind: Kind,
        namespace: str | None,
        labels: str = "",
        *,
        kept: Callable[[Manifest], T],
    ) -> Listing[T]:
        """Read a collection (None: of all namespaces) as it is now."""
        found: list[T] = []
        token = ""
        while True:
            query = [
                ("limit", str(_PAGE)),
                ("labelSelector", labels),
                ("fieldSelector", kind.fields),
                ("continue", token),
            ]
            sent = [(k, v) for k, v in query if v]
            answer = await self._call(Verb.LIST, kind, namespace, query=sent)
            page = answers.page_of(answer, kind, f"LIST {kind.path(namespace)}")
            found += map(kept, page.items)
            token = page.token
            if not token:
                return Listing(found, page.version)

    def watch(
        self, kind: Kind, namespace: str | None, version: str, labels: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        """Tell what changes after a version; raises Expired where that is too old."""
        self._ca.renew()
        return watch_stream.watch(self._api, kind, namespace, version, labels, self._told)

    async def create(self, manifest: Manifest, manager: str) -> Manifest:
        """Create; raises AlreadyExists, Rejected."""
        kind = kind_of(manifest)
        namespace = manifest["metadata"].get("namespace")
        query = _managed_by(manager)
        return await self._call(Verb.CREATE, kind, namespace, query=query, body=manifest)

    async def apply(
        self,
        manifest: Manifest,
        manager: str,
        force: bool = True,
        resource_version: str | None = None,
    ) -> Manifest:
        """Server-side apply: what this manager applied before and leaves out now is removed."""
        kind = kind_of(manifest)
        meta = manifest["metadata"]
        query = [*_managed_by(manager), ("force", str(force).lower())]
        body = _expecting(manifest, resource_version)
        where = meta.get("namespace"), meta["name"]
        return await self._call(Verb.APPLY, kind, *where, query=query, body=body)

    async def patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: Manifest,
        manager: str,
        resource_version: str | None = None,
    ) -> Manifest:
        """Merge-patch; raises NotFound, and Conflict when another version is there."""
        body, query = _expecting(patch, resource_version), _managed_by(manager)
        return await self._call(Verb.PATCH, kind, namespace, name, query=query, body=body)

    async def patch_status(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        status: Manifest,
        manager: str,
        resource_version: str | None = None,
    ) -> Manifest:
        """Merge-patch the status subresource; raises NotFound, Conflict."""
        body, query = _expecting({"status": status}, resource_version), _managed_by(manager)
        return await self._call(Verb.PATCH_STATUS, kind, namespace, name, query=query, body=body)

    async def scale(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        replicas: int,
        manager: str,
        resource_version: str | None = None,
    ) -> None:
        """Write the scale subresource; raises NotFound, Conflict."""
        body = _expecting({"spec": {"replicas": replicas}}, resource_version)
        query = _managed_by(manager)
        await self._call(Verb.SCALE, kind, namespace, name, query=query, body=body)

    async def delete(
        self, kind: Kind, namespace: str | None, name: str, uid: str | None = None
    ) -> bool:
        """Delete with its dependents in the background; False when it was gone already."""
        body: Manifest = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
        }
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        try:
            await self._call(Verb.DELETE, kind, namespace, name, body=body)
        except errors.NotFound:
            return False
        except errors.Conflict:  # only the uid is a precondition: another object has the name now
            return False
        return True

    async def emit(self, event: Event) -> None:
        """Show an Event; a lost Event is logged, never raised."""
        await self._events.write(event)

    async def _call(
        self,
        verb: Verb,
        kind: Kind,
        namespace: str | None,
        name: str | None = None,
        *,
        query: Query = (),
        body: Manifest | None = None,
    ) -> Manifest:
        if self._pace is not None:
            await self._pace.turn()
        call = f"{verb.method} {kind.path(namespace, name, verb.subresource)}"
        try:
            status, data, retry_after = await self._send(verb, kind, namespace, name, query, body)
        except (TimeoutError, aiohttp.ClientError, OSError) as exc:
            raise errors.Unreachable(f"{call}: {str(exc) or type(exc).__name__}") from exc
        except (ApiException, ConfigException) as exc:
            raise errors.Unreachable(f"{call}: {exc}") from exc
        answer = answers.read_json(data)
        if not 200 <= status < 300:
            raise answers.error_of(status, call, answer, retry_after)
        if "kind" not in answer:
            raise errors.Unreachable(f"{call}: the answer is no object: {answer}")
        return answer

    async def _send(
        self,
        verb: Verb,
        kind: Kind,
        namespace: str | None,
        name: str | None,
        query: Query,
        body: Manifest | None,
    ) -> tuple[int, bytes, str | None]:
        self._ca.renew()
        headers = {"Accept": "application/json"}
        patch = APPLY_PATCH if verb is Verb.APPLY else MERGE_PATCH
        headers["Content-Type"] = patch if verb.method == "PATCH" else "application/json"
        method, url, sent, payload, _ = await self._api.param_serialize(
            verb.method,
            kind.path(namespace, name, verb.subresource),
            query_params=[*query],
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        time_for = self._time_for(verb)
        began_s, code = time.perf_counter(), NO_ANSWER
        try:
            answer = await self._api.call_api(method, url, sent, payload, _request_timeout=time_for)
            data: bytes = await answer.read()  # type: ignore[no-untyped-call]
            code = str(answer.status)
        finally:
            self._told(Call(verb, kind, code, time.perf_counter() - began_s))
            moved_on()
        return answer.status, data, answer.headers.get("Retry-After")

    def _time_for(self, verb: Verb) -> aiohttp.ClientTimeout:
        """Return how long a call may take: a write may not outlast the right to write."""
        left_s = math.inf if verb.method == "GET" else self._left_s()
        if left_s <= 0:
            raise errors.NotLeading(f"{verb.method}: another process may lead by now")
        return aiohttp.ClientTimeout(total=min(self._timeout_s, left_s), sock_connect=10.0)


async def _load_kubeconfig(path: str | None, configuration: Configuration) -> None:
    await load_kube_config(config_file=path, client_configuration=configuration)  # type: ignore[no-untyped-call]


def _managed_by(manager: str) -> list[tuple[str, str]]:
    return [("fieldManager", str(manager))]


def _expecting(patch: Manifest, resource_version: str | None) -> Manifest:
    if resource_version is None:
        return patch
    meta = {**patch.get("metadata", {}), "resourceVersion": resource_version}
    return {**patch, "metadata": meta}
