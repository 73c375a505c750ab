import asyncio

import pytest

from dgdr_kube.errors import Conflict, Unreachable
from dgdr_kube.workqueue import Backoff, WorkQueue


async def test_marks_of_one_key_become_one_pass() -> None:
    queue: WorkQueue[str] = WorkQueue()
    seen: list[str] = []

    async def reconcile(key: str) -> None:
        seen.append(key)

    for key in ("a", "b", "a", "a"):
        queue.add(key)
    await queue.drain(reconcile)
    assert seen == ["a", "b"]


async def test_a_mark_during_the_pass_runs_it_once_more_and_never_beside_it() -> None:
    queue: WorkQueue[str] = WorkQueue(workers=3)
    running = most = passes = 0
    done = asyncio.Event()

    async def reconcile(key: str) -> None:
        nonlocal running, most, passes
        running += 1
        most = max(most, running)
        passes += 1
        if passes == 1:
            queue.add(key)
            queue.add(key)
        await asyncio.sleep(0)
        running -= 1
        if passes == 2:
            done.set()

    queue.add("a")
    worker = asyncio.create_task(queue.run(reconcile))
    await asyncio.wait_for(done.wait(), 5)
    await asyncio.sleep(0)
    worker.cancel()
    assert (most, passes) == (1, 2)


async def test_a_failing_key_is_tried_again_and_others_are_served() -> None:
    queue: WorkQueue[str] = WorkQueue(backoff=Backoff(first_s=0.001))
    tries: list[str] = []
    done = asyncio.Event()

    async def reconcile(key: str) -> None:
        tries.append(key)
        if tries.count("bad") == 3:
            done.set()
        elif key == "bad":
            raise RuntimeError("not yet")

    queue.add("bad")
    queue.add("good")
    worker = asyncio.create_task(queue.run(reconcile))
    await asyncio.wait_for(done.wait(), 5)
    worker.cancel()
    assert tries.count("good") == 1


async def test_a_returned_delay_brings_the_key_back() -> None:
    queue: WorkQueue[str] = WorkQueue()
    passes = 0
    done = asyncio.Event()

    async def reconcile(_: str) -> float | None:
        nonlocal passes
        passes += 1
        if passes == 2:
            done.set()
            return None
        return 0.001

    queue.add("a")
    worker = asyncio.create_task(queue.run(reconcile))
    await asyncio.wait_for(done.wait(), 5)
    worker.cancel()
    assert passes == 2


async def test_the_earliest_of_several_times_wins() -> None:
    queue: WorkQueue[str] = WorkQueue()
    done = asyncio.Event()

    async def reconcile(_: str) -> None:
        done.set()

    queue.add_after("a", 3600)
    queue.add_after("a", 0.001)
    queue.add_after("a", 7200)
    worker = asyncio.create_task(queue.run(reconcile))
    await asyncio.wait_for(done.wait(), 5)
    worker.cancel()


@pytest.mark.parametrize(
    ("failures", "unit", "delay_s"),
    [
        pytest.param(1, 0.5, 0.5, id="first"),
        pytest.param(3, 0.5, 2.0, id="doubled"),
        pytest.param(99, 0.5, 60.0, id="bounded"),
        pytest.param(1, 1.0, 0.6, id="jitter"),
    ],
)
def test_backoff(failures: int, unit: float, delay_s: float) -> None:
    assert Backoff().delay_s(failures, unit) == pytest.approx(delay_s)


async def test_only_what_nobody_expects_is_logged_with_its_stack(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue: WorkQueue[str] = WorkQueue()

    async def reconcile(key: str) -> None:
        raise Conflict("changed") if key == "expected" else RuntimeError("surprise")

    queue.add("expected")
    queue.add("surprise")
    await queue.drain(reconcile)
    stacks = {record.message.split()[1]: bool(record.exc_info) for record in caplog.records}
    assert stacks == {"expected:": False, "surprise": True}


async def test_what_waits_after_a_failure_can_be_tried_at_once() -> None:
    queue: WorkQueue[str] = WorkQueue(backoff=Backoff(first_s=3600.0))
    ran: list[str] = []

    async def fails_once(key: str) -> float | None:
        ran.append(key)
        if ran.count(key) == 1 and key == "fails":
            raise Unreachable("down")
        return 3600.0

    queue.add_all(["fails", "works"])
    await queue.drain(fails_once)
    queue.retry_failed()
    await queue.drain(fails_once)
    assert ran == ["fails", "works", "fails"]
