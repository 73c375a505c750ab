"""Health and metrics of a controller over HTTP.

Health means that the loops turn: a controller whose watches or workers stand still answers 503,
and the kubelet starts it again.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST


class Followed(Protocol):
    """A watch, as far as health asks for it."""

    @property
    def followed(self) -> bool:
        """Whether it tells what happens now."""
        ...

    def silent_s(self) -> float:
        """Seconds since the last sign of life, a failure that is waited out included."""
        ...


@dataclass
class Health:
    """When each loop of the process was last seen alive.

    A loop that turns by itself beats, at least every ``stalled_after_s / 3``. One that waits for
    work is watched instead: by how long its current piece of work has not got on.
    """

    stalled_after_s: float = 180.0
    clock: Callable[[], float] = time.monotonic
    beats: dict[str, float] = field(default_factory=dict)
    watched: dict[str, Callable[[], float]] = field(default_factory=dict)
    followed: dict[str, Followed] = field(default_factory=dict)
    leads: Callable[[], bool] = lambda: False
    """Whether this process works; one that stands by is ready too."""

    def beat(self, loop: str) -> None:
        """Note that this loop is alive now."""
        self.beats[loop] = self.clock()

    def watch(self, loop: str, halted_s: Callable[[], float]) -> None:
        """Ask this loop, at every check, for how many seconds its work has not got on."""
        self.watched[loop] = halted_s

    def follow(self, kind: str, scope: str | None, watch: Followed) -> None:
        """Be alive only while this watch is heard of, and ready only while it is followed.

        Being without it is no reason to be restarted: that brings no API server back.
        """
        name = f"watch of {kind}" + (f" in {scope}" if scope else "")
        self.watch(name, watch.silent_s)
        self.followed[name] = watch

    def ready(self) -> bool:
        """Whether the process does its work now, or could begin it at once."""
        begun = bool(self.beats or self.followed)
        return begun and not self.stalled() and not self.unheard()

    def unheard(self) -> list[str]:
        """Watches that do not tell what happens now."""
        return [name for name, watch in self.followed.items() if not watch.followed]

    def ages_s(self) -> dict[str, float]:
        """Seconds since each loop's last sign of life."""
        now = self.clock()
        beaten = {loop: now - seen for loop, seen in self.beats.items()}
        watched = {loop: halted_s() for loop, halted_s in self.watched.items()}
        return {loop: round(age_s, 1) for loop, age_s in (beaten | watched).items()}

    def stalled(self) -> list[str]:
        """Loops that stand still."""
        return [loop for loop, age_s in self.ages_s().items() if age_s > self.stalled_after_s]


def application(health: Health, registry: CollectorRegistry) -> web.Application:
    """Return the web application with ``/healthz``, ``/readyz`` and ``/metrics``."""

    async def healthz(_: web.Request) -> web.Response:
        stalled = health.stalled()
        body = {"last_pass_age_s": health.ages_s(), "stalled": stalled}
        return web.json_response(body, status=503 if stalled else 200)

    async def readyz(_: web.Request) -> web.Response:
        ready = health.ready()
        body = {"ready": ready, "leads": health.leads(), "unheard": health.unheard()}
        return web.json_response(body, status=200 if ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        page = generate_latest(registry)
        return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app


async def start(app: web.Application, port: int, host: str = "0.0.0.0") -> web.AppRunner:
    """Serve until the returned runner is cleaned up."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
