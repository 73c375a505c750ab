"""Connections to a Prometheus that no server can misuse.

A tenant may name any server. So an answer ends at a size, and when somebody hangs up, whether or
not the server goes on; redirects are not followed; and an answer that is none is never handed on.
"""

import contextlib
import json
import socket
import ssl
import tempfile
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool

from dgdr_planner.observe.endpoint import Credentials, Endpoint

_CHUNK_BYTES = 2**18


class Refused(Exception):
    """Prometheus, or what stands before it, answered with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Unreadable(Exception):
    """The answer is no query result; the text says what it is instead."""


class Partial(Exception):
    """The answer says itself that it is not complete."""


class Session(requests.Session):
    """Connections for one question: what it returns has been read whole, and is an answer.

    Credentials go to this endpoint only, and nothing of the environment (proxies, ``.netrc``)
    does.
    """

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext | None, most_bytes: int) -> None:
        super().__init__()
        self.trust_env = False
        if endpoint.credentials.token:
            self.headers["Authorization"] = f"Bearer {endpoint.credentials.token}"
        self._most_bytes = most_bytes
        self._adapter = _Adapter(context, self._connected)
        self._lock = Lock()
        self._sockets: list[socket.socket] = []
        self._is_over = False

    def get_adapter(self, url: str | bytes) -> HTTPAdapter:
        """Return ours, whatever a client mounts."""
        return self._adapter

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send, follow nothing, and read until the end or the limit.

        Raises:
            Refused, Unreadable, Partial
        """
        own = {"stream": True, "allow_redirects": False}
        with super().send(request, **{**kwargs, **own}) as response:
            if response.status_code != 200:
                raise Refused(response.status_code)
            return _Answer(_checked(self._body(response)))

    def hang_up(self) -> None:
        """End every wait for the server at once, from any thread, and let no other begin."""
        with self._lock:
            self._is_over = True
            for one in self._sockets:
                _shut(one)

    def close(self) -> None:
        """Close the connections; nothing of them is shut after that."""
        with self._lock:
            self._sockets.clear()
        self._adapter.close()
        super().close()

    def _connected(self, one: socket.socket) -> None:
        with self._lock:
            if self._is_over:
                one.close()
                raise TimeoutError
            self._sockets.append(one)

    def _body(self, response: requests.Response) -> bytes:
        body = bytearray()
        for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > self._most_bytes:
                raise Unreadable(f"more than {self._most_bytes // 2**20} MiB")
        return bytes(body)


class _Answer(requests.Response):
    """An answer that was read and checked already."""

    def __init__(self, read: Mapping[str, Any]) -> None:
        super().__init__()
        self.status_code = 200
        self._read = read

    def json(self, **_: Any) -> Any:
        return self._read


class _Adapter(HTTPAdapter):
    """Trusts what the context trusts, and shows each connection's socket."""

    def __init__(
        self, context: ssl.SSLContext | None, connected: Callable[[socket.socket], None]
    ) -> None:
        self._context = context
        self._connected = connected
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)

    def cert_verify(self, *args: Any) -> None:
        """Add no bundle: the context knows whom to trust."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        usual, connected = pool.ConnectionCls, self._connected

        class Shown(usual):  # type: ignore[misc, valid-type]
            def connect(self) -> None:
                super().connect()
                connected(self.sock)

        pool.ConnectionCls = Shown
        return pool


def _shut(one: socket.socket) -> None:
    """Wake whoever reads; the descriptor stays theirs to close."""
    with contextlib.suppress(OSError):  # it is closed already
        # The plain socket's: TLS would first change the state that the reader is using.
        socket.socket.shutdown(one, socket.SHUT_RDWR)


def tls_context(endpoint: Endpoint) -> ssl.SSLContext | None:
    """Return what trusts this CA bundle, or the system's, and shows this certificate.

    Raises:
        ssl.SSLError, OSError, ValueError: bundle, certificate or key cannot be used.
    """
    if not endpoint.url.lower().startswith("https:"):
        return None
    held = endpoint.credentials
    context = ssl.create_default_context(cadata=held.ca_pem or None)
    if held.certificate_pem:
        _show_certificate(context, held)
    return context


def _show_certificate(context: ssl.SSLContext, held: Credentials) -> None:
    # The library reads files only. Ours has mode 0600 and is gone before anybody is asked.
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as both:
        both.write(f"{held.certificate_pem}\n{held.key_pem}\n")
        both.flush()
        context.load_cert_chain(both.name)


def _checked(body: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise Unreadable("it is no JSON, such as a log-in page") from exc
    data = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(data, Mapping) or not isinstance(data.get("result"), list):
        raise Unreadable("it has no data.result")
    if answer.get("warnings"):
        raise Partial
    return {"data": data}
