"""Stands between a controller and a real API server, and does what servers do on bad days.

with faulty_api(kubeconfig, folder) as api:
    ...                       # api.kubeconfig leads through it
    api.begin(status(503))    # cuts every watch, answers everything so
    api.end()
"""

import asyncio
import base64
import itertools
import json
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from support.listening import Listening, listen

Fault = Callable[["FaultyApi", web.Request], Awaitable[web.StreamResponse]]

_HOP_BY_HOP = {"host", "content-length", "transfer-encoding", "connection"}


class Watches(StrEnum):
    """What becomes of the watches that are open when a fault begins."""

    CUT = "cut"
    HUNG = "hung"
    """They say nothing until the fault is over."""
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Sent:
    """A write that the server has answered: when, by whom, what, and how."""

    at_s: float
    agent: str
    verb: str
    path: str
    status: int


@dataclass
class FaultyApi:
    """``fault`` answers in place of the server; None passes everything through."""

    upstream: str
    tls: ssl.SSLContext
    kubeconfig: Path
    fault: Fault | None = None
    watches: Watches = Watches.CUT
    answered: int = 0
    sent: list[Sent] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _well: asyncio.Event = field(default_factory=asyncio.Event)
    _server: Listening | None = None
    _session: aiohttp.ClientSession | None = None

    def begin(self, fault: Fault, *, watches: Watches = Watches.CUT) -> None:
        """Answer so from now on."""
        self._set(fault, watches)

    def end(self) -> None:
        """Be well again."""
        self._set(None, self.watches)

    async def until_well(self) -> None:
        """Wait for the fault's end."""
        await self._well.wait()

    async def forwarded(self, request: web.Request) -> int:
        """Have the server do what was asked, and tell nobody; returns the status."""
        async with await self._call(request) as answer:
            await answer.read()
            return answer.status

    async def passed(self, request: web.Request) -> web.StreamResponse:
        """Give the real answer, as it comes."""
        async with await self._call(request) as answer:
            out = web.StreamResponse(status=answer.status)
            out.content_type = answer.content_type
            if encoding := answer.headers.get("Content-Encoding"):  # of lists above 128 KiB
                out.headers["Content-Encoding"] = encoding
            if request.method != "GET":
                agent = request.headers.get("User-Agent", "")
                written = (agent, request.method, request.path, answer.status)
                self.sent.append(Sent(time.monotonic(), *written))
            await out.prepare(request)
            with suppress(aiohttp.ClientError, ConnectionError):
                await self._copy(answer, out, is_watch(request))
            return out

    async def _call(self, request: web.Request) -> Any:
        """Return the same call to the server, to be entered."""
        assert self._session is not None
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        url, body = f"{self.upstream}{request.rel_url}", await request.read() or None
        return self._session.request(request.method, url, headers=headers, data=body, ssl=self.tls)

    async def _copy(
        self, answer: aiohttp.ClientResponse, out: web.StreamResponse, watch: bool
    ) -> None:
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            while True:
                chunk = asyncio.ensure_future(answer.content.readany())
                while not chunk.done():
                    await asyncio.wait({chunk, changed}, return_when=asyncio.FIRST_COMPLETED)
                    if not changed.done():
                        continue
                    if watch and self.fault is not None and self.watches is Watches.CUT:
                        chunk.cancel()
                        return
                    if watch and self.fault is not None and self.watches is Watches.HUNG:
                        await self._well.wait()
                    changed = asyncio.ensure_future(self._changed.wait())
                data = await chunk
                if not data:
                    return
                await out.write(data)
        finally:
            changed.cancel()

    def _set(self, fault: Fault | None, watches: Watches) -> None:
        def turn() -> None:
            self.fault, self.watches = fault, watches
            self._changed.set()
            self._changed = asyncio.Event()
            if fault is None:
                self._well.set()
            else:
                self._well.clear()

        self._loop.call_soon_threadsafe(turn)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.answered += 1
        try:
            # First of all: what is held may be delivered when whoever sent it has gone.
            await request.read()
            return await (self.fault or FaultyApi.passed)(self, request)
        except (aiohttp.ClientConnectionError, ConnectionError):  # nobody is there
            return await reset(self, request)

    async def up(self) -> None:
        """Start to serve, and write the kubeconfig that leads here."""
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False
        )
        app = web.Application(client_max_size=4 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._server = await listen(app)
        self.kubeconfig.write_text(_kubeconfig(f"http://127.0.0.1:{self._server.port}"))

    async def down(self) -> None:
        """Close all that is open, and end whoever still answers."""
        if self._server is not None:
            await self._server.end()
        answering = asyncio.all_tasks() - {asyncio.current_task()}
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)
        if self._session is not None:
            if self._session.connector is not None:
                # A server that says goodbye late would keep them open beyond the loop's own end.
                await self._session.connector.close(abort_ssl=True)
            await self._session.close()
            # Connections with TLS are closed in turns of the loop that nobody waits for.
            await asyncio.sleep(0.25)


def is_watch(request: web.Request) -> bool:
    return request.query.get("watch", "") in ("1", "true")


def watches_only(fault: Fault) -> Fault:
    """All else is answered as always."""

    async def answer(api: FaultyApi, request: web.Request) -> web.StreamResponse:
        return await (fault if is_watch(request) else FaultyApi.passed)(api, request)

    return answer


def in_turn(*faults: Fault) -> Fault:
    """One request so, the next one so."""
    order = itertools.cycle(faults)

    async def answer(api: FaultyApi, request: web.Request) -> web.StreamResponse:
        return await next(order)(api, request)

    return answer


def status(code: int, **headers: str) -> Fault:
    async def answer(api: FaultyApi, request: web.Request) -> web.StreamResponse:
        body = {"kind": "Status", "apiVersion": "v1", "code": code, "message": f"fault {code}"}
        return web.json_response(body, status=code, headers=headers)

    return answer


async def garbage(api: FaultyApi, request: web.Request) -> web.StreamResponse:
    """A proxy's login page, with status 200."""
    return web.Response(text="<html>log in</html>\n", content_type="text/html")


async def back_soon(api: FaultyApi, request: web.Request) -> web.StreamResponse:
    """A proxy's page for maintenance, with status 200, and no line end."""
    return web.Response(text="<html>We are back soon</html>", content_type="text/html")


async def empty(api: FaultyApi, request: web.Request) -> web.StreamResponse:
    """Status 200, and nothing."""
    return web.Response()


async def breaks_off(api: FaultyApi, request: web.Request) -> web.StreamResponse:
    """Status 503, and a body that is not sent to its end."""
    out = web.StreamResponse(status=503, headers={"Content-Length": "100"})
    await out.prepare(request)
    await out.write(b"{")
    return await reset(api, request)


async def lost_way(api: FaultyApi, request: web.Request) -> web.StreamResponse:
    """A proxy's page for what it does not know, with status 404."""
    return web.Response(text="<html>404 Not Found</html>", status=404, content_type="text/html")


async def half_a_line(api: FaultyApi, request: web.Request) -> web.StreamResponse:
    """A watch begins to say something, and ends."""
    return web.Response(text='{"type": "ADDED", "object": {"metadata"')


async def told_gone(api: FaultyApi, request: web.Request) -> web.StreamResponse:
    """A watch says in its stream that the version is too old."""
    gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
    return web.Response(text=json.dumps({"type": "ERROR", "object": gone}) + "\n")


async def reset(api: FaultyApi, request: web.Request) -> web.StreamResponse:
    """The connection is cut before an answer."""
    if request.transport is not None:
        request.transport.abort()
    raise asyncio.CancelledError


async def silent(api: FaultyApi, request: web.Request) -> web.StreamResponse:
    """Nothing is answered until the fault is over."""
    await api.until_well()
    return await api.passed(request)


def slow(seconds: float) -> Fault:
    async def answer(api: FaultyApi, request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await api.passed(request)

    return answer


@contextmanager
def faulty_api(kubeconfig: Path, folder: Path) -> Iterator[FaultyApi]:
    """Serve in a thread of its own: tests of processes are synchronous."""
    server, tls = _of(yaml.safe_load(kubeconfig.read_text()), folder)
    api = FaultyApi(server, tls, folder / "through-faults.kubeconfig")
    loop = api._loop
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(api.up(), loop).result(30)
    try:
        yield api
    finally:
        api.end()
        asyncio.run_coroutine_threadsafe(api.down(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def _of(config: dict[str, Any], folder: Path) -> tuple[str, ssl.SSLContext]:
    """Return the server's address, and how to speak to it."""
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    files = {}
    for name, source in (
        ("ca", cluster["certificate-authority-data"]),
        ("crt", user["client-certificate-data"]),
        ("key", user["client-key-data"]),
    ):
        files[name] = folder / f"upstream.{name}"
        files[name].write_bytes(base64.b64decode(source))
    tls = ssl.create_default_context(cafile=str(files["ca"]))
    tls.load_cert_chain(files["crt"], files["key"])
    return cluster["server"], tls


def _kubeconfig(server: str) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "faults",
            "clusters": [{"name": "faults", "cluster": {"server": server}}],
            "users": [{"name": "faults", "user": {}}],
            "contexts": [{"name": "faults", "context": {"cluster": "faults", "user": "faults"}}],
        }
    )
