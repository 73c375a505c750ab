"""Windows and the handshake over HTTP."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from aiohttp.test_utils import TestClient, TestServer

from dgdr_rehearsal.virtual.__main__ import main
from dgdr_rehearsal.virtual.server import Service
from dgdr_rehearsal.virtual.session import Session
from support.planning import DECODE, POLICY, PREFILL, PROFILE, sla_planner

WINDOW: dict[str, Any] = {
    "t_s": 15,
    "window_s": 15,
    "requests": 300,
    "completed": 290,
    "isl_mean": 2048,
    "osl_mean": 128,
    "prefill": {"ready": 1},
    "decode": {"ready": 1},
}


@pytest.fixture
async def client() -> AsyncIterator[TestClient[Any, Any]]:
    application = Service(Session(POLICY, PROFILE), clock_s=lambda: 0.0).application()
    async with TestClient(TestServer(application)) as client:
        yield client


async def test_a_decision_is_answered_published_and_acknowledged(
    client: TestClient[Any, Any],
) -> None:
    answer = await (await client.post("/v1/windows", json=WINDOW)).json()
    published = await (await client.get("/v1/decision")).json()
    assert published == {
        "num_prefill_workers": answer["prefill"],
        "num_decode_workers": answer["decode"],
        "decision_id": 1,
    }
    acknowledged = await client.post("/v1/ack", json={"scaled_decision_id": 1})
    assert (acknowledged.status, await acknowledged.json()) == (200, {"scaled_decision_id": 1})


async def test_the_next_decision_waits_for_the_acknowledgement(
    client: TestClient[Any, Any],
) -> None:
    await client.post("/v1/windows", json=WINDOW)
    more = {**WINDOW, "t_s": 30, "requests": 600}
    answer = await (await client.post("/v1/windows", json=more)).json()
    assert (await (await client.get("/v1/decision")).json())["decision_id"] == 1
    await client.post("/v1/ack", json={"scaled_decision_id": 1})
    published = await (await client.get("/v1/decision")).json()
    assert published["num_prefill_workers"] == answer["prefill"]
    assert published["decision_id"] == 2


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/v1/windows", "nonsense", 400, "the line is not JSON"),
        ("/v1/windows", '{"t_s": 15, "requests": -1}', 400, "requests is -1"),
        ("/v1/ack", "{}", 400, "the body is no acknowledgement"),
        ("/v1/ack", '{"scaled_decision_id": 7}', 409, "scaled_decision_id is 7"),
    ],
)
async def test_what_is_wrong_is_told(
    client: TestClient[Any, Any], path: str, body: str, status: int, said: str
) -> None:
    response = await client.post(path, data=body)
    assert response.status == status
    assert (await response.json())["error"].startswith(said)


async def test_it_says_that_it_is_alive(client: TestClient[Any, Any]) -> None:
    response = await client.get("/healthz")
    assert (response.status, await response.text()) == (200, "ok\n")


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "planner.yaml").write_text(yaml.safe_dump(sla_planner()))
    (tmp_path / "prefill_raw_data.json").write_text(PREFILL.to_json())
    (tmp_path / "decode_raw_data.json").write_text(DECODE.to_json())
    return ["--spec", str(tmp_path / "planner.yaml"), "--profile", str(tmp_path)]


def test_a_process_says_where_it_serves_and_ends_when_told(files: list[str]) -> None:
    command = [sys.executable, "-m", "dgdr_rehearsal.virtual", *files, "--http", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline().strip()
        try:
            with urlopen(f"{said.removeprefix('serving on ')}/healthz") as response:
                assert response.read() == b"ok\n"
        finally:
            process.terminate()
    assert process.returncode == 0


def test_an_address_that_is_taken_is_told(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main([*files, "--http", address]) == 2
    assert capsys.readouterr().err.startswith(f"error: {address} cannot be served: ")
