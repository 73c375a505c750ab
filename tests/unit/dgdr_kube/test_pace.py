"""A client's calls: a burst at once, then so many a second."""

import pytest

from dgdr_kube.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


async def test_a_burst_is_free_and_then_each_waits_a_little_longer() -> None:
    clock = Clock()
    pace = Pace(per_s=10.0, burst=3, clock=clock, sleep=clock.sleep)
    for _ in range(5):
        await pace.turn()
    assert clock.waits == pytest.approx([0.1, 0.2])


async def test_who_was_quiet_has_no_more_than_a_burst() -> None:
    clock = Clock()
    pace = Pace(per_s=10.0, burst=3, clock=clock, sleep=clock.sleep)
    await pace.turn()
    clock.now_s += 3600.0
    for _ in range(4):
        await pace.turn()
    assert clock.waits == pytest.approx([0.1])
