"""What the client tells its caller of a server that asks for time, or breaks off."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration

from dgdr_kube.client import KubeCluster
from dgdr_kube.errors import Unreachable
from dgdr_kube.kinds import CONFIG_MAP


async def overloaded(_: web.Request) -> web.Response:
    headers = {"Retry-After": "3"}
    return web.json_response({"kind": "Status", "code": 429}, status=429, headers=headers)


@pytest.fixture
async def cluster() -> AsyncIterator[KubeCluster]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", overloaded)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    client = KubeCluster(ApiClient(Configuration(host=f"http://{host}:{port}")), instance="t")
    yield client
    await client.close()
    await runner.cleanup()


async def test_a_read_says_how_long_to_wait(cluster: KubeCluster) -> None:
    with pytest.raises(Unreachable) as caught:
        await cluster.get(CONFIG_MAP, "ns", "x")
    assert caught.value.retry_after_s == 3.0


async def test_so_does_a_watch(cluster: KubeCluster) -> None:
    with pytest.raises(Unreachable) as caught:
        async with cluster.watch(CONFIG_MAP, "ns", "1"):
            pass
    assert caught.value.retry_after_s == 3.0


async def test_a_refusal_whose_body_breaks_off_is_an_outage() -> None:
    async def breaks_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Unavailable\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(breaks_off, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = KubeCluster(ApiClient(Configuration(host=f"http://127.0.0.1:{port}")), instance="t")
    async with server:
        with pytest.raises(Unreachable, match="503"):
            async with client.watch(CONFIG_MAP, "ns", "1"):
                pass
    await client.close()
