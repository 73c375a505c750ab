"""A cluster whose authority is renewed under a process goes on being reached."""

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port
from kubernetes.aio.client import ApiClient, Configuration

from dgdr_kube.client import KubeCluster
from dgdr_kube.errors import Unreachable
from dgdr_kube.kinds import CONFIG_MAP
from dgdr_webhooks.core.certificates import Certificates, Terms, renewed

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "n", "name": "m"}}
TERMS = Terms(names=("127.0.0.1",))


def authority(age: timedelta = timedelta()) -> Certificates:
    return renewed(None, TERMS, datetime.now(UTC) - age)


@asynccontextmanager
async def served(port: int, by: Certificates, folder: Path) -> AsyncIterator[None]:
    async def answer(request: web.Request) -> web.Response:
        if "watch" in request.query:
            return web.Response(body=b"")
        response = web.json_response(MAP)
        response.force_close()  # the next one needs a new connection
        return response

    for name, text in (("tls.crt", by.chain), ("tls.key", by.key)):
        (folder / name).write_text(text)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
    try:
        yield
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("asks", ["get", "watch"])
async def test_a_renewed_authority_is_trusted_without_a_restart(tmp_path: Path, asks: str) -> None:
    old, new = authority(timedelta(days=1)), authority()
    port, ca = unused_port(), tmp_path / "ca.crt"
    ca.write_text(old.authorities)
    configuration = Configuration(host=f"https://127.0.0.1:{port}", ssl_ca_cert=str(ca))
    cluster = KubeCluster(ApiClient(configuration), instance="t")

    async def ask() -> None:
        if asks == "get":
            assert await cluster.get(CONFIG_MAP, "n", "m") == MAP
        else:
            async with cluster.watch(CONFIG_MAP, "n", "5") as changes:
                assert [change async for change in changes] == []

    async with served(port, old, tmp_path):
        await ask()
    async with served(port, new, tmp_path):
        with pytest.raises(Unreachable, match="certificate verify failed"):
            await ask()
        (tmp_path / "new").write_text(old.authorities + new.authorities)
        os.replace(tmp_path / "new", ca)
        await ask()
    await cluster.close()


async def test_an_authority_that_cannot_be_read_takes_no_trust_away(tmp_path: Path) -> None:
    old, port, ca = authority(), unused_port(), tmp_path / "ca.crt"
    ca.write_text(old.authorities)
    configuration = Configuration(host=f"https://127.0.0.1:{port}", ssl_ca_cert=str(ca))
    cluster = KubeCluster(ApiClient(configuration), instance="t")
    async with served(port, old, tmp_path):
        for spoil in (lambda: ca.write_text("no certificate"), ca.unlink):
            spoil()
            assert await cluster.get(CONFIG_MAP, "n", "m") == MAP
    await cluster.close()
