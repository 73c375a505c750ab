"""The end of one loop is the end of the process; health notices what stands still."""

import asyncio
import json

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from dgdr_kube.errors import Rejected, Unreachable
from dgdr_kube.process import patiently, run_together
from dgdr_kube.serving import Health, application


async def forever() -> None:
    await asyncio.Event().wait()


async def ends() -> None:
    await asyncio.sleep(0)


async def breaks() -> None:
    raise RuntimeError("broken")


async def test_a_watcher_that_was_stopped_ends_the_process_well() -> None:
    assert await run_together(ends(), {"a": forever()}) == 0


async def test_a_watcher_that_breaks_does_not() -> None:
    assert await run_together(breaks(), {"a": forever()}) == 1


@pytest.mark.parametrize("loop", [ends, breaks])
async def test_no_other_loop_may_end(loop: object) -> None:
    assert await run_together(forever(), {"a": loop(), "b": forever()}) == 1  # type: ignore[operator]


async def test_health_tells_a_loop_that_stands_still() -> None:
    clock = [0.0]
    health = Health(stalled_after_s=10, clock=lambda: clock[0])
    health.beat("event loop")
    busy = [0.0]
    health.watch("dgdr", lambda: busy[0])
    async with TestClient(TestServer(application(health, CollectorRegistry()))) as client:
        assert (await client.get("/healthz")).status == 200
        assert (await client.get("/readyz")).status == 200
        busy[0] = 11.0
        answer = await client.get("/healthz")
        assert answer.status == 503
        assert json.loads(await answer.text())["stalled"] == ["dgdr"]
        busy[0], clock[0] = 0.0, 11.0
        assert (await client.get("/readyz")).status == 503
        assert (await client.get("/metrics")).status == 200


async def test_nothing_is_ready_before_the_first_beat() -> None:
    async with TestClient(TestServer(application(Health(), CollectorRegistry()))) as client:
        assert (await client.get("/readyz")).status == 503
        assert (await client.get("/healthz")).status == 200


async def test_a_start_outlasts_an_outage() -> None:
    answers = iter([Unreachable("503"), Rejected(403, "not yet"), Unreachable("503")])
    waits: list[float] = []

    async def call() -> str:
        for error in answers:
            raise error
        return "started"

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    assert await patiently(call, sleep) == "started"
    assert waits == [1.0, 2.0, 4.0]
