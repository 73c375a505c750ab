"""Servers in tests that may end while somebody is still connecting."""

import asyncio
import socket
import ssl
from dataclasses import dataclass

from aiohttp import web

# Until a connection that the loop has accepted has its transport, its protocol and its task.
_TURNS = 5


@dataclass(frozen=True, slots=True)
class Listening:
    """An application at a port of the loopback."""

    port: int
    _runner: web.AppRunner
    _socket: socket.socket

    async def end(self) -> None:
        """Refuse whoever comes, and close every connection that there is."""
        await accept_no_more(self._socket)
        await self._runner.cleanup()


async def listen(
    app: web.Application, *, port: int = 0, context: ssl.SSLContext | None = None
) -> Listening:
    """Serve at this port, or at a free one."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    own = socket.create_server(("127.0.0.1", port))
    await web.SockSite(runner, own, ssl_context=context).start()
    return Listening(own.getsockname()[1], runner, own)


async def accept_no_more(listening: socket.socket) -> None:
    """Before a server is closed: asyncio leaks a connection that it accepts in the same turn."""
    asyncio.get_running_loop().remove_reader(listening)
    for _ in range(_TURNS):
        await asyncio.sleep(0)
