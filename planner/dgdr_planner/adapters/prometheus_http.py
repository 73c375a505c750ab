"""Prometheus's HTTP API, asked in a way that no server can misuse.

A tenant may name any server. So an answer ends with the time-out and at a size, whether or not
the server goes on; redirects are not followed; and what a server says is never repeated, because
an error's body may hold anything. Users read a status code, and what to do about it.
"""

import asyncio
import json
import ssl
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from dgdr_planner.core.endpoint import Credentials, Endpoint
from dgdr_planner.core.snapshot import NoSnapshot

# 1,000 deployments with 3 frontends each and 12 scrapes in the window are about 40 MB.
MOST_BYTES = 256 * 2**20
_CHUNK_BYTES = 2**18

_CURES = {
    400: "it does not understand the query: is it Prometheus 2.40 or newer?",
    401: "it wants credentials, or others than these",
    403: "the credentials do not allow queries of all that is asked for",
    404: "there is no Prometheus API under this URL; check its path",
    422: "it cannot run the query: is it Prometheus 2.40 or newer?",
    429: "it has too many queries to answer; allow more, or lengthen intervals",
}
_REDIRECTED = "it redirects; name the final URL, and credentials if it is a log-in page"
_BUSY = "it is starting, overloaded or broken; see its own log"


class Refused(Exception):
    """Prometheus, or what stands before it, answered with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Unreadable(Exception):
    """The answer is no query result; the text says what it is instead."""


class Partial(Exception):
    """The answer says itself that it is not complete."""


Told = Callable[[str, float], None]
"""Hears of each question: ``answered`` or ``failed``, and the seconds that it took."""


def untold(outcome: str, seconds: float) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Server:
    """One endpoint, with a connection to it."""

    session: aiohttp.ClientSession
    endpoint: Endpoint
    most_bytes: int = MOST_BYTES
    told: Told = untold

    async def result(self, call: str, kind: str, **own: str) -> Any:
        """Return the ``result`` of a call: a ``scalar``, ``vector`` or ``matrix``.

        Raises:
            Refused, Unreadable, Partial, TimeoutError, aiohttp.ClientError, OSError
        """
        began_s = time.monotonic()
        try:
            body = await self._asked(call, own)
        except Exception:
            self.told("failed", time.monotonic() - began_s)
            raise
        self.told("answered", time.monotonic() - began_s)
        return await asyncio.to_thread(_result, body, kind)

    async def _asked(self, call: str, own: Mapping[str, str]) -> bytes:
        params = [*self.endpoint.parameters, *own.items()]
        async with self.session.get(
            self.endpoint.api(call), params=params, allow_redirects=False
        ) as answer:
            if answer.status != 200:
                raise Refused(answer.status)
            return await self._body(answer)

    async def _body(self, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self.most_bytes:
                raise Unreadable(f"more than {self.most_bytes // 2**20} MiB")
        return bytes(body)


def session(endpoint: Endpoint, context: ssl.SSLContext | None) -> aiohttp.ClientSession:
    """Return connections for one question; credentials go to this endpoint only."""
    token = endpoint.credentials.token
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context or True),
        # Total: a server that sends a byte now and then must not hold a planner.
        timeout=aiohttp.ClientTimeout(total=endpoint.timeout_s),
        headers={"Authorization": f"Bearer {token}"} if token else {},
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def tls_context(credentials: Credentials) -> ssl.SSLContext | None:
    """Return what trusts this CA bundle and shows this certificate; None is the usual.

    Raises:
        ssl.SSLError, OSError, ValueError: bundle, certificate or key cannot be used.
    """
    if not (credentials.ca_pem or credentials.certificate_pem):
        return None
    context = ssl.create_default_context(cadata=credentials.ca_pem or None)
    if credentials.certificate_pem:
        # The library reads files only. Ours has mode 0600 and is gone before anybody is asked.
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as both:
            both.write(f"{credentials.certificate_pem}\n{credentials.key_pem}\n")
            both.flush()
            context.load_cert_chain(both.name)
    return context


def cause_of(endpoint: Endpoint, exc: Exception) -> NoSnapshot:
    """Return why there is no answer, in words that hold nothing secret."""
    at = f"Prometheus at {endpoint.shown}"
    match exc:
        case Refused(status=status):
            cure = _REDIRECTED if 300 <= status < 400 else _CURES.get(status, _BUSY)
            return NoSnapshot("PrometheusRefused", f"{at} answered {status}: {cure}")
        case TimeoutError():
            cause = f"did not answer within {endpoint.timeout_s:g} s"
            return NoSnapshot("PrometheusTimeout", f"{at} {cause}")
        case Partial():
            cause = "says that its answer is not complete; see its own log"
            return NoSnapshot("PrometheusPartial", f"{at} {cause}")
        case Unreadable():
            cause = f"answered something that is no query result: {exc}"
            return NoSnapshot("PrometheusAnswerUnreadable", f"{at} {cause}")
        case aiohttp.ClientSSLError():
            cause = "cannot be trusted, or does not trust us: check CA bundle and certificate"
            return NoSnapshot("PrometheusUntrusted", f"{at} {cause}")
        case aiohttp.ClientPayloadError() | aiohttp.ClientResponseError():
            cause = f"answered something that is no query result ({type(exc).__name__})"
            return NoSnapshot("PrometheusAnswerUnreadable", f"{at} {cause}")
        case aiohttp.ClientError() | OSError():
            cause = f"cannot be reached ({type(exc).__name__})"
            return NoSnapshot("PrometheusUnreachable", f"{at} {cause}")
        case ValueError() | KeyError() | TypeError() | IndexError():
            cause = f"answered something that is no query result ({type(exc).__name__})"
            return NoSnapshot("PrometheusAnswerUnreadable", f"{at} {cause}")
    raise exc


def _result(body: bytes, kind: str) -> Any:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise Unreadable("it is no JSON, such as a log-in page") from exc
    data = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(data, Mapping) or "result" not in data:
        raise Unreadable("it has no data.result")
    if data.get("resultType") != kind:
        raise Unreadable(f"it is no {kind}")
    if answer.get("warnings"):
        raise Partial
    return data["result"]
