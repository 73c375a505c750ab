"""Samples from Prometheus, read once for all planners that ask at the same time."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from urllib3.util.retry import Retry

from dgdr_planner.core import queries
from dgdr_planner.core.snapshot import NoSnapshot, Snapshot, read

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
# Planners whose turn comes within this time look at the same samples; scrapes are no closer.
SHARED_FOR_S = 5.0
# Slow servers keep threads busy until they time out; other servers must not wait for that.
THREADS = 16

_Shared = tuple[float, asyncio.Task[Snapshot | NoSnapshot]]


class PrometheusMetrics:
    """Implements ``ports.Metrics``; the client library blocks, so it runs in threads."""

    def __init__(
        self,
        namespaces: Sequence[str] = (),
        timeout_s: float = TIMEOUT_S,
        shared_for_s: float = SHARED_FOR_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._namespaces = tuple(namespaces)
        self._timeout_s = timeout_s
        self._shared_for_s = shared_for_s
        self._clock = clock
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="prometheus")
        self._shared: dict[tuple[str, float], _Shared] = {}

    async def snapshot(self, url: str, window_s: float) -> Snapshot | NoSnapshot:
        """Return the samples of the window, at most a few seconds old."""
        key = (url, window_s)
        known = self._shared.get(key)
        if known is None or (self._clock() - known[0] > self._shared_for_s and known[1].done()):
            known = (self._clock(), asyncio.create_task(self._ask(url, window_s)))
            self._shared[key] = known
        # Shielded: a planner that gives up must not take the answer away from the others.
        return await asyncio.shield(known[1])

    def close(self) -> None:
        """Let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, url: str, window_s: float) -> Snapshot | NoSnapshot:
        loop = asyncio.get_running_loop()
        asked = loop.run_in_executor(self._threads, self._fetch, url, window_s)
        try:
            # The client's own timeout is between two bytes, not for the whole answer.
            async with asyncio.timeout(2 * self._timeout_s):
                return await asked
        except TimeoutError:
            cause = f"Prometheus at {_shown(url)} did not answer within {2 * self._timeout_s:g} s"
            return NoSnapshot("PrometheusTimeout", cause)

    def _fetch(self, url: str, window_s: float) -> Snapshot | NoSnapshot:
        """Ask in this thread; every way to fail becomes a cause."""
        try:
            return self._query(url, window_s)
        except requests.Timeout:
            cause = f"did not answer within {self._timeout_s:g} s"
            return NoSnapshot("PrometheusTimeout", f"Prometheus at {_shown(url)} {cause}")
        except PrometheusApiClientException as exc:
            cause = f"refused the query: {str(exc)[:200]}"
            return NoSnapshot("PrometheusRefused", f"Prometheus at {_shown(url)} {cause}")
        except (ValueError, KeyError, TypeError, IndexError) as exc:
            # Also requests' error for an answer that is no JSON, such as a login page.
            cause = f"answered something that is no query result ({type(exc).__name__})"
            return NoSnapshot("PrometheusAnswerUnreadable", f"Prometheus at {_shown(url)} {cause}")
        except (requests.RequestException, OSError) as exc:
            cause = f"cannot be reached ({type(exc).__name__})"
            return NoSnapshot("PrometheusUnreachable", f"Prometheus at {_shown(url)} {cause}")

    def _query(self, url: str, window_s: float) -> Snapshot:
        with requests.Session() as session:
            client = PrometheusConnect(
                url=url.rstrip("/"),
                session=session,
                # read=False: a slow answer is then a time-out, not a lost connection.
                retry=Retry(total=0, read=False),
                timeout=self._timeout_s,
            )
            # The clock first: samples that arrive in between are then not from the future by much.
            clock: Any = client.custom_query(queries.SERVER_TIME.render())
            result = client.custom_query(queries.frontend_samples(self._namespaces, window_s))
            return read(result, at_s=float(clock[1]), window_s=window_s)


def _shown(url: str) -> str:
    """Return a URL without credentials."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
