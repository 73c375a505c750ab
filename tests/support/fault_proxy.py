"""Stands between a planner and a real Prometheus, and does what servers do on bad days."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from support.listening import Listening, listen

Reply = Callable[["FaultProxy", web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FaultProxy:
    """``fault`` may change at any moment; None passes everything through."""

    upstream: str
    session: aiohttp.ClientSession
    fault: Reply | None = None
    port: int = 0
    server: Listening | None = None
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def up(self) -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self.server = await listen(app, port=self.port)
        self.port = self.server.port

    async def down(self) -> None:
        """Refuse connections, as when nobody is there."""
        if self.server is not None:
            await self.server.end()
            self.server = None

    async def passed(self, request: web.Request, ahead_s: float = 0.0) -> Any:
        """Return the real answer, of a server whose clock is ahead by so much."""
        params = dict(request.query)
        for name in ("time", "start", "end"):
            if name in params:
                params[name] = f"{float(params[name]) - ahead_s:.3f}"
        async with self.session.get(f"{self.upstream}{request.path}", params=params) as answer:
            return await answer.json()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.query.get("query", ""))
        if self.fault is not None:
            return await self.fault(self, request)
        async with self.session.get(f"{self.upstream}{request.rel_url}") as answer:
            body = await answer.read()
            return web.Response(body=body, status=answer.status, content_type=answer.content_type)


@asynccontextmanager
async def fault_proxy(upstream: str) -> AsyncIterator[FaultProxy]:
    async with aiohttp.ClientSession() as session:
        proxy = FaultProxy(upstream, session)
        await proxy.up()
        try:
            yield proxy
        finally:
            await proxy.down()


def status(code: int) -> Reply:
    async def reply(_: FaultProxy, __: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text="token=s3cret of another tenant")

    return reply


async def html(_: FaultProxy, __: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>log in</html>", content_type="text/html")


async def empty(proxy: FaultProxy, request: web.Request) -> web.StreamResponse:
    """Everything is well, but there are no series."""
    answer = await proxy.passed(request)
    if answer["data"]["resultType"] != "scalar":
        answer["data"]["result"] = []
    return web.json_response(answer)


async def slow(proxy: FaultProxy, request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.json_response(await proxy.passed(request))


async def cut(_: FaultProxy, request: web.Request) -> web.StreamResponse:
    """The connection ends in the middle of the answer."""
    answer = web.StreamResponse(headers={"Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b'{"data": {"resultType"')
    if request.transport is not None:
        request.transport.close()
    return answer


def skewed(ahead_s: float) -> Reply:
    """A Prometheus whose clock is ahead of everybody's, samples included."""

    async def reply(proxy: FaultProxy, request: web.Request) -> web.StreamResponse:
        answer = await proxy.passed(request, ahead_s)
        return web.json_response(_shifted(answer, ahead_s))

    return reply


def values(text: str) -> Reply:
    """Every value of every sample reads like this."""

    async def reply(proxy: FaultProxy, request: web.Request) -> web.StreamResponse:
        answer = await proxy.passed(request)
        if answer["data"]["resultType"] == "matrix":
            for entry in answer["data"]["result"]:
                entry["values"] = [[at_s, text] for at_s, _ in entry["values"]]
        return web.json_response(answer)

    return reply


def _shifted(answer: Any, ahead_s: float) -> Any:
    data = answer["data"]
    match data["resultType"]:
        case "scalar":
            at_s, value = data["result"]
            data["result"] = [at_s + ahead_s, str(float(value) + ahead_s)]
        case "vector":
            for entry in data["result"]:
                entry["value"][0] += ahead_s
        case "matrix":
            for entry in data["result"]:
                entry["values"] = [[at_s + ahead_s, value] for at_s, value in entry["values"]]
    return json.loads(json.dumps(answer))
