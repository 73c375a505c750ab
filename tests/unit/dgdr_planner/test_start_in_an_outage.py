"""A planner that starts while no API server answers is alive and not ready: it is not killed."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import unused_port

from dgdr_planner.__main__ import serve
from dgdr_planner.settings import Settings

KUBECONFIG = {
    "clusters": [{"name": "gone", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "me", "user": {}}],
    "contexts": [{"name": "gone", "context": {"cluster": "gone", "user": "me"}}],
    "current-context": "gone",
}


@pytest.mark.parametrize("mode", ["Standalone", "Beside"])
async def test_probes_are_answered_before_the_api_server_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    (tmp_path / "config").write_text(json.dumps(KUBECONFIG))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    port = unused_port()
    settings = Settings.model_validate({"mode": mode, "health": {"port": port}})
    serving = asyncio.create_task(serve(settings))

    async def probed(path: str) -> int:
        url = f"http://127.0.0.1:{port}{path}"
        async with aiohttp.ClientSession() as session, asyncio.timeout(5):
            while True:
                with suppress(aiohttp.ClientConnectorError):
                    async with session.get(url) as answer:
                        return answer.status
                await asyncio.sleep(0.05)

    try:
        assert await probed("/healthz") == 200
        assert await probed("/readyz") == 503
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
