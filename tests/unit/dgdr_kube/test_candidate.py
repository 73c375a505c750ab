"""Candidates on one Lease: never two that may write, and always one before long."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from dgdr_kube.candidate import Candidate, LeaseLost
from dgdr_kube.errors import Unreachable
from dgdr_kube.kinds import LEASE
from dgdr_kube.lease import Timing
from dgdr_kube.ports import Manifest
from support.fake_cluster import FakeCluster
from support.virtual_time import run_virtually

SPACE, NAME = "system", "dgdr-operator"
STEP_S = 0.25


class Wire(FakeCluster):
    """A server behind a line that delays, loses questions and loses answers."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__()
        self.dice = dice
        self.longest_s = 0.0
        self.lost = 0.0
        self.cut: set[str] = set()

    def for_(self, me: str) -> "Line":
        return Line(self, me)

    async def through(self, me: str, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        await self._trouble(me)
        answer = await call()
        await self._trouble(me)
        return answer

    async def _trouble(self, me: str) -> None:
        await asyncio.sleep(self.dice.random() ** 4 * self.longest_s)
        if me in self.cut:
            await asyncio.Event().wait()
        if self.dice.random() < self.lost:
            raise Unreachable("lost")


@dataclass
class Line:
    """One candidate's way to the server."""

    wire: Wire
    me: str

    async def get(self, *at: Any) -> Manifest | None:
        return await self.wire.through(self.me, lambda: self.wire.get(*at))

    async def create(self, *what: Any) -> Manifest:
        return await self.wire.through(self.me, lambda: self.wire.create(*what))

    async def patch(self, *what: Any, resource_version: str | None = None) -> Manifest:
        return await self.wire.through(
            self.me, lambda: self.wire.patch(*what, resource_version=resource_version)
        )


def candidate(wire: Wire, me: str) -> Candidate:
    clock = asyncio.get_running_loop().time
    return Candidate(wire.for_(me), SPACE, NAME, me, clock=clock)  # type: ignore[arg-type]


@dataclass
class Company:
    """Processes that live, are killed, are told to go, and start again under another name."""

    wire: Wire
    candidates: list[Candidate] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    may_write_until_s: dict[str, float] = field(default_factory=dict)
    led_s: float = 0.0
    leaders: set[str] = field(default_factory=set)

    async def process(self, number: int) -> None:
        for life in range(1000):
            one = candidate(self.wire, f"p{number}-{life}")
            self.candidates.append(one)
            try:
                async with asyncio.timeout(self.wire.dice.uniform(5, 300)):
                    await one.acquire()
                    await one.keep()
            except (TimeoutError, LeaseLost):
                pass
            if self.wire.dice.random() < 0.5:  # told to go; else killed
                self.may_write_until_s.pop(one.me, None)  # its work has ended
                await one.release()
            self.candidates.remove(one)
            await asyncio.sleep(self.wire.dice.uniform(0, 3))

    def check(self, step_s: float) -> None:
        now_s = asyncio.get_running_loop().time()
        writing = [one for one in self.candidates if one.left_s() > 0]
        for one in writing:
            others = {me: end for me, end in self.may_write_until_s.items() if me != one.me}
            assert all(end <= now_s for end in others.values()), (now_s, one.me, others)
            self.may_write_until_s[one.me] = now_s + one.left_s()
            self.leaders.add(one.me)
        self.led_s += step_s * len(writing)


async def story(seed: int, seconds: float) -> Company:
    company = Company(Wire(random.Random(seed)))
    company.wire.longest_s = company.wire.dice.choice([0.1, 3.0, 30.0])
    company.wire.lost = company.wire.dice.choice([0.0, 0.1, 0.4])
    tasks = [asyncio.create_task(company.process(number)) for number in range(3)]
    for _ in range(int(seconds / STEP_S)):
        await asyncio.sleep(STEP_S)
        company.check(STEP_S)
        for task in tasks:
            if task.done():
                task.result()
    for task in tasks:
        task.cancel()
    return company


@pytest.mark.parametrize("seed", range(16))
def test_never_two_may_write(seed: int) -> None:
    company = run_virtually(story(seed, 400.0))
    assert len(company.leaders) > 1


def test_on_a_good_line_somebody_leads_most_of_the_time() -> None:
    async def quiet() -> float:
        company = Company(Wire(random.Random(1)))
        tasks = [asyncio.create_task(company.process(number)) for number in range(2)]
        for _ in range(4_000):
            await asyncio.sleep(STEP_S)
            company.check(STEP_S)
        for task in tasks:
            task.cancel()
        return company.led_s

    assert run_virtually(quiet()) > 0.7 * 4_000 * STEP_S


async def leading(wire: Wire, me: str) -> tuple[Candidate, "asyncio.Task[None]"]:
    one = candidate(wire, me)
    await one.acquire()
    return one, asyncio.create_task(one.keep())


def holder(wire: Wire) -> str:
    found = wire.peek(LEASE, SPACE, NAME)
    assert found is not None
    return str(found["spec"]["holderIdentity"])


def test_a_killed_leader_is_followed_when_its_lease_has_run_out() -> None:
    async def killed() -> float:
        wire = Wire(random.Random(0))
        _, keeping = await leading(wire, "a")
        second = asyncio.create_task(leading(wire, "b"))
        await asyncio.sleep(21)
        keeping.cancel()
        began_s = asyncio.get_running_loop().time()
        await second
        return asyncio.get_running_loop().time() - began_s

    assert 13 <= run_virtually(killed()) <= 16


def test_a_leader_that_goes_is_followed_at_the_next_look() -> None:
    async def goes() -> float:
        wire = Wire(random.Random(0))
        first, keeping = await leading(wire, "a")
        second = asyncio.create_task(leading(wire, "b"))
        await asyncio.sleep(21)
        keeping.cancel()
        await first.release()
        assert (first.left_s(), holder(wire)) == (0.0, "")
        began_s = asyncio.get_running_loop().time()
        await second
        return asyncio.get_running_loop().time() - began_s

    assert run_virtually(goes()) <= 1


def test_who_was_cut_off_writes_nothing_and_ends_when_he_hears_of_another() -> None:
    async def cut() -> None:
        wire = Wire(random.Random(0))
        first, keeping = await leading(wire, "a")
        second = asyncio.create_task(leading(wire, "b"))
        await asyncio.sleep(21)
        wire.cut.add("a")
        await asyncio.sleep(10)
        assert first.left_s() == 0
        await second
        assert not keeping.done()
        wire.cut.clear()
        with pytest.raises(LeaseLost, match="b holds Lease dgdr-operator"):
            await keeping

    run_virtually(cut())


def test_after_an_outage_of_the_server_the_same_process_leads() -> None:
    async def outage() -> None:
        wire = Wire(random.Random(0))
        first, _ = await leading(wire, "a")
        back: list[str] = []
        first.back = lambda: back.append("a")
        second = asyncio.create_task(leading(wire, "b"))
        await asyncio.sleep(21)
        wire.lost = 1.0
        await asyncio.sleep(600)
        assert (first.left_s(), first.followed, back) == (0.0, False, [])
        assert first.silent_s() < 10
        wire.lost = 0.0
        await asyncio.sleep(5)
        assert first.left_s() > 0
        assert (first.followed, back, holder(wire)) == (True, ["a"], "a")
        second.cancel()

    run_virtually(outage())


def test_a_claim_whose_answer_was_lost_is_given_up_all_the_same() -> None:
    async def lost() -> str:
        wire = Wire(random.Random(0))
        one = candidate(wire, "a")
        acquiring = asyncio.create_task(one.acquire())
        while wire.peek(LEASE, SPACE, NAME) is None:
            wire.longest_s = 1.0
            await asyncio.sleep(0.01)
        acquiring.cancel()
        with suppress(asyncio.CancelledError):
            await acquiring
        assert not one.leads
        await one.release()
        return holder(wire)

    assert run_virtually(lost()) == ""


def test_a_renewal_that_failed_is_tried_again_at_the_next_look() -> None:
    async def refused() -> float:
        wire = Wire(random.Random(0))
        one = candidate(wire, "a")
        one.timing = Timing(lease_s=30, renew_s=20.0, retry_s=10.0, look_s=2.0)
        await one.acquire()
        keeping = asyncio.create_task(one.keep())
        await wire.patch(LEASE, SPACE, NAME, {"metadata": {"labels": {"a": "b"}}}, "somebody")
        await asyncio.sleep(13)  # a renewal at 10 s is a conflict, the one at 12 s is none
        keeping.cancel()
        return one.left_s()

    assert run_virtually(refused()) == pytest.approx(29)


class Slowest(random.Random):
    """Throws the highest number each time."""

    def random(self) -> float:
        return 1.0


def test_a_claim_counts_from_when_it_was_sent_not_from_its_answer() -> None:
    async def slow() -> float:
        wire = Wire(Slowest())
        wire.longest_s = 0.9
        one = candidate(wire, "a")
        await one.acquire()
        return one.left_s()

    assert run_virtually(slow()) == pytest.approx(15 - 2 * 0.9)


@pytest.mark.parametrize("answer_s", [2.4, 3.6, 5.0])
def test_a_server_that_answers_slowly_has_a_leader(answer_s: float) -> None:
    async def slow() -> float:
        wire = Wire(Slowest())
        wire.longest_s = answer_s / 2
        one = candidate(wire, "a")
        async with asyncio.timeout(60):
            await one.acquire()
        keeping, writes_s = asyncio.create_task(one.keep()), 0.0
        for _ in range(400):
            await asyncio.sleep(STEP_S)
            writes_s += STEP_S * (one.left_s() > 0)
        keeping.cancel()
        return writes_s

    assert run_virtually(slow()) > 0.6 * 400 * STEP_S


@dataclass
class LateLine(Line):
    """A write arrives later than a read, and arrives when whoever sent it waits no more."""

    async def patch(self, *what: Any, resource_version: str | None = None) -> Manifest:
        async def late() -> Manifest:
            await asyncio.sleep(0.5)
            return await self.wire.patch(*what, resource_version=resource_version)

        return await asyncio.shield(asyncio.ensure_future(late()))


def test_a_renewal_on_its_way_does_not_keep_the_lease_from_being_given_up() -> None:
    async def crashed() -> str:
        wire = Wire(random.Random(0))
        one, keeping = await leading(wire, "a")
        one.cluster = LateLine(wire, "a")  # type: ignore[assignment]
        await asyncio.sleep(one.timing.retry_s + 0.25)
        keeping.cancel()
        await one.release()
        await asyncio.sleep(1.0)
        return holder(wire)

    assert run_virtually(crashed()) == ""
