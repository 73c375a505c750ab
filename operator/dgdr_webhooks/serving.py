"""The webhooks over HTTPS: bytes in, bytes out; what they say is decided in ``core``."""

import asyncio
import json
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from dgdr_api.crd import CONVERT_PATH
from dgdr_webhooks.core import admission_review, conversion_review
from dgdr_webhooks.core.conversion_review import BadReview
from dgdr_webhooks.telemetry import Telemetry

VALIDATE_PATH, DEFAULT_PATH = "/validate", "/default"
# A list comes whole: thousands of deployments of some 20 KiB.
MOST_BYTES = 256 * 2**20
# Lists are work for a CPU; more of them at once would only take more memory. Conversions have
# threads of their own: every read of v1alpha1 waits for one, and none is to wait for a check.
THREADS = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back, and what became of it."""

    body: Any
    result: str
    objects: int


Webhook = Callable[[Any], Answer]


def convert(review: Any) -> Answer:
    """Answer a ConversionReview; raises BadReview."""
    found = conversion_review.answer(review)
    return Answer(found.review, "failed" if found.failed else "ok", found.objects)


def validate(review: Any) -> Answer:
    """Answer a validating AdmissionReview; raises BadReview."""
    found = admission_review.validated(review)
    return Answer(found.review, "ok" if found.allowed else "refused", 1)


def default(review: Any, image: str) -> Answer:
    """Answer a mutating AdmissionReview; raises BadReview."""
    return Answer(admission_review.defaulted(review, image).review, "ok", 1)


def application(image: str, telemetry: Telemetry) -> web.Application:
    """Return the application with its three webhooks; ``image`` is what requests get by default."""
    conversions = ThreadPoolExecutor(THREADS, thread_name_prefix="conversion")
    admissions = ThreadPoolExecutor(THREADS, thread_name_prefix="admission")
    webhooks: dict[str, Webhook] = {
        CONVERT_PATH: convert,
        VALIDATE_PATH: validate,
        DEFAULT_PATH: partial(default, image=image),
    }

    async def handle(request: web.Request) -> web.Response:
        webhook, body = webhooks[request.path], await request.read()
        begun_s = time.perf_counter()
        threads = conversions if request.path == CONVERT_PATH else admissions
        loop = asyncio.get_running_loop()
        try:
            sent, answer = await loop.run_in_executor(threads, _answered, webhook, body)
        except RecursionError:
            _count(request.path, Answer(None, "unreadable", 0), begun_s)
            return web.Response(status=400, text="the objects are nested too deeply")
        except (BadReview, ValueError) as exc:
            _count(request.path, Answer(None, "unreadable", 0), begun_s)
            return web.Response(status=400, text=str(exc))
        _count(request.path, answer, begun_s)
        return web.Response(body=sent, content_type="application/json")

    def _count(path: str, answer: Answer, begun_s: float) -> None:
        seconds = time.perf_counter() - begun_s
        telemetry.reviewed(path.strip("/"), answer.result, answer.objects, seconds)

    app = web.Application(client_max_size=MOST_BYTES)
    for path in webhooks:
        app.router.add_post(path, handle)
    return app


def _answered(webhook: Webhook, body: bytes) -> tuple[bytes, Answer]:
    answer = webhook(json.loads(body))
    return json.dumps(answer.body, separators=(",", ":")).encode(), answer


async def start(
    app: web.Application, port: int, context: ssl.SSLContext, host: str = "0.0.0.0"
) -> web.AppRunner:
    """Serve until the returned runner is cleaned up."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=10)
    await runner.setup()
    await web.TCPSite(runner, host, port, ssl_context=context).start()
    return runner
