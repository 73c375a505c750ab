"""The three webhooks over HTTP: what is sent back, and what is counted."""

import asyncio
import json
import threading
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from dgdr_webhooks import serving
from dgdr_webhooks.serving import application
from dgdr_webhooks.settings import Settings, parse
from dgdr_webhooks.telemetry import Telemetry

REQUEST = {
    "apiVersion": "nvidia.com/v1beta1",
    "kind": "DynamoGraphDeploymentRequest",
    "metadata": {"name": "q"},
    "spec": {"model": "m"},
}


async def sent(path: str, body: Any) -> tuple[int, Any, CollectorRegistry]:
    registry = CollectorRegistry()
    app = application("registry.test/p:1", Telemetry(registry))
    async with TestClient(TestServer(app)) as client:
        data = body if isinstance(body, str) else json.dumps(body)
        answer = await client.post(path, data=data, params={"timeout": "10s"})
        text = await answer.text()
    return answer.status, json.loads(text) if answer.status == 200 else text, registry


def reviewed(registry: CollectorRegistry, webhook: str, result: str) -> float | None:
    labels = {"webhook": webhook, "result": result}
    return registry.get_sample_value("dgdr_webhooks_reviews_total", labels)


async def test_each_path_answers_its_review() -> None:
    conversion = {"uid": "1", "desiredAPIVersion": "nvidia.com/v1alpha1", "objects": [REQUEST]}
    status, answer, registry = await sent("/convert", {"request": conversion})
    assert status == 200
    assert answer["response"]["convertedObjects"][0]["apiVersion"] == "nvidia.com/v1alpha1"
    assert reviewed(registry, "convert", "ok") == 1
    admission = {"uid": "2", "operation": "CREATE", "object": REQUEST}
    status, answer, registry = await sent("/default", {"request": admission})
    assert (status, answer["response"]["patchType"]) == (200, "JSONPatch")
    bad = {**admission, "object": {**REQUEST, "metadata": {"name": "1"}}}
    status, answer, registry = await sent("/validate", {"request": bad})
    assert (status, answer["response"]["allowed"]) == (200, False)
    assert reviewed(registry, "validate", "refused") == 1


async def test_no_conversion_waits_for_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def waiting(_: Any) -> serving.Answer:
        over.wait()
        return serving.Answer({}, "ok", 1)

    monkeypatch.setattr(serving, "validate", waiting)
    app = application("", Telemetry(CollectorRegistry()))
    asked = {"request": {"uid": "1", "desiredAPIVersion": "nvidia.com/v1alpha1", "objects": []}}
    async with TestClient(TestServer(app)) as client:
        checks = [
            asyncio.ensure_future(client.post("/validate", data="{}"))
            for _ in range(2 * serving.THREADS)
        ]
        try:
            converted = await asyncio.wait_for(client.post("/convert", json=asked), 10)
        finally:
            over.set()
            await asyncio.gather(*checks)
    assert converted.status == 200


async def test_a_failed_conversion_is_counted() -> None:
    asked = {"uid": "1", "desiredAPIVersion": "nvidia.com/v9", "objects": [REQUEST]}
    status, answer, registry = await sent("/convert", {"request": asked})
    assert (status, answer["response"]["result"]["status"]) == (200, "Failure")
    assert reviewed(registry, "convert", "failed") == 1


async def test_nonsense_is_a_bad_request() -> None:
    for body in ("{", "[]", "{}"):
        status, text, registry = await sent("/validate", body)
        assert (status, bool(text)) == (400, True)
        assert reviewed(registry, "validate", "unreadable") == 1


def test_settings_have_a_place_in_the_installations_file() -> None:
    text = "namespaces: [a]\nwebhooks: {namespace: s, service: w, hosts: [10.0.0.1]}"
    own = parse(text).webhooks
    assert own.names() == ("w.s.svc", "w.s.svc.cluster.local", "10.0.0.1")
    assert own.terms().serving.days == 90
    assert Settings().webhooks.certificate.managed


async def test_what_is_nested_beyond_all_stacks_is_told_as_such() -> None:
    status, answer, registry = await sent("/convert", "[" * 100_000)
    assert (status, answer) == (400, "the objects are nested too deeply")
    assert reviewed(registry, "convert", "unreadable") == 1
