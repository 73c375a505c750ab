"""A client writes nothing once its process may not lead any more, and reads all the same."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration

from dgdr_kube.client import KubeCluster
from dgdr_kube.errors import NotLeading, Unreachable
from dgdr_kube.kinds import CONFIG_MAP, DGD
from dgdr_kube.ports import Event, ObjectRef

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "n", "name": "m"}}


@dataclass
class Server:
    """Notes what reaches it, and answers after ``takes_s``."""

    left_s: float = 10.0
    takes_s: float = 0.0
    heard: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.heard.append(request.method)
        await asyncio.sleep(self.takes_s)
        return web.json_response(MAP)


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def cluster(server: Server) -> AsyncIterator[KubeCluster]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    api = ApiClient(Configuration(host=f"http://{host}:{port}"))
    client = KubeCluster(api, instance="t", left_s=lambda: server.left_s)
    yield client
    await client.close()
    await runner.cleanup()


def writes(cluster: KubeCluster) -> dict[str, Any]:
    return {
        "create": lambda: cluster.create(MAP, "me"),
        "apply": lambda: cluster.apply(MAP, "me"),
        "patch": lambda: cluster.patch(CONFIG_MAP, "n", "m", {}, "me"),
        "patch_status": lambda: cluster.patch_status(DGD, "n", "m", {}, "me"),
        "scale": lambda: cluster.scale(DGD, "n", "m", 1, "me"),
        "delete": lambda: cluster.delete(CONFIG_MAP, "n", "m"),
    }


async def test_every_write_goes_out_while_the_process_leads(
    cluster: KubeCluster, server: Server
) -> None:
    for write in writes(cluster).values():
        await write()
    assert len(server.heard) == 6


async def test_no_write_goes_out_when_it_may_not_lead(cluster: KubeCluster, server: Server) -> None:
    server.left_s = 0.0
    for write in writes(cluster).values():
        with pytest.raises(NotLeading):
            await write()
    about = ObjectRef(kind=CONFIG_MAP, namespace="n", name="m", uid="u")
    await cluster.emit(Event(about=about, reason="R", message="m"))
    assert server.heard == []


async def test_reads_go_out_all_the_same(cluster: KubeCluster, server: Server) -> None:
    server.left_s = 0.0
    assert await cluster.get(CONFIG_MAP, "n", "m") == MAP


async def test_a_write_is_cut_off_when_another_may_lead(
    cluster: KubeCluster, server: Server
) -> None:
    server.left_s, server.takes_s = 0.2, 60.0
    with pytest.raises(Unreachable, match="TimeoutError"):
        await cluster.create(MAP, "me")
