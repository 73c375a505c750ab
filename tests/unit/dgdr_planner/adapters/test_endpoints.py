"""Where credentials come from, and what is said when they are not there."""

import base64
from pathlib import Path
from typing import Any

import pytest

from dgdr_api.models.sla_planner_metrics import PrometheusSource
from dgdr_kube.errors import Rejected, Unreachable
from dgdr_kube.kinds import Kind
from dgdr_kube.ports import Manifest
from dgdr_kube.settings import Prometheus
from dgdr_planner.adapters.endpoints import PrometheusEndpoints
from dgdr_planner.observe.endpoint import Credentials, Endpoint
from dgdr_planner.observe.snapshot import NoSnapshot
from support.fake_cluster import FakeCluster

NAMESPACE = "team"
URL = "https://prometheus:9090"


def secret(name: str, **data: str) -> Manifest:
    encoded = {
        key.replace("_", "."): base64.b64encode(value.encode()).decode()
        for key, value in data.items()
    }
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": encoded}


def config_map(name: str, data: dict[str, str]) -> Manifest:
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


async def endpoint(
    source: dict[str, Any] | None,
    *manifests: Manifest,
    installation: Prometheus | None = None,
) -> Endpoint | NoSnapshot:
    cluster = FakeCluster()
    cluster.seed(*manifests)
    endpoints = PrometheusEndpoints(cluster, installation or Prometheus())
    parsed = None if source is None else PrometheusSource.model_validate(source)
    return await endpoints.endpoint(NAMESPACE, parsed)


async def test_everything_that_a_planner_names_is_read() -> None:
    found = await endpoint(
        {
            "url": URL,
            "tokenSecretRef": {"name": "s", "key": "bearer"},
            "caConfigMapRef": {"name": "ca"},
            "clientCertificateSecretRef": {"name": "tls"},
            "parameters": {"tenant": "a", "dedup": "true"},
            "timeout": "3s",
        },
        secret("s", bearer="t0ken\n"),
        secret("tls", tls_crt="CERT", tls_key="KEY"),
        config_map("ca", {"ca.crt": "CA"}),
    )
    assert found == Endpoint(
        url=URL,
        parameters=(("dedup", "true"), ("tenant", "a")),
        timeout_s=3.0,
        credentials=Credentials(token="t0ken", ca_pem="CA", certificate_pem="CERT", key_pem="KEY"),
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"tokenSecretRef": {"name": "no"}}, "there is no Secret no with a key token"),
        ({"tokenSecretRef": {"name": "s", "key": "k"}}, "there is no Secret s with a key k"),
        ({"tokenSecretRef": {"name": "s", "key": "bad"}}, "no token holds"),
        ({"clientCertificateSecretRef": {"name": "s"}}, "Secret s with a key tls.crt"),
        ({"caConfigMapRef": {"name": "s"}}, "there is no ConfigMap s with a key ca.crt"),
    ],
)
async def test_what_is_missing_is_named(source: dict[str, Any], said: str) -> None:
    found = await endpoint({"url": URL, **source}, secret("s", token="t", bad="a\r\nHost: b"))
    assert isinstance(found, NoSnapshot)
    assert found.reason == "PrometheusCredentialsMissing"
    assert said in found.cause
    assert "Host" not in found.cause


class Refusing(FakeCluster):
    def __init__(self, exc: Exception) -> None:
        super().__init__()
        self.exc = exc

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        raise self.exc


@pytest.mark.parametrize(
    ("exc", "said"),
    [
        (Rejected(403, "cannot get secrets s3cret"), "prometheus.tenantSecrets lists"),
        (Unreachable("s3cret"), "cannot be read: Unreachable"),
    ],
)
async def test_a_secret_that_may_not_be_read_is_a_cause(exc: Exception, said: str) -> None:
    source = PrometheusSource.model_validate({"url": URL, "tokenSecretRef": {"name": "s"}})
    found = await PrometheusEndpoints(Refusing(exc), Prometheus()).endpoint(NAMESPACE, source)
    assert isinstance(found, NoSnapshot)
    assert said in found.cause
    assert "s3cret" not in found.cause


@pytest.mark.parametrize("url", ["http://a:b@p", "http://p/?x=1", "http://p#x", "http://p /x"])
async def test_a_url_with_more_than_a_place_is_refused(url: str) -> None:
    found = await endpoint({"url": url})
    assert isinstance(found, NoSnapshot)
    assert found.reason == "PrometheusUrlRefused"
    assert url not in found.cause


async def test_nobody_names_a_prometheus() -> None:
    found = await endpoint(None)
    assert isinstance(found, NoSnapshot)
    assert found.reason == "PrometheusMissing"


async def test_the_installations_files_are_read_each_time(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "ca.crt").write_text("CA")
    installation = Prometheus(
        url=URL, credentials_directory=str(tmp_path), parameters={"query": "x", "a": "b"}
    )
    endpoints = PrometheusEndpoints(FakeCluster(), installation)
    found = await endpoints.endpoint(NAMESPACE, None)
    held = Credentials(token="first", ca_pem="CA")
    assert found == Endpoint(url=URL, credentials=held, parameters=(("a", "b"),))
    (tmp_path / "token").write_text("second")
    found = await endpoints.endpoint(NAMESPACE, None)
    assert isinstance(found, Endpoint)
    assert found.credentials.token == "second"


@pytest.mark.parametrize("field", ["token_file", "credentials_directory"])
async def test_files_that_are_named_must_be_there(field: str, tmp_path: Path) -> None:
    named = Prometheus.model_validate({"url": URL, field: str(tmp_path / "no")})
    found = await endpoint(None, installation=named)
    assert isinstance(found, NoSnapshot)
    assert found.reason == "PrometheusCredentialsMissing"
    assert str(tmp_path / "no") in found.cause
