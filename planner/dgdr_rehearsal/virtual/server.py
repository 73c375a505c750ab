"""The same over HTTP, with upstream's handshake.

``POST /v1/windows`` answers as a line does; ``GET /v1/decision`` tells what to carry out, and
``POST /v1/ack`` that it was.
"""

import asyncio
import json
import signal
import time
from collections.abc import Callable

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dgdr_rehearsal.virtual.handshake import BadAck, Handshake
from dgdr_rehearsal.virtual.session import Session, error_line, undigested
from dgdr_rehearsal.virtual.window import BadWindow, read_window


class Ack(BaseModel):
    """A decision that was carried out."""

    model_config = ConfigDict(extra="ignore", strict=True)

    scaled_decision_id: int = Field(description="the decision_id that /v1/decision gave")


class Service:
    """One session, and what its callers have agreed on."""

    def __init__(self, session: Session, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._clock_s = clock_s
        self._handshake = Handshake()

    def application(self) -> web.Application:
        """Return the routes."""
        application = web.Application()
        application.add_routes(
            [
                web.post("/v1/windows", self._windows),
                web.get("/v1/decision", self._decision),
                web.post("/v1/ack", self._ack),
                web.get("/healthz", self._healthz),
            ]
        )
        return application

    async def _windows(self, request: web.Request) -> web.Response:
        try:
            answer = self._session.answer(read_window(await request.read()))
        except BadWindow as exc:
            return _json(error_line(str(exc)), status=400)
        except Exception as exc:
            return _json(undigested(exc), status=500)
        self._handshake = self._handshake.answered(answer, self._clock_s())
        return _json(answer.to_json())

    async def _decision(self, _: web.Request) -> web.Response:
        self._handshake = self._handshake.settled(self._clock_s())
        return _json(json.dumps(self._handshake.to_object()))

    async def _ack(self, request: web.Request) -> web.Response:
        try:
            told = Ack.model_validate_json(await request.read()).scaled_decision_id
            self._handshake = self._handshake.acknowledged(told, self._clock_s())
        except ValidationError:
            text = 'the body is no acknowledgement: give {"scaled_decision_id": 7}'
            return _json(error_line(text), status=400)
        except BadAck as exc:
            return _json(error_line(str(exc)), status=409)
        return _json(json.dumps({"scaled_decision_id": self._handshake.scaled_decision_id}))

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")


def serve(session: Session, host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve until told to stop; ``say`` is told where, because port 0 is any free one.

    Raises:
        OSError: the address cannot be served.
    """
    asyncio.run(_serve(session, host, port, say))


async def _serve(session: Session, host: str, port: int, say: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(Service(session).application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0]
        say(f"serving on http://{bound[0]}:{bound[1]}")
        await stop.wait()
    finally:
        await runner.cleanup()


def _json(text: str, *, status: int = 200) -> web.Response:
    return web.Response(text=f"{text}\n", status=status, content_type="application/json")
