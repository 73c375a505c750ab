"""How long a trouble of a pod has to last."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_profiler.core.pod_troubles import PULL_PATIENCE_S, Trouble
from dgdr_profiler.core.watched import Watched, believed, failed_pulls, watch
from support.pods import WAITS, container, pod, waiting


def due(*looks: tuple[float, dict[str, Any]], failed: int = 0) -> Trouble | None:
    seen: tuple[Watched, ...] = ()
    found = None
    for now_s, one in looks:
        seen = watch(seen, [one], now_s)
        found = believed(seen, now_s, {("d-1", "main"): failed})
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


def test_a_second_failed_pull_ends_the_patience() -> None:
    assert due((0, BUSY), (11, BUSY), failed=1) is None
    found = due((0, BUSY), (11, BUSY), failed=2)
    assert found is not None
    assert "429 Too Many Requests" in found.reason


def event(message: str, **more: Any) -> dict[str, Any]:
    return {"reason": "Failed", "message": message, **more}


def test_failed_pulls_are_counted_by_image() -> None:
    events = [
        event('Failed to pull image "reg.test/x:1": read udp 10.0.0.7:4711: timeout', count=1),
        event('Failed to pull image "reg.test/x:1": read udp 10.0.0.7:4712: timeout', count=2),
        event('Failed to pull image "reg.test/x:1": too many requests', count=None),
        event('Failed to pull image "reg.test/x:12": too many requests', count=5),
        event("Error: ErrImagePull", count=3),
        event('Back-off pulling image "reg.test/x:1"', count=9),
        {},
    ]
    assert failed_pulls(events, "reg.test/x:1") == 4
    assert failed_pulls([], "reg.test/x:1") == 0
