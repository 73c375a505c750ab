"""An event marks the right passes, through the very handlers that kopf calls."""

import asyncio
from typing import Any

import kopf
import pytest

from dgdr_kube.kinds import PVC
from dgdr_kube.ports import Key
from dgdr_operator.core.observation import Observation, Request
from dgdr_operator.core.steps import AwaitJobPermission, AwaitPermission, Step
from dgdr_operator.followed import COLLECTIONS
from dgdr_operator.handlers import Queues, register
from dgdr_operator.passes.waits import NODES, waited_for

OWNED = [{"kind": "DynamoGraphDeploymentRequest", "name": "q", "uid": "u"}]


async def marked(
    plural: str, body: dict[str, Any], type_: str | None = None
) -> dict[str, list[Key]]:
    registry = kopf.OperatorRegistry()
    queues = Queues(adapters_of=lambda graph: [Key(graph.namespace, f"{graph.name}-decode")])
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
UNSCHEDULED = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
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
            "configmaps",
            meta("planner-profile-data-1", ownerReferences=OWNED),
            None,
            {},
            id="curves",
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
            {"dgd": [("ns", "q-tp2")], "dgdsa": [("ns", "q-tp2-decode")], "dgdr": [("ns", "q")]},
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
        pytest.param("pods", meta(labels=GRAPH), "ADDED", {}, id="pod that comes up"),
        pytest.param(
            "pods",
            {**meta(labels=GRAPH), "status": {"conditions": [UNSCHEDULED]}},
            "MODIFIED",
            {"dgd": [("ns", "g")]},
            id="pod without a node",
        ),
        pytest.param(
            "pods", meta(labels={"dgdr": "q"}), "ADDED", {"dgdr": [("ns", "q")]}, id="profiler"
        ),
        pytest.param(
            "services", meta(labels=GRAPH), "MODIFIED", {"dgd": [("ns", "g")]}, id="Service"
        ),
        pytest.param(
            "slaplanners", meta(labels=REQUEST), "DELETED", {"dgdr": [("ns", "q")]}, id="planner"
        ),
        pytest.param(
            "configmaps",
            meta("profile-q", labels={**REQUEST, "dgdr.nvidia.com/namespace": "another"}),
            "ADDED",
            {},
            id="a label that names another namespace",
        ),
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


class Heard:
    """The handlers, and which queues hold something after an event."""

    def __init__(self, rollout_s: float = 0.0) -> None:
        self.queues = Queues(
            adapters_of=lambda graph: [Key(graph.namespace, graph.name)],
            candidates_of=lambda namespace, run: [Key(namespace, f"of-{run}")],
            rollout_s=rollout_s,
        )
        registry = kopf.OperatorRegistry()
        register(registry, self.queues)
        self.handlers = {h.id: h.fn for h in registry._watching.get_all_handlers()}

    async def hear(self, plural: str, body: dict[str, Any], type_: str | None) -> None:
        await self.handlers[plural](body=body, type=type_)  # type: ignore[arg-type, call-arg, misc]

    async def marked(self, plural: str, body: dict[str, Any], type_: str = "MODIFIED") -> set[str]:
        await self.hear(plural, body, type_)
        found = {queue.name for queue in self.queues.all() if len(queue)}

        async def serve(_: Key) -> None:
            return None

        for queue in self.queues.all():
            await queue.drain(serve)
        return found


def test_kopf_asks_for_everything_that_is_followed() -> None:
    # What it does not ask for is never listed, and no pass would ever begin.
    assert {*Heard().handlers} == {followed.kind.plural for followed in COLLECTIONS}


async def test_a_status_is_news_to_nobody_but_who_reads_it() -> None:
    heard, graph = Heard(), "dynamographdeployments"
    body = {**meta("q-dgd", labels=REQUEST, generation=1), "spec": {}}
    assert await heard.marked(graph, body, "ADDED") == {"dgd", "dgdsa", "dgdr"}
    said = {**body, "status": {"state": "pending"}}
    assert await heard.marked(graph, said) == {"dgdr"}
    assert await heard.marked(graph, {**said, "status": {"state": "pending", "x": 1}}) == set()
    scaled = {**said, "metadata": {**body["metadata"], "generation": 2}}
    assert await heard.marked(graph, scaled) == {"dgd", "dgdsa", "dgdr"}


async def test_pods_that_a_deployment_counts_are_news_to_the_adapter() -> None:
    heard = Heard()
    body = meta("g-decode", labels=GRAPH, generation=1)
    await heard.marked("deployments", body, "ADDED")
    counted = {**body, "status": {"replicas": 2}}
    assert await heard.marked("deployments", counted) == {"dgd", "dgdsa"}
    ready = {**body, "status": {"replicas": 2, "readyReplicas": 1}}
    assert await heard.marked("deployments", ready) == {"dgd"}
    assert await heard.marked("deployments", ready) == set()


async def test_a_rollout_costs_one_pass() -> None:
    heard = Heard(rollout_s=0.01)
    body, passes = meta("g-decode", labels=GRAPH, generation=1), 0
    served = asyncio.Event()

    async def serve(_: Key) -> None:
        nonlocal passes
        passes += 1
        served.set()

    for ready in range(6):
        await heard.hear("deployments", {**body, "status": {"readyReplicas": ready}}, "MODIFIED")
    assert len(heard.queues.graphs) == 0
    worker = asyncio.create_task(heard.queues.graphs.run(serve))
    await asyncio.wait_for(served.wait(), 5)
    await asyncio.sleep(0.03)
    worker.cancel()
    assert passes == 1


async def test_what_was_there_before_waits_for_what_somebody_wants_now() -> None:
    heard, graph = Heard(), "dynamographdeployments"
    for name in ("a", "b", "c"):
        await heard.hear(graph, meta(name, generation=1), None)
    await heard.hear(graph, meta("new", generation=1), "ADDED")
    await heard.hear(graph, meta("c", generation=2), "MODIFIED")
    served: list[str] = []

    async def serve(key: Key) -> None:
        served.append(key.name)

    await heard.queues.graphs.drain(serve)
    assert served == ["c", "new", "a", "b"]


async def test_what_a_request_waits_for_wakes_it() -> None:
    heard, claims = Heard(), "persistentvolumeclaims"
    heard.queues.waits.note(Key("ns", "q"), [(PVC, "ns", "models")])
    heard.queues.waits.note(Key("ns", "other"), [NODES])
    assert await heard.marked(claims, meta("another"), "ADDED") == set()
    assert await heard.marked(claims, meta("models"), "ADDED") == {"dgdr"}
    assert await heard.marked("nodes", {"metadata": {"name": "gpu-1"}}, "ADDED") == {"dgdr"}
    heard.queues.waits.forget(Key("ns", "q"))
    assert await heard.marked(claims, meta("models"), "ADDED") == set()


ROOM_GIVEN_BACK = [
    pytest.param("jobs", {}, "DELETED", {"dgdr"}, id="a Job is gone"),
    pytest.param(
        "jobs",
        {"status": {"conditions": [{"type": "Complete", "status": "True"}]}},
        "MODIFIED",
        {"dgdr"},
        id="a Job is over",
    ),
    pytest.param("jobs", {"status": {"active": 1}}, "MODIFIED", set(), id="a Job runs"),
    pytest.param("dynamographdeployments", {}, "DELETED", {"dgdr"}, id="a deployment is gone"),
    pytest.param("dynamographdeployments", {}, "MODIFIED", set(), id="a deployment stays"),
]


@pytest.mark.parametrize(
    "step", [AwaitJobPermission("quota"), AwaitPermission(message="quota", exists=False)]
)
@pytest.mark.parametrize(("plural", "body", "type_", "expected"), ROOM_GIVEN_BACK)
async def test_a_request_over_its_quota_is_woken_by_what_gives_room_back(
    step: Step, plural: str, body: dict[str, Any], type_: str, expected: set[str]
) -> None:
    heard = Heard()
    waiting = Observation(request=Request(name="q", namespace="ns", uid="u"))
    heard.queues.waits.note(Key("ns", "q"), waited_for(step, waiting))
    found = await heard.marked(plural, {**meta("of-another"), **body}, type_)
    assert found & {"dgdr"} == expected
    elsewhere = {"metadata": {"name": "x", "namespace": "elsewhere"}}
    assert "dgdr" not in await heard.marked(plural, {**elsewhere, **body}, type_)


async def test_a_candidate_that_is_gone_wakes_the_others_of_its_run() -> None:
    heard, labels = Heard(), {"dgdr.dev/run": "uid-1"}
    served: list[Key] = []

    async def serve(key: Key) -> None:
        served.append(key)

    candidate = meta("q-tp2", labels=labels)
    await heard.hear("dynamographdeployments", candidate, "ADDED")
    await heard.queues.graphs.drain(serve)
    served.clear()
    await heard.hear("dynamographdeployments", candidate, "DELETED")
    await heard.queues.graphs.drain(serve)
    assert served == [Key("ns", "q-tp2"), Key("ns", "of-uid-1")]
