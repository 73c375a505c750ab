"""Who is trusted and shown what, and that no server keeps a thread."""

import asyncio
import datetime
import ipaddress
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dgdr_planner.adapters.prometheus import THREADS, PrometheusMetrics
from dgdr_planner.observe.endpoint import Credentials, Endpoint
from dgdr_planner.observe.snapshot import NoSnapshot, Snapshot
from support.listening import accept_no_more, listen

YEAR = datetime.timedelta(days=365)


@dataclass(frozen=True)
class Signed:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()


def signed(name: str, by: Signed | None = None) -> Signed:
    """A certificate for 127.0.0.1, or an authority's own."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - YEAR)
        .not_valid_after(now + YEAR)
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
        .add_extension(here, critical=False)
        .sign(by.key if by else key, hashes.SHA256())
    )
    return Signed(certificate, key)


AUTHORITY = signed("authority")
SERVER, CLIENT = signed("server", AUTHORITY), signed("client", AUTHORITY)
TRUSTED = Credentials(
    ca_pem=AUTHORITY.certificate_pem,
    certificate_pem=CLIENT.certificate_pem,
    key_pem=CLIENT.key_pem,
)


async def empty(request: web.Request) -> web.StreamResponse:
    is_clock = request.query["query"] == "time()"
    return web.json_response({"data": {"result": [1000, "1000"] if is_clock else []}})


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A Prometheus that wants a certificate of our authority."""
    both = tmp_path / "server.pem"
    both.write_text(SERVER.certificate_pem + SERVER.key_pem)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=AUTHORITY.certificate_pem)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(both)
    app = web.Application()
    app.router.add_get("/api/v1/query", empty)
    server = await listen(app, context=context)
    try:
        yield f"https://127.0.0.1:{server.port}"
    finally:
        await server.end()


async def asked(endpoint: Endpoint) -> Snapshot | NoSnapshot:
    metrics = PrometheusMetrics()
    try:
        return await metrics.snapshot(endpoint, 20)
    finally:
        await metrics.close()


async def test_a_server_of_our_authority_gets_our_certificate(url: str) -> None:
    assert isinstance(await asked(Endpoint(url=url, credentials=TRUSTED)), Snapshot)


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(),
        Credentials(ca_pem=signed("another").certificate_pem),
    ],
    ids=["system", "another"],
)
async def test_a_server_of_another_authority_is_not_trusted(
    url: str, credentials: Credentials
) -> None:
    found = await asked(Endpoint(url=url, credentials=credentials))
    assert isinstance(found, NoSnapshot)
    assert found.reason == "PrometheusUntrusted"


async def test_a_proxy_of_the_environment_sees_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert isinstance(await asked(Endpoint(url=url, credentials=TRUSTED)), Snapshot)


@asynccontextmanager
async def dripping(start: bytes) -> AsyncIterator[str]:
    """A server that says this, and then a byte now and then, within headers or not."""

    drips: set[asyncio.Task[None]] = set()

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        drips.add(task)
        writer.write(start)
        with suppress(ConnectionError):
            try:
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.02)
            finally:
                writer.close()
                await writer.wait_closed()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await accept_no_more(server.sockets[0])
        server.close()
        for task in drips:
            task.cancel()
        await asyncio.gather(*drips, return_exceptions=True)


def waiting() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name.startswith("prometheus")}


@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"],
    ids=["status", "header", "body"],
)
async def test_a_server_that_drips_keeps_no_thread(start: bytes) -> None:
    before = waiting()
    metrics = PrometheusMetrics()
    async with dripping(start) as url:
        endpoint = Endpoint(url=url, timeout_s=0.3)
        windows = range(20, 20 + 3 * THREADS)
        asks = [asyncio.create_task(metrics.snapshot(endpoint, window_s)) for window_s in windows]
        found = await asyncio.gather(*asks)
        assert {one.reason for one in found if isinstance(one, NoSnapshot)} == {"PrometheusTimeout"}
        await metrics.close()
        for _ in range(3000):  # far longer than it takes, and far shorter than the server drips
            if waiting() <= before:
                break
            await asyncio.sleep(0.01)
        assert waiting() <= before
