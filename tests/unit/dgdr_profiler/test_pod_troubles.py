from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_profiler.core.pod_troubles import (
    PULL_PATIENCE_S,
    Trouble,
    Watched,
    homeless,
    main_image_digest,
    troubles,
    watch,
)

OOM = {"reason": "OOMKilled", "exitCode": 137}
FAILED = {"reason": "Error", "exitCode": 1}
DONE = {"reason": "Completed", "exitCode": 0}


def container(name: str = "main", **status: Any) -> dict[str, Any]:
    return {"name": name, "image": "reg.test/x:1", "restartCount": 0, **status}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    return container(state={"waiting": {"reason": reason, "message": message}}, **more)


def pod(
    *main: dict[str, Any],
    init: Iterable[dict[str, Any]] = (),
    sidecars: Iterable[str] = (),
    **status: Any,
) -> dict[str, Any]:
    return {
        "metadata": {"name": "d-1"},
        "spec": {"initContainers": [{"name": n, "restartPolicy": "Always"} for n in sidecars]},
        "status": {"containerStatuses": main, "initContainerStatuses": list(init), **status},
    }


WAITS = waiting("PodInitializing")


def crashed(name: str, ended: dict[str, Any] = OOM) -> dict[str, Any]:
    return waiting(
        "CrashLoopBackOff", "back-off", name=name, restartCount=4, lastState={"terminated": ended}
    )


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


def due(*looks: tuple[float, dict[str, Any]]) -> Trouble | None:
    seen: tuple[Watched, ...] = ()
    found = None
    for now_s, one in looks:
        seen, found = watch(seen, [one], now_s)
    return found


BUSY = pod(waiting("ErrImagePull", "429 Too Many Requests"))
BACK_OFF = pod(waiting("ImagePullBackOff", "Back-off pulling image"))


def test_a_first_error_of_a_registry_is_tried_again() -> None:
    assert due((0, BUSY)) is None
    assert due((0, BUSY), (5, BACK_OFF), (PULL_PATIENCE_S - 1, BUSY)) is None
    pulled = pod(container(state={"running": {}}))
    assert due((0, BUSY), (15, pulled), (60, pulled)) is None
    assert due((0, BUSY), (15, pulled), (25, BUSY)) is None


def test_a_registry_that_keeps_refusing_is_given_up_with_its_first_words() -> None:
    found = due((0, BUSY), (5, BACK_OFF), (PULL_PATIENCE_S, BACK_OFF))
    assert found is not None
    assert "429 Too Many Requests" in found.reason
    assert found.image == "reg.test/x:1"


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("ErrImagePull", 'rpc error: "reg.test/x:1": not found'),
        ("ImagePullBackOff", 'Back-off pulling image: ErrImagePull: 401 Unauthorized'),
        ("ErrImagePull", "pull access denied, repository does not exist"),
        ("InvalidImageName", ""),
        ("ErrImageNeverPull", ""),
    ],
)  # fmt: skip
def test_an_image_that_cannot_be_had_is_given_up_at_once(reason: str, message: str) -> None:
    for seen in (
        pod(waiting(reason, message)),
        pod(WAITS, init=[waiting(reason, message, name="a")]),
    ):
        found = due((0, seen))
        assert found is not None
        assert found.image == "reg.test/x:1"


def test_final_words_after_passing_ones_end_the_patience() -> None:
    assert due((0, BUSY), (1, pod(waiting("ErrImagePull", "manifest unknown")))) is not None


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from([BUSY, BACK_OFF])), max_size=20))
def test_patience_is_counted_from_the_first_error_however_states_change(
    steps: list[tuple[float, dict[str, Any]]],
) -> None:
    now_s, looks = 0.0, [(0.0, BUSY)]
    for pause_s, one in steps:
        now_s += pause_s
        looks.append((now_s, one))
    assert (due(*looks) is not None) is (now_s >= PULL_PATIENCE_S)


def homeless_pod(**condition: Any) -> dict[str, Any]:
    return pod(conditions=[{"type": "PodScheduled", "status": "False", **condition}])


def test_a_pod_without_a_node_says_why_and_since_when() -> None:
    since = "2026-01-01T00:00:00Z"
    (found,) = homeless([homeless_pod(message="2 Insufficient gpu", lastTransitionTime=since)])
    assert str(found) == "pod d-1: 2 Insufficient gpu"
    assert found.waited_s(datetime(2026, 1, 1, 0, 5, tzinfo=UTC)) == 300
    assert list(homeless([pod()])) == []


def test_a_pod_that_a_queue_holds_back_is_not_without_a_node() -> None:
    assert list(homeless([homeless_pod(reason="SchedulingGated")])) == []


def test_the_digest_is_that_of_the_main_container() -> None:
    assert main_image_digest(pod(container(imageID="reg.test/x@sha256:abc"))) == "sha256:abc"
    assert main_image_digest(pod()) == ""
