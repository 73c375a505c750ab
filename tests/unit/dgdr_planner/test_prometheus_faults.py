"""Everything that a Prometheus, or what stands in front of it, can answer instead of samples."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from dgdr_planner.adapters.prometheus import PrometheusMetrics
from dgdr_planner.core.measure import measure
from dgdr_planner.core.observation import number
from dgdr_planner.core.queries import frontend_samples
from dgdr_planner.core.snapshot import NoSnapshot, Snapshot, graph_key
from support.planning import MODEL, NAMESPACE, frontend

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
SCRAPES = (983.0, 988.0, 993.0, 998.0)


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/api/v1/query", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield str(runner.addresses[0][1]).join(("http://127.0.0.1:", ""))
    finally:
        await runner.cleanup()


async def good(request: web.Request) -> web.StreamResponse:
    if request.query["query"] == "time()":
        return web.json_response({"data": {"resultType": "scalar", "result": [1000.0, "1000"]}})
    entries = frontend(SCRAPES, rate_per_s=6)
    return web.json_response({"data": {"resultType": "matrix", "result": entries}})


def status(code: int, text: str = "no") -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text=text)

    return answer


def body(text: str, kind: str = "application/json") -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type=kind)

    return answer


async def slow(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def asked(url: str, timeout_s: float = 2.0) -> Snapshot | NoSnapshot:
    metrics = PrometheusMetrics(timeout_s=timeout_s)
    try:
        return await metrics.snapshot(url, 20)
    finally:
        metrics.close()


async def test_samples_are_read() -> None:
    async with answering(good) as url:
        snapshot = await asked(url)
    load = measure(snapshot, graph_key(NAMESPACE, "demo-q-dgd"), 20, MODEL, 1)
    assert number(load.rate_per_s) == pytest.approx(6)


@pytest.mark.parametrize(
    ("answer", "reason", "said"),
    [
        (status(401), "PrometheusRefused", "401"),
        (status(403), "PrometheusRefused", "403"),
        (status(422), "PrometheusRefused", "422"),
        (status(500), "PrometheusRefused", "500"),
        (status(503), "PrometheusRefused", "503"),
        (body("<html>log in</html>", "text/html"), "PrometheusAnswerUnreadable", "no query result"),
        (body(""), "PrometheusAnswerUnreadable", "no query result"),
        (body("[]"), "PrometheusAnswerUnreadable", "no query result"),
        (body('{"status": "success"}'), "PrometheusAnswerUnreadable", "no query result"),
        (body('{"data": {"result": []}}'), "PrometheusAnswerUnreadable", "no query result"),
        (body('{"data": {"result": [1]}}'), "PrometheusAnswerUnreadable", "no query result"),
        (slow, "PrometheusTimeout", "within 0.3 s"),
    ],
)
async def test_what_is_no_answer_is_a_cause(answer: Answer, reason: str, said: str) -> None:
    async with answering(answer) as url:
        snapshot = await asked(url, timeout_s=0.3 if answer is slow else 2.0)
    assert isinstance(snapshot, NoSnapshot)
    assert snapshot.reason == reason
    assert said in snapshot.cause


async def test_nobody_there_is_a_cause() -> None:
    async with answering(good) as url:
        pass
    snapshot = await asked(url)
    assert isinstance(snapshot, NoSnapshot)
    assert snapshot.reason == "PrometheusUnreachable"


@pytest.mark.parametrize(
    "matrix",
    [
        [{"metric": {}, "values": [[1, "1"]]}],
        [{"metric": {"__name__": "x"}, "values": [[1, "a"]]}],
        [{"metric": {"__name__": "x"}}],
    ],
)
async def test_strange_series_are_a_cause(matrix: list[object]) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.query["query"] == "time()":
            return await good(request)
        return web.json_response({"data": {"result": matrix}})

    async with answering(answer) as url:
        snapshot = await asked(url)
    assert isinstance(snapshot, NoSnapshot)
    assert snapshot.reason == "PrometheusAnswerUnreadable"


async def test_credentials_are_never_shown() -> None:
    snapshot = await asked("http://me:secret@127.0.0.1:9/?token=abc", timeout_s=1.0)
    assert isinstance(snapshot, NoSnapshot)
    assert "secret" not in snapshot.cause
    assert "abc" not in snapshot.cause
    assert "127.0.0.1:9" in snapshot.cause


async def test_planners_of_the_same_moment_share_one_snapshot() -> None:
    asks = []

    async def counted(request: web.Request) -> web.StreamResponse:
        asks.append(request.query["query"])
        return await good(request)

    now = [0.0]
    metrics = PrometheusMetrics(clock=lambda: now[0])
    async with answering(counted) as url:
        first = await asyncio.gather(*(metrics.snapshot(url, 20) for _ in range(100)))
        assert len(asks) == 2
        assert all(one is first[0] for one in first)
        await metrics.snapshot(url, 60)
        assert len(asks) == 4
        now[0] = 6.0
        assert await metrics.snapshot(url, 20) is not first[0]
    metrics.close()


async def test_a_slow_server_delays_nobody_else() -> None:
    metrics = PrometheusMetrics(timeout_s=1.0)
    async with answering(slow) as hanging, answering(good) as working:
        stuck = [asyncio.create_task(metrics.snapshot(hanging, 20 + n)) for n in range(8)]
        await asyncio.sleep(0.05)
        began = time.monotonic()
        assert isinstance(await metrics.snapshot(working, 20), Snapshot)
        assert time.monotonic() - began < 0.9
        assert all(isinstance(one, NoSnapshot) for one in await asyncio.gather(*stuck))
    metrics.close()


async def test_a_planner_that_gives_up_leaves_the_others_their_answer() -> None:
    metrics = PrometheusMetrics()
    async with answering(good) as url:
        impatient = asyncio.create_task(metrics.snapshot(url, 20))
        await asyncio.sleep(0)
        patient = asyncio.create_task(metrics.snapshot(url, 20))
        await asyncio.sleep(0)
        impatient.cancel()
        assert isinstance(await patient, Snapshot)
    metrics.close()


def test_the_query_fits_into_a_url() -> None:
    assert len(json.dumps(frontend_samples([f"team-{n}" for n in range(50)], 60))) < 4000
