"""One watch request: lines of JSON, each a change, over a connection that stays open."""

import json
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import aiohttp
from kubernetes.aio.client import ApiClient, ApiException
from kubernetes.aio.config import ConfigException

from dgdr_kube import answers, errors
from dgdr_kube.calls import NO_ANSWER, Call, CallTold, Verb, unheard
from dgdr_kube.kinds import Kind
from dgdr_kube.ports import Change, ChangeType, Manifest

# The server ends a watch after this, whether it had something to tell or not.
SERVER_TIMEOUT_S = 120
# A server that has nothing to tell says so each minute: who is quiet for longer is gone.
QUIET_S = 75.0
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=QUIET_S)
_BROKEN = (TimeoutError, aiohttp.ClientError, OSError, ApiException, ConfigException)


@asynccontextmanager
async def watch(
    api: ApiClient,
    kind: Kind,
    namespace: str | None,
    version: str,
    labels: str = "",
    told: CallTold = unheard,
) -> AsyncIterator[AsyncIterator[Change]]:
    """Open a watch; see ``ports.Watching``. ``told`` hears how that was answered."""
    call = f"WATCH {kind.path(namespace)}"
    began_s, code = time.perf_counter(), NO_ANSWER
    try:
        response = await _open(api, kind, namespace, version, labels, call)
        code = str(response.status)
    finally:
        told(Call(Verb.WATCH, kind, code, time.perf_counter() - began_s))
    with _cut_at_the_end(response):
        if response.status != 200:
            raise await _refused(response, call)
        typed = {"apiVersion": kind.api_version, "kind": kind.kind}
        yield changes(response.content.iter_any(), typed, call, namespaced=kind.namespaced)


async def _open(
    api: ApiClient, kind: Kind, namespace: str | None, version: str, labels: str, call: str
) -> aiohttp.ClientResponse:
    query = {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "resourceVersion": version,
        "timeoutSeconds": str(SERVER_TIMEOUT_S),
        **({"labelSelector": labels} if labels else {}),
        **({"fieldSelector": kind.fields} if kind.named else {}),
    }
    try:
        verb, url, sent, _, _ = await api.param_serialize(
            "GET",
            kind.path(namespace),
            query_params=[*query.items()],
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        answer = await api.call_api(verb, url, sent, _request_timeout=_TIMEOUT)
    except _BROKEN as exc:
        raise errors.Unreachable(f"{call}: {str(exc) or type(exc).__name__}") from exc
    response: aiohttp.ClientResponse = answer.response
    return response


async def _refused(response: aiohttp.ClientResponse, call: str) -> errors.ClusterError:
    """Return our error for a status that is no success; one whose body breaks off says nothing."""
    try:
        body = answers.read_json(await response.read())
    except _BROKEN as exc:
        said = str(exc) or type(exc).__name__
        return errors.Unreachable(f"{call}: {response.status}: {said}")
    return answers.error_of(response.status, call, body, response.headers.get("Retry-After"))


@contextmanager
def _cut_at_the_end(response: aiohttp.ClientResponse) -> Iterator[None]:
    """Say no goodbye: TLS waits for the answer to it, and would outlive the client."""
    try:
        yield
    finally:
        if (connection := response.connection) and connection.transport:
            connection.transport.abort()
        response.close()


async def changes(
    chunks: AsyncIterable[bytes], typed: Manifest, call: str, *, namespaced: bool = True
) -> AsyncIterator[Change]:
    """Read changes; ``typed`` is the kind's apiVersion and kind, which its objects may lack.

    Raises Expired, and Unreachable where the stream breaks or says something else than changes.
    """
    try:
        async for line in _lines(chunks):
            told = json.loads(line)
            if told["type"] == "ERROR":
                status = told["object"]
                raise answers.error_of(int(status.get("code") or 500), call, status)
            change = Change(ChangeType(told["type"]), {**typed, **told["object"]})
            if change.type is ChangeType.BOOKMARK:
                int(change.version)
            else:
                answers.check_identity(change.manifest, namespaced=namespaced)
            yield change
    except _BROKEN as exc:
        raise errors.Unreachable(f"{call}: {str(exc) or type(exc).__name__}") from exc
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as exc:
        raise errors.Unreachable(f"{call}: not what a watch tells: {exc}") from exc


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Cut at line ends: an object may be larger than what a stream reader takes as one line."""
    rest: list[bytes] = []
    async for chunk in chunks:
        first, *more = chunk.split(b"\n")
        rest.append(first)
        for part in more:
            if line := b"".join(rest):
                yield line
            rest = [part]
    if half := b"".join(rest):
        raise ValueError(f"it ends amid a line: {half[:100].decode(errors='replace')}")
