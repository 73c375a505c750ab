import asyncio

import pytest

from dgdr_kube.errors import Conflict, Unreachable
from dgdr_kube.workqueue import Backoff, Urgency, WorkQueue


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


async def test_what_is_noticed_during_a_pass_waits_for_what_else_comes() -> None:
    queue: WorkQueue[str] = WorkQueue()
    passes = 0
    done = asyncio.Event()

    async def reconcile(key: str) -> None:
        nonlocal passes
        passes += 1
        if passes == 1:
            queue.notice(key, after_s=0.01)
            queue.notice(key, after_s=30.0)
        else:
            done.set()

    queue.add("a")
    await queue.drain(reconcile)
    assert passes == 1
    worker = asyncio.create_task(queue.run(reconcile))
    await asyncio.wait_for(done.wait(), 5)
    worker.cancel()


async def test_what_is_wanted_during_a_pass_does_not_wait() -> None:
    queue: WorkQueue[str] = WorkQueue()
    passes = 0

    async def reconcile(key: str) -> None:
        nonlocal passes
        passes += 1
        if passes == 1:
            queue.notice(key, after_s=30.0)
            queue.add(key)

    queue.add("a")
    await queue.drain(reconcile)
    assert passes == 2


async def test_a_key_that_fails_is_not_brought_back_by_what_can_wait() -> None:
    queue: WorkQueue[str] = WorkQueue(backoff=Backoff(first_s=30.0))
    passes = 0

    async def reconcile(_: str) -> None:
        nonlocal passes
        passes += 1
        raise RuntimeError("no")

    queue.add("a")
    await queue.drain(reconcile)
    queue.notice("a", after_s=0.001)
    await asyncio.sleep(0.01)
    await queue.drain(reconcile)
    assert passes == 1


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
    ("failures", "unit", "failing", "delay_s"),
    [
        pytest.param(1, 0.5, 1, 0.5, id="first"),
        pytest.param(3, 0.5, 1, 2.0, id="doubled"),
        pytest.param(99, 0.5, 1, 12.0, id="bounded"),
        pytest.param(99, 0.5, 100, 25.0, id="many share the tries of a second"),
        pytest.param(99, 0.5, 1000, 60.0, id="very many"),
        pytest.param(1, 0.5, 1000, 0.5, id="first of many"),
        pytest.param(1, 1.0, 1, 0.6, id="jitter"),
    ],
)
def test_backoff(failures: int, unit: float, failing: int, delay_s: float) -> None:
    assert Backoff().delay_s(failures, unit, failing) == pytest.approx(delay_s)


@pytest.mark.parametrize(("failures", "others"), [(1, 0), (5, 1)])
async def test_the_end_of_an_outage_that_one_key_sees_is_the_end_for_all(
    failures: int, others: int
) -> None:
    queue: WorkQueue[str] = WorkQueue(backoff=Backoff(first_s=3600.0))
    left = {"other": 1, "seer": failures}
    ran: list[str] = []

    async def fails_at_first(key: str) -> None:
        ran.append(key)
        left[key] -= 1
        if left[key] >= 0:
            raise Unreachable("away")

    queue.add("other")
    for _ in range(failures + 1):
        queue.add("seer")
        await queue.drain(fails_at_first)
    assert ran.count("other") == 1 + others


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


class Failing:
    """Counts its passes; each fails, as often as it is told to."""

    def __init__(self, queue: WorkQueue[str], *errors: Exception) -> None:
        self.passes = 0
        self.queue = queue
        self.errors = list(errors)
        self.noticed_inside = False

    async def __call__(self, key: str) -> float | None:
        self.passes += 1
        if self.noticed_inside:
            self.queue.notice(key)
        if self.errors:
            raise self.errors.pop(0)
        return None

    async def drain(self) -> int:
        await self.queue.drain(self)
        return self.passes


async def test_what_changes_around_a_failing_key_does_not_cancel_its_back_off() -> None:
    queue: WorkQueue[str] = WorkQueue(backoff=Backoff(first_s=3600.0))
    failing = Failing(queue, RuntimeError("a"))
    queue.notice("a")
    assert await failing.drain() == 1
    for _ in range(5):
        queue.notice("a")
    assert await failing.drain() == 1
    queue.add("a")  # an edit
    assert await failing.drain() == 2


async def test_its_own_status_write_does_not_bring_a_failing_key_back() -> None:
    queue: WorkQueue[str] = WorkQueue(backoff=Backoff(first_s=3600.0))
    failing = Failing(queue, RuntimeError("a"))
    failing.noticed_inside = True
    queue.add("a")
    assert await failing.drain() == 1


async def test_what_changes_during_a_pass_that_works_runs_it_once_more() -> None:
    queue: WorkQueue[str] = WorkQueue()
    works = Failing(queue)
    queue.add("a")

    async def noticed_once(key: str) -> float | None:
        if works.passes == 0:
            queue.notice(key)
        return await works(key)

    await queue.drain(noticed_once)
    assert works.passes == 2


async def test_a_server_that_asks_for_time_gets_it_from_edits_too() -> None:
    queue: WorkQueue[str] = WorkQueue(backoff=Backoff(first_s=0.001))
    failing = Failing(queue, Unreachable("429", retry_after_s=0.2))
    queue.add("a")
    assert await failing.drain() == 1
    queue.add("a")
    await asyncio.sleep(0.05)
    assert await failing.drain() == 1
    await asyncio.sleep(0.25)
    assert await failing.drain() == 2


async def test_a_server_that_is_back_needs_no_more_of_the_time_that_it_asked_for() -> None:
    queue: WorkQueue[str] = WorkQueue(backoff=Backoff(first_s=0.001))
    failing = Failing(queue, Unreachable("429", retry_after_s=30.0))
    queue.add("a")
    assert await failing.drain() == 1
    queue.retry_failed()
    assert await failing.drain() == 2


async def test_a_server_that_is_just_back_may_fail_once_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue: WorkQueue[str] = WorkQueue(backoff=Backoff(first_s=1.0, jitter=0.0))
    failing = Failing(queue, *(Unreachable("away") for _ in range(7)))
    for _ in range(7):
        queue.add("a")
        await failing.drain()
    assert "again in 12.0 s" in caplog.messages[-1]
    failing.errors.append(Unreachable("starting"))
    queue.retry_failed()
    await failing.drain()
    assert "again in 4.0 s" in caplog.messages[-1]


async def served(queue: WorkQueue[str]) -> list[str]:
    seen: list[str] = []

    async def note(key: str) -> None:
        seen.append(key)

    await queue.drain(note)
    return seen


async def test_what_is_wanted_is_served_before_what_is_noticed_and_first_passes_come_last() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("first-1", "first-2"):
        queue.notice(key, Urgency.FIRST)
    queue.notice("noticed")
    queue.add("wanted-1")
    queue.add("wanted-2")
    assert await served(queue) == ["wanted-1", "wanted-2", "noticed", "first-1", "first-2"]


async def test_a_key_that_waits_becomes_more_urgent_and_is_served_once() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for key in ("a", "b", "c"):
        queue.notice(key, Urgency.FIRST)
    queue.add("c")
    queue.notice("c", Urgency.FIRST)
    assert await served(queue) == ["c", "a", "b"]
    assert len(queue) == 0


async def test_a_queue_that_is_held_serves_nobody_before_its_release() -> None:
    queue: WorkQueue[str] = WorkQueue(workers=2)
    seen: list[str] = []
    done = asyncio.Event()

    async def note(key: str) -> None:
        seen.append(key)
        if len(seen) == 2:
            done.set()

    queue.hold()
    running = asyncio.create_task(queue.run(note))
    queue.notice("noticed", Urgency.FIRST)
    await asyncio.sleep(0.01)
    queue.add("wanted")
    assert (seen, queue.longest_pass_s()) == ([], 0.0)
    queue.release()
    await asyncio.wait_for(done.wait(), 5)
    running.cancel()
    assert seen == ["wanted", "noticed"]
