"""Prometheus's HTTP API through its client library, which blocks and so runs in threads.

One time-out holds for a whole answer. What a server says is never repeated, because an error's
body may hold anything: users read a status code, and what to do about it.
"""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import requests
import urllib3
from prometheus_api_client import PrometheusConnect

from dgdr_planner.adapters.prometheus_session import Partial, Refused, Session, Unreadable
from dgdr_planner.observe.endpoint import Endpoint
from dgdr_planner.observe.snapshot import NoSnapshot

# 1,000 deployments with 3 frontends each and 12 scrapes in the window are about 40 MB.
MOST_BYTES = 256 * 2**20

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
_URL = "the chart's prometheus.url or spec.metrics.prometheus.url"
# Of getaddrinfo, and gone again soon; all others say that there is no such name.
_PASSING = frozenset({socket.EAI_AGAIN, socket.EAI_SYSTEM, socket.EAI_MEMORY})


Told = Callable[[str, float], None]
"""Hears of each question: ``answered`` or ``failed``, and the seconds that it took."""


def untold(outcome: str, seconds: float) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Server:
    """One endpoint, and the threads that wait for it."""

    endpoint: Endpoint
    context: ssl.SSLContext | None
    threads: Executor
    most_bytes: int = MOST_BYTES
    told: Told = untold

    async def query(self, query: str, at_s: float | None = None) -> Any:
        """Return the ``result`` of an instant query, at a moment or now.

        Raises:
            Refused, Unreadable, Partial, TimeoutError, requests.RequestException,
            urllib3.exceptions.HTTPError, OSError
        """
        when = {} if at_s is None else {"time": f"{at_s:.3f}"}
        params = {**dict(self.endpoint.parameters), **when}
        return await self._asked(lambda client: client.custom_query(query, params=params))

    async def query_range(self, query: str, start_s: int, end_s: int, step_s: float) -> Any:
        """Return the ``result`` of a range query; raises what ``query`` does."""
        start, end = (datetime.fromtimestamp(at_s, UTC) for at_s in (start_s, end_s))
        params = dict(self.endpoint.parameters)
        return await self._asked(
            lambda client: client.custom_query_range(query, start, end, f"{step_s:g}", params)
        )

    async def _asked(self, question: Callable[[PrometheusConnect], Any]) -> Any:
        began_s = time.monotonic()
        try:
            result = await self._answered(question)
        except Exception:
            self.told("failed", time.monotonic() - began_s)
            raise
        self.told("answered", time.monotonic() - began_s)
        return result

    async def _answered(self, question: Callable[[PrometheusConnect], Any]) -> Any:
        session = Session(self.endpoint, self.context, self.most_bytes)
        answer = asyncio.get_running_loop().run_in_executor(
            self.threads, _in_thread, session, self.endpoint, question
        )
        try:
            # For all of it: a server that sends a byte now and then must not hold a planner.
            async with asyncio.timeout(self.endpoint.timeout_s):
                return await answer
        finally:
            session.hang_up()


def _in_thread(
    session: Session, endpoint: Endpoint, question: Callable[[PrometheusConnect], Any]
) -> Any:
    with session:
        client = PrometheusConnect(
            url=endpoint.url.rstrip("/"), session=session, timeout=endpoint.timeout_s
        )
        return question(client)


def cause_of(endpoint: Endpoint, exc: Exception) -> NoSnapshot:
    """Return why there is no answer, in words that hold nothing secret."""
    at = f"Prometheus at {endpoint.shown}"
    match exc:
        case Refused(status=status):
            cure = _REDIRECTED if 300 <= status < 400 else _CURES.get(status, _BUSY)
            return NoSnapshot("PrometheusRefused", f"{at} answered {status}: {cure}")
        case TimeoutError() | requests.Timeout() | urllib3.exceptions.TimeoutError():
            cause = f"did not answer within {endpoint.timeout_s:g} s; see its own log, and check"
            cause = f"{cause} network policies and {_URL}"
            return NoSnapshot("PrometheusTimeout", f"{at} {cause}")
        case Partial():
            cause = "says that its answer is not complete; see its own log"
            return NoSnapshot("PrometheusPartial", f"{at} {cause}")
        case Unreadable():
            cause = f"answered something that is no query result: {exc}"
            return NoSnapshot("PrometheusAnswerUnreadable", f"{at} {cause}")
        case requests.exceptions.SSLError() | urllib3.exceptions.SSLError() | ssl.SSLError():
            cause = "cannot be trusted, or does not trust us: check CA bundle and certificate"
            return NoSnapshot("PrometheusUntrusted", f"{at} {cause}")
        case requests.RequestException() | OSError():
            cause = f"cannot be reached ({_unreached(exc)}); correct {_URL}"
            return NoSnapshot("PrometheusUnreachable", f"{at} {cause}")
        case urllib3.exceptions.HTTPError() | ValueError() | LookupError() | TypeError():
            cause = f"answered something that is no query result ({type(exc).__name__})"
            return NoSnapshot("PrometheusAnswerUnreadable", f"{at} {cause}")
    raise exc


def _unreached(exc: Exception) -> str:
    """Return in a few words why there is no connection: what began the chain of errors."""
    first = [*_chain(exc)][-1]
    match first:
        case socket.gaierror(errno=number):
            return "name lookup failed" if number in _PASSING else "name not found"
        case OSError(errno=int(number)):
            # Such as "connection refused" and "network is unreachable".
            return os.strerror(number).lower()
    return type(first).__name__


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__
