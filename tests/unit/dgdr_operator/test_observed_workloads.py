"""Reading pods: which trouble is worth a user's attention."""

from datetime import datetime
from typing import Any

import pytest

from dgdr_operator.core.graph_status import is_ready
from dgdr_operator.core.observed_workloads import (
    MAX_WORDS_CHARS,
    last_words,
    pods_seen,
    workload_seen,
)

CRASHED = {"reason": "Error", "exitCode": 1, "message": "Traceback\nValueError: no such flag\n"}


def pod(status: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    labels = {"nvidia.com/dynamo-component": "decode"}
    return {"metadata": {"name": "p", "labels": labels, **metadata}, "status": status}


def container(**status: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "main", **status}]}


@pytest.mark.parametrize(
    ("status", "text"),
    [
        pytest.param(
            container(
                restartCount=2,
                state={"waiting": {"reason": "CrashLoopBackOff"}},
                lastState={"terminated": CRASHED},
            ),
            "container main CrashLoopBackOff (Error, exit code 1) after 2 restarts: "
            "ValueError: no such flag",
            id="crash loop",
        ),
        pytest.param(
            container(restartCount=1, state={"running": {}}, lastState={"terminated": CRASHED}),
            "container main ended (Error, exit code 1) after 1 restart: ValueError: no such flag",
            id="running again after a crash",
        ),
        pytest.param(
            container(state={"terminated": {"reason": "Completed", "exitCode": 0}}),
            "container main ended (Completed, exit code 0)",
            id="ended without an error, as a worker without rights does",
        ),
        pytest.param(
            container(state={"waiting": {"reason": "ErrImagePull", "message": "no such image"}}),
            "container main ErrImagePull: no such image",
            id="image without a name",
        ),
        pytest.param(
            container(
                image="x:1",
                state={
                    "waiting": {
                        "reason": "ErrImagePull",
                        "message": 'failed to resolve "x:1": lookup x: no such host',
                    }
                },
            ),
            'container main ErrImagePull: image "x:1" cannot be pulled (lookup failed: no such '
            "host)",
            id="image",
        ),
    ],
)
def test_trouble_is_named(status: dict[str, Any], text: str) -> None:
    (seen,) = pods_seen([pod(status)])
    assert [str(trouble) for trouble in seen.troubles] == [text]


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({}, id="just made"),
        pytest.param(container(state={"waiting": {"reason": "ContainerCreating"}}), id="creating"),
        pytest.param(container(state={"running": {}}), id="starting"),
        pytest.param(
            container(
                ready=True,
                restartCount=1,
                state={"running": {}},
                lastState={"terminated": CRASHED},
            ),
            id="recovered",
        ),
        pytest.param(
            {
                "initContainerStatuses": [
                    {"name": "i", "ready": True, "state": {"terminated": {"exitCode": 0}}}
                ]
            },
            id="an init container that is done",
        ),
    ],
)
def test_no_trouble(status: dict[str, Any]) -> None:
    (seen,) = pods_seen([pod(status)])
    assert seen.troubles == ()


def test_pods_that_are_going_or_done_are_not_seen() -> None:
    going = pod(container(state={"running": {}}), deletionTimestamp="2025-01-01T00:00:00Z")
    assert pods_seen([going, pod({"phase": "Failed"}), pod({"phase": "Succeeded"})]) == ()


def test_the_schedulers_sentence_is_kept_without_its_tail() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. no new claims to "
        "deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful.",
    }
    (seen,) = pods_seen([pod({"conditions": [condition]})])
    assert seen.unschedulable == "0/1 nodes are available: 1 Insufficient nvidia.com/gpu"


def test_a_deployment_that_nobody_has_looked_at() -> None:
    seen = workload_seen({"metadata": {"name": "d", "generation": 1}, "spec": {}})
    assert (seen.observed_generation, seen.wanted, seen.ready) == (None, 1, 0)


@pytest.mark.parametrize(
    "secret", ["hf_abcdefghijkl", "sk-abcdefghijkl", "nvapi-abcdefghijk", "Bearer abc.def-ghi"]
)
def test_last_words_tell_no_token(secret: str) -> None:
    assert last_words(f"first\n401 for {secret}\n\n") == "401 for [token]"


def test_last_words_are_few() -> None:
    assert len(last_words("x" * 10_000)) == MAX_WORDS_CHARS
    assert last_words(f"{'x' * 200} {'y' * 200}") == f"{'x' * 200} …"


def edited_group(status_at: str, told: int | None = None) -> dict[str, Any]:
    """A LeaderWorkerSet that we changed at 10:00:05, with a report of some time."""
    entries = [
        {"manager": "dgdr-operator", "time": "2025-01-01T10:00:05Z"},
        {"manager": "lws", "subresource": "status", "time": status_at},
    ]
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), 2)
    return {
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "g", "generation": 4, "managedFields": entries},
        "spec": {"replicas": 2},
        "status": {**counts, "conditions": [{}]} | ({"observedGeneration": told} if told else {}),
    }


@pytest.mark.parametrize(
    ("group", "at", "is_new"),
    [
        pytest.param(edited_group("2025-01-01T09:00:00Z"), "10:00:06", False, id="of before"),
        pytest.param(edited_group("2025-01-01T10:00:05Z"), "10:00:06", False, id="perhaps before"),
        pytest.param(edited_group("2025-01-01T10:00:06Z"), "10:00:06", True, id="reported since"),
        pytest.param(edited_group("2025-01-01T09:00:00Z"), "10:00:15", True, id="nothing to tell"),
        pytest.param(edited_group("2025-01-01T09:00:00Z", told=4), "10:00:06", True, id="it tells"),
    ],
)
def test_the_report_of_a_group_that_was_just_changed_is_of_before(
    group: dict[str, Any], at: str, is_new: bool
) -> None:
    seen = workload_seen(group, datetime.fromisoformat(f"2025-01-01T{at}Z"))
    assert is_ready(seen) is is_new
