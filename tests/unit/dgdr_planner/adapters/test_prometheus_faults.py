"""Everything that a Prometheus, or what stands in front of it, can answer instead of samples."""

import asyncio
import errno
import http.client
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import requests
from aiohttp import web

from dgdr_planner.adapters.prometheus import HISTORIES_AT_ONCE, PrometheusMetrics
from dgdr_planner.adapters.prometheus_http import cause_of
from dgdr_planner.observe.endpoint import Credentials, Endpoint
from dgdr_planner.observe.history import Sample
from dgdr_planner.observe.load import measure
from dgdr_planner.observe.queries import BUCKETED, buckets, frontend_samples
from dgdr_planner.observe.snapshot import NoSnapshot, Snapshot, graph_key
from dgdr_planner.observe.value import Unknown, number
from support.listening import listen
from support.planning import DYNAMO_NAMESPACE, MODEL, NAMESPACE, frontend

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
SCRAPES = (983.0, 988.0, 993.0, 998.0)
NOTHING = Credentials()


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/api/v1/{call}", answer)
    server = await listen(app)
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.end()


async def good(request: web.Request) -> web.StreamResponse:
    query = request.query["query"]
    if query == "time()":
        return result("scalar", [1000.0, "1000"])
    if query.startswith("label_replace"):
        return result("vector", bucket_rows())
    return result("matrix", frontend(SCRAPES, rate_per_s=6))


def result(kind: str, found: object, **more: object) -> web.Response:
    return web.json_response({"data": {"resultType": kind, "result": found}} | more)


def bucket_rows() -> list[dict[str, object]]:
    """100 requests, half of them in each of two buckets."""
    return [
        {
            "metric": {
                "namespace": NAMESPACE,
                "dynamo_namespace": DYNAMO_NAMESPACE,
                "histogram": name,
                "le": bound,
            },
            "value": [1000.0, grown],
        }
        for name in BUCKETED
        for bound, grown in (("0.1", "50"), ("0.2", "100"), ("+Inf", "100"))
    ]


def status(code: int, text: str = "no") -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=code, text=text)

    return answer


def body(text: str, kind: str = "application/json") -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=text, content_type=kind)

    return answer


def scalar(result_: str) -> str:
    return f'{{"data": {{"resultType": "scalar", "result": {result_}}}}}'


async def part(request: web.Request) -> web.StreamResponse:
    if request.query["query"].startswith("{"):
        return result("matrix", frontend(SCRAPES), warnings=["a store did not answer"])
    return await good(request)


async def drip(request: web.Request) -> web.StreamResponse:
    """A byte now and then, for ever: no time-out between two bytes ends this."""
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b" ")
        await asyncio.sleep(0.05)


async def slow(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def asked(
    url: str,
    timeout_s: float = 5.0,
    most_bytes: int = 2**20,
    credentials: Credentials = NOTHING,
    **parameters: str,
) -> Snapshot | NoSnapshot:
    metrics = PrometheusMetrics(most_bytes=most_bytes)
    endpoint = Endpoint(
        url=url,
        timeout_s=timeout_s,
        credentials=credentials,
        parameters=tuple(parameters.items()),
    )
    try:
        return await metrics.snapshot(endpoint, 20)
    finally:
        await metrics.close()


async def test_samples_are_read() -> None:
    async with answering(good) as url:
        snapshot = await asked(url)
    load = measure(snapshot, graph_key(NAMESPACE, "demo-q-dgd"), 20, MODEL, 1)
    assert number(load.rate_per_s) == pytest.approx(6)
    assert number(load.quantiles["ttft_p50"]) == pytest.approx(100)
    assert number(load.quantiles["itl_p99"]) == pytest.approx(198)


@pytest.mark.parametrize(
    ("answer", "reason", "said"),
    [
        (status(301), "PrometheusRefused", "answered 301: it redirects"),
        (status(401), "PrometheusRefused", "answered 401: it wants credentials"),
        (status(403), "PrometheusRefused", "answered 403: the credentials do not allow"),
        (status(404), "PrometheusRefused", "answered 404: there is no Prometheus API"),
        (status(422), "PrometheusRefused", "answered 422"),
        (status(500), "PrometheusRefused", "answered 500: it is starting, overloaded or broken"),
        (status(503), "PrometheusRefused", "answered 503"),
        (body("<html>log in</html>", "text/html"), "PrometheusAnswerUnreadable", "no JSON"),
        (body(""), "PrometheusAnswerUnreadable", "no JSON"),
        (body("[" * 100_000), "PrometheusAnswerUnreadable", "no query result"),
        (body("[]"), "PrometheusAnswerUnreadable", "no data.result"),
        (body('{"status": "success"}'), "PrometheusAnswerUnreadable", "no data.result"),
        (body('{"data": {"result": {}}}'), "PrometheusAnswerUnreadable", "no data.result"),
        (body('{"data": {"result": []}}'), "PrometheusAnswerUnreadable", "no query result"),
        (body(scalar("[1]")), "PrometheusAnswerUnreadable", "no query result"),
        (body(scalar('[1, "NaN"]')), "PrometheusAnswerUnreadable", "no query result"),
        (body(" " * 2**20 + "{}"), "PrometheusAnswerUnreadable", "more than 1 MiB"),
        (part, "PrometheusPartial", "not complete"),
        (drip, "PrometheusTimeout", "within 0.3 s"),
        (slow, "PrometheusTimeout", "within 0.3 s"),
    ],
)
async def test_what_is_no_answer_is_a_cause(answer: Answer, reason: str, said: str) -> None:
    async with answering(answer) as url:
        snapshot = await asked(url, timeout_s=0.3 if answer in (slow, drip) else 5.0)
    assert isinstance(snapshot, NoSnapshot)
    assert snapshot.reason == reason
    assert said in snapshot.cause


async def test_nobody_there_is_a_cause() -> None:
    async with answering(good) as url:
        pass
    snapshot = await asked(url)
    assert isinstance(snapshot, NoSnapshot)
    assert snapshot.reason == "PrometheusUnreachable"
    assert snapshot.cause == (
        f"Prometheus at {url} cannot be reached (connection refused); correct the chart's "
        "prometheus.url or spec.metrics.prometheus.url"
    )


@pytest.mark.parametrize(
    ("first", "reason", "said"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "PrometheusUnreachable", "(name not found)"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "PrometheusUnreachable", "(name lookup failed)"),
        (OSError(errno.ENETUNREACH, "x"), "PrometheusUnreachable", "(network is unreachable)"),
        (http.client.RemoteDisconnected("x"), "PrometheusUnreachable", "(RemoteDisconnected)"),
        (TimeoutError(), "PrometheusTimeout", "within 10 s; see its own log, and check network"),
        (ssl.SSLError(1, "x"), "PrometheusUntrusted", "check CA bundle and certificate"),
    ],
)
def test_why_nobody_is_reached_is_told_apart(first: Exception, reason: str, said: str) -> None:
    kinds = {TimeoutError: requests.Timeout, ssl.SSLError: requests.exceptions.SSLError}
    exc = kinds.get(type(first), requests.ConnectionError)("x")
    exc.__cause__ = first
    found = cause_of(Endpoint(url="http://p:9090"), exc)
    assert found.reason == reason
    assert said in found.cause


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
        if not request.query["query"].startswith("{"):
            return await good(request)
        return result("matrix", matrix)

    async with answering(answer) as url:
        snapshot = await asked(url)
    assert isinstance(snapshot, NoSnapshot)
    assert snapshot.reason == "PrometheusAnswerUnreadable"


async def test_what_a_server_says_is_never_repeated() -> None:
    said = "<html>token=abc of me:secret in team-b</html>"
    async with answering(status(500, said)) as url:
        snapshot = await asked(url.replace("//", "//me:secret@") + "/?token=abc#abc")
    assert isinstance(snapshot, NoSnapshot)
    for secret in ("secret", "abc", "html", "team-b"):
        assert secret not in snapshot.cause
    assert "127.0.0.1" in snapshot.cause


async def test_a_redirect_is_not_followed() -> None:
    hits = []

    async def away(request: web.Request) -> web.StreamResponse:
        hits.append(request.path)
        return web.Response(status=302, headers={"Location": "/api/v1/elsewhere"})

    async with answering(away) as url:
        await asked(url)
    assert hits == ["/api/v1/query"]


async def test_credentials_and_parameters_go_with_each_question() -> None:
    seen: list[tuple[str | None, str | None]] = []

    async def noting(request: web.Request) -> web.StreamResponse:
        seen.append((request.headers.get("Authorization"), request.query.get("dedup")))
        return await good(request)

    async with answering(noting) as url:
        found = await asked(url, credentials=Credentials(token="t0ken"), dedup="true")
    assert isinstance(found, Snapshot)
    assert seen == [("Bearer t0ken", "true")] * 3


async def test_a_certificate_that_is_none_is_a_cause() -> None:
    broken = Credentials(certificate_pem="no", key_pem="pem")
    snapshot = await asked("https://127.0.0.1:1", credentials=broken)
    assert isinstance(snapshot, NoSnapshot)
    assert snapshot.reason == "PrometheusCredentialsUnreadable"


def test_an_endpoint_shows_nothing_secret() -> None:
    held = Credentials(token="t0ken", key_pem="k3y", certificate_pem="c3rt", ca_pem="c4")
    shown = repr(Endpoint(url="http://p", parameters=(("a", "p4ram"),), credentials=held))
    assert not any(secret in shown for secret in ("t0ken", "k3y", "c3rt", "c4", "p4ram"))


async def test_samples_without_percentiles_are_samples() -> None:
    async def no_buckets(request: web.Request) -> web.StreamResponse:
        if request.query["query"].startswith("label_replace"):
            return web.Response(status=422)
        return await good(request)

    async with answering(no_buckets) as url:
        snapshot = await asked(url)
    load = measure(snapshot, graph_key(NAMESPACE, DYNAMO_NAMESPACE), 20, MODEL, 1)
    assert number(load.rate_per_s) == pytest.approx(6)
    assert load.quantiles["ttft_p95"] == Unknown(
        "PrometheusRefused", load.quantiles["ttft_p95"].cause
    )


async def test_planners_of_the_same_moment_share_one_snapshot_and_none_is_kept() -> None:
    asks = []

    async def counted(request: web.Request) -> web.StreamResponse:
        asks.append(request.query["query"])
        return await good(request)

    metrics = PrometheusMetrics(shared_for_s=0.5)
    async with answering(counted) as url:
        one, other = Endpoint(url=url), Endpoint(url=url, credentials=Credentials(token="t"))
        first = await asyncio.gather(*(metrics.snapshot(one, 20) for _ in range(100)))
        assert len(asks) == 3
        assert all(same is first[0] for same in first)
        await metrics.snapshot(one, 60)
        await metrics.snapshot(other, 20)
        assert len(asks) == 9
        await asyncio.sleep(0.6)
        assert metrics.held() == 0
        assert await metrics.snapshot(one, 20) is not first[0]
    await metrics.close()


async def test_a_server_that_does_not_answer_is_waited_for_once() -> None:
    metrics = PrometheusMetrics(shared_for_s=5.0)
    async with answering(slow) as url:
        endpoint = Endpoint(url=url, timeout_s=0.3)
        await metrics.snapshot(endpoint, 20)
        began = time.monotonic()
        await metrics.snapshot(endpoint, 20)
        assert time.monotonic() - began < 0.2
    await metrics.close()


async def test_a_slow_server_delays_nobody_else() -> None:
    metrics = PrometheusMetrics()
    async with answering(slow) as hanging, answering(good) as working:
        stuck = [
            asyncio.create_task(metrics.snapshot(Endpoint(url=hanging, timeout_s=5.0), 20 + n))
            for n in range(50)
        ]
        await asyncio.sleep(0.05)
        assert isinstance(await metrics.snapshot(Endpoint(url=working), 20), Snapshot)
        assert not any(task.done() for task in stuck)
        await metrics.close()
        await asyncio.gather(*stuck, return_exceptions=True)


async def test_nobody_waits_for_the_past_of_a_server_that_does_not_answer() -> None:
    metrics = PrometheusMetrics()
    graph = graph_key(NAMESPACE, DYNAMO_NAMESPACE)
    async with answering(slow) as url:
        endpoint = Endpoint(url=url, timeout_s=0.3)
        failed = await metrics.snapshot(endpoint, 60)
        began = time.monotonic()
        told = await asyncio.gather(
            *(metrics.history(endpoint, graph, 60, 10, 5) for _ in range(100))
        )
        assert time.monotonic() - began < 0.3
        assert all(one is failed for one in told)
    await metrics.close()


async def test_nobody_waits_long_for_the_pasts_of_others() -> None:
    """A pass that stands still for minutes would be taken for one that hangs."""
    metrics = PrometheusMetrics(turn_s=0.05)
    graph = graph_key(NAMESPACE, DYNAMO_NAMESPACE)
    async with answering(slow) as url:
        endpoint = Endpoint(url=url, timeout_s=5.0)
        asked = [asyncio.create_task(metrics.history(endpoint, graph, 60, 10, 5)) for _ in range(9)]
        done, waiting = await asyncio.wait(asked, timeout=1.0)
        assert len(waiting) == HISTORIES_AT_ONCE
        causes = {one.reason for task in done if isinstance(one := task.result(), NoSnapshot)}
        assert (len(done), causes) == (5, {"HistoryWaits"})
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    await metrics.close()


async def test_a_planner_that_gives_up_leaves_the_others_their_answer() -> None:
    metrics = PrometheusMetrics()
    async with answering(good) as url:
        impatient = asyncio.create_task(metrics.snapshot(Endpoint(url=url), 20))
        await asyncio.sleep(0)
        patient = asyncio.create_task(metrics.snapshot(Endpoint(url=url), 20))
        await asyncio.sleep(0)
        impatient.cancel()
        assert isinstance(await patient, Snapshot)
    await metrics.close()


async def test_the_past_is_dated_by_our_clock() -> None:
    """Prometheus's clock is ten minutes ahead."""

    async def past(request: web.Request) -> web.StreamResponse:
        if "query_range" not in request.path:
            return result("scalar", [1600.0, "1600"])
        assert float(request.query["start"]) == 1600 - 2 * 60
        rows = [
            {"metric": {"of": "rate"}, "values": [[1480, "1"], [1540, "NaN"], [1600, "3"]]},
            {"metric": {"of": "isl"}, "values": [[1600, "2048"]]},
        ]
        return result("matrix", rows)

    metrics = PrometheusMetrics(clock=lambda: 1000.0)
    async with answering(past) as url:
        found = await metrics.history(
            Endpoint(url=url), graph_key(NAMESPACE, DYNAMO_NAMESPACE), 60, 3, 5
        )
    await metrics.close()
    assert found == (
        Sample(at_s=880, window_s=60, rate_per_s=1),
        Sample(at_s=1000, window_s=60, rate_per_s=3, isl=2048),
    )


async def test_a_short_interval_is_the_step_of_the_past_and_not_its_window() -> None:
    """An interval of one scrape holds no two samples to count by."""
    asked: dict[str, str] = {}

    async def past(request: web.Request) -> web.StreamResponse:
        if "query_range" not in request.path:
            return result("scalar", [1600.0, "1600"])
        asked.update(request.query)
        return result("matrix", [{"metric": {"of": "rate"}, "values": [[1595, "2"], [1600, "3"]]}])

    metrics = PrometheusMetrics(clock=lambda: 1600.0)
    async with answering(past) as url:
        graph = graph_key(NAMESPACE, DYNAMO_NAMESPACE)
        found = await metrics.history(Endpoint(url=url), graph, 5, 3, 5)
    await metrics.close()
    assert "[20000ms]" in asked["query"]
    assert "[5000ms]" not in asked["query"]
    assert (float(asked["start"]), float(asked["step"])) == (1590, 5)
    assert found == (
        Sample(at_s=1595, window_s=20, rate_per_s=2),
        Sample(at_s=1600, window_s=20, rate_per_s=3),
    )


def test_the_query_fits_into_a_url() -> None:
    assert len(json.dumps(frontend_samples([f"team-{n}" for n in range(50)], 60))) < 4000
    assert len(json.dumps(buckets([f"team-{n}" for n in range(50)], 60))) < 6000
