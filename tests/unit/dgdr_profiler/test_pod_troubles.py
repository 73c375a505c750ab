from datetime import UTC, datetime
from typing import Any

import pytest

from dgdr_profiler.core.pod_troubles import (
    homeless,
    main_image_digest,
    troubles,
)
from support.pods import DONE, FAILED, OOM, WAITS, container, crashed, pod, waiting


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        pytest.param(pod(waiting("ContainerCreating")), None, id="starting"),
        pytest.param(pod(container(state={"running": {}}, restartCount=1)), None, id="one restart"),
        pytest.param(
            pod(crashed("main", FAILED)),
            "pod d-1, container main: CrashLoopBackOff (Error, exit code 1)",
            id="main crashes",
        ),
        pytest.param(
            pod(crashed("main")),
            "pod d-1, container main: OOMKilled (exit code 137)",
            id="main needs more memory",
        ),
        pytest.param(
            pod(
                container(state={"running": {}}, restartCount=1, lastState={"terminated": OOM}),
            ),
            "pod d-1, container main: OOMKilled (exit code 137)",
            id="more memory is not needed twice",
        ),
        pytest.param(
            pod(container(state={"running": {}}, restartCount=2, lastState={"terminated": DONE})),
            "pod d-1, container main: restarted 2 times (Completed, exit code 0)",
            id="exit code 0 is a failure too",
        ),
        pytest.param(
            pod(WAITS, init=[crashed("fetch", FAILED)]),
            "pod d-1, container fetch: CrashLoopBackOff (Error, exit code 1)",
            id="init container crashes",
        ),
        pytest.param(
            pod(WAITS, init=[crashed("engine")], sidecars=["engine"]),
            "pod d-1, container engine: OOMKilled (exit code 137)",
            id="native sidecar crashes",
        ),
        pytest.param(
            pod(
                container(state={"running": {}}),
                init=[container("fetch", state={"terminated": DONE}, restartCount=3)],
            ),
            None,
            id="an init container that is done has served",
        ),
        pytest.param(
            pod(
                container(state={"running": {}}),
                init=[
                    container(
                        "engine",
                        state={"terminated": DONE},
                        restartCount=3,
                        lastState={"terminated": DONE},
                    )
                ],
                sidecars=["engine"],
            ),
            "pod d-1, container engine: restarted 3 times (Completed, exit code 0)",
            id="a sidecar is never done",
        ),
        pytest.param(
            pod(waiting("CreateContainerConfigError", 'secret "s" not found')),
            'pod d-1, container main: CreateContainerConfigError (secret "s" not found)',
            id="configuration",
        ),
        pytest.param(
            pod(phase="Failed", reason="Evicted", message="The node was low on memory"),
            "pod d-1: Evicted (The node was low on memory)",
            id="evicted",
        ),
        pytest.param(
            pod(container(state={"running": {}}), reason="NodeLost"),
            "pod d-1: its node does not answer any more",
            id="node lost",
        ),
        pytest.param(
            pod(
                conditions=[
                    {
                        "type": "DisruptionTarget",
                        "status": "True",
                        "reason": "PreemptionByScheduler",
                        "message": "made room",
                    }
                ]
            ),
            "pod d-1: PreemptionByScheduler (made room)",
            id="preempted",
        ),
    ],
)
def test_trouble_names_pod_container_and_reason(seen: dict[str, Any], text: str | None) -> None:
    found = next(troubles([seen]), None)
    assert (None if found is None else str(found)) == text
    if found is not None:
        assert found.patience_s == 0


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(pod(phase="Failed", reason="Evicted"), id="evicted"),
        pytest.param(pod(phase="Unknown"), id="node lost"),
    ],
)
def test_what_a_node_did_may_be_gone_tomorrow(seen: dict[str, Any]) -> None:
    assert [t.lasting for t in troubles([seen])] == [False]
    assert [t.lasting for t in troubles([pod(crashed("main"))])] == [True]


def homeless_pod(**condition: Any) -> dict[str, Any]:
    return pod(conditions=[{"type": "PodScheduled", "status": "False", **condition}])


def test_a_pod_without_a_node_says_why_and_since_when() -> None:
    since = "2026-01-01T00:00:00Z"
    (found,) = homeless([homeless_pod(message="2 Insufficient gpu", lastTransitionTime=since)])
    assert (found.pod, found.words) == ("d-1", "2 Insufficient gpu")
    assert found.waited_s(datetime(2026, 1, 1, 0, 5, tzinfo=UTC)) == 300
    assert list(homeless([pod()])) == []


def test_a_pod_that_a_queue_holds_back_is_not_without_a_node() -> None:
    assert list(homeless([homeless_pod(reason="SchedulingGated")])) == []


def test_the_digest_is_that_of_the_main_container() -> None:
    assert main_image_digest(pod(container(imageID="reg.test/x@sha256:abc"))) == "sha256:abc"
    assert main_image_digest(pod()) == ""
