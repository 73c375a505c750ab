"""An event marks the right passes, through the very handlers that kopf calls."""

from typing import Any

import kopf
import pytest

from dgdr_kube.ports import Key
from dgdr_operator.handlers import Queues, register

OWNED = [{"kind": "DynamoGraphDeploymentRequest", "name": "q", "uid": "u"}]


async def marked(
    plural: str, body: dict[str, Any], type_: str | None = None
) -> dict[str, list[Key]]:
    registry, queues = kopf.OperatorRegistry(), Queues()
    register(registry, queues)
    handlers = [h for h in registry._watching.get_all_handlers() if h.id == plural]
    assert len(handlers) == 1
    await handlers[0].fn(body=body, type=type_)  # type: ignore[arg-type, call-arg, misc]
    found: dict[str, list[Key]] = {}
    for queue in queues.all():
        keys: list[Key] = []

        async def note(key: Key, into: list[Key] = keys) -> None:
            into.append(key)

        await queue.drain(note)
        if keys:
            found[queue.name] = keys
    return found


def meta(name: str = "x", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns", **more}}


GRAPH = {"nvidia.com/dynamo-graph-deployment-name": "g"}
REQUEST = {"dgdr.nvidia.com/name": "q", "dgdr.nvidia.com/namespace": "ns"}
COMPONENTS = [{"name": "Decode", "scalingAdapter": {}}, {"name": "frontend"}]


@pytest.mark.parametrize(
    ("plural", "body", "type_", "expected"),
    [
        pytest.param(
            "dynamographdeploymentrequests", meta("q"), None, {"dgdr": [("ns", "q")]}, id="request"
        ),
        pytest.param("jobs", meta(ownerReferences=OWNED), None, {"dgdr": [("ns", "q")]}, id="Job"),
        pytest.param("jobs", meta(), None, {}, id="somebody's Job"),
        pytest.param(
            "configmaps",
            meta("dgdr-output-q", ownerReferences=OWNED),
            None,
            {"dgdr": [("ns", "q")]},
            id="output",
        ),
        pytest.param(
            "configmaps", meta("dgdr-points-q-0", ownerReferences=OWNED), None, {}, id="points"
        ),
        pytest.param(
            "dynamographdeployments",
            {**meta("q-dgd", labels=REQUEST), "spec": {"components": COMPONENTS}},
            None,
            {
                "dgd": [("ns", "q-dgd")],
                "dgdsa": [("ns", "q-dgd-decode")],
                "dgdr": [("ns", "q")],
            },
            id="generated deployment",
        ),
        pytest.param(
            "dynamographdeployments",
            meta("q-tp2", ownerReferences=OWNED),
            None,
            {"dgd": [("ns", "q-tp2")], "dgdr": [("ns", "q")]},
            id="candidate",
        ),
        pytest.param(
            "dynamographdeploymentscalingadapters",
            {**meta("g-decode"), "spec": {"dgdRef": {"name": "g"}}},
            "MODIFIED",
            {"dgdsa": [("ns", "g-decode")]},
            id="adapter",
        ),
        pytest.param(
            "dynamographdeploymentscalingadapters",
            {**meta("g-decode"), "spec": {"dgdRef": {"name": "g"}}},
            "DELETED",
            {"dgdsa": [("ns", "g-decode")], "dgd": [("ns", "g")]},
            id="deleted adapter",
        ),
        pytest.param(
            "deployments",
            meta("g-decode", labels=GRAPH),
            None,
            {"dgd": [("ns", "g")], "dgdsa": [("ns", "g-decode")]},
            id="Deployment",
        ),
        pytest.param("pods", meta(labels=GRAPH), None, {"dgd": [("ns", "g")]}, id="pod"),
    ],
)
async def test_an_event_marks(
    plural: str, body: dict[str, Any], type_: str | None, expected: dict[str, Any]
) -> None:
    assert await marked(plural, body, type_) == expected


async def test_a_request_that_fails_runs_at_once_for_an_edit_and_not_for_its_own_status() -> None:
    registry, queues = kopf.OperatorRegistry(), Queues()
    register(registry, queues)
    plural = "dynamographdeploymentrequests"
    (handler,) = [h for h in registry._watching.get_all_handlers() if h.id == plural]
    passes = 0

    async def fail(_: Key) -> None:
        nonlocal passes
        passes += 1
        raise RuntimeError("x")

    async def hear(**more: Any) -> int:
        await handler.fn(body=meta("q", **more), type="MODIFIED")  # type: ignore[arg-type, call-arg, misc]
        await queues.requests.drain(fail)
        return passes

    assert await hear(generation=1) == 1
    assert await hear(generation=1, resourceVersion="2") == 1
    assert await hear(generation=2) == 2
    assert await hear(generation=2, deletionTimestamp="t") == 3
