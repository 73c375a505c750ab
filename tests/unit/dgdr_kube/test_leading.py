"""Leader and work are one: when either ends, the other does, and the Lease is given up."""

import asyncio
import signal
from dataclasses import dataclass, field

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry, generate_latest

from dgdr_kube.candidate import Candidate, LeaseLost
from dgdr_kube.kinds import LEASE
from dgdr_kube.leading import Alone, lead, standing
from dgdr_kube.metrics import KubeMetrics
from dgdr_kube.process import EXIT_LOOP_ENDED, EXIT_STOPPED, until_told
from dgdr_kube.serving import Health, application
from support.fake_cluster import FakeCluster
from support.virtual_time import run_virtually

SPACE, NAME = "system", "dgdr-planner"


@dataclass
class Ours:
    """A candidate, and what its work has seen of it."""

    cluster: FakeCluster = field(default_factory=FakeCluster)
    told: list[str] = field(default_factory=list)

    def candidate(self, me: str) -> Candidate:
        clock = asyncio.get_running_loop().time
        return Candidate(self.cluster, SPACE, NAME, me, clock=clock)

    def holder(self) -> str:
        found = self.cluster.peek(LEASE, SPACE, NAME)
        return str(found["spec"]["holderIdentity"]) if found else "none"

    async def works(self) -> int:
        self.told.append(f"begins under {self.holder()}")
        try:
            await asyncio.Event().wait()
        finally:
            self.told.append(f"ends under {self.holder()}")
        return EXIT_STOPPED

    async def breaks(self) -> int:
        await asyncio.sleep(5)
        raise RuntimeError("a fault of ours")


def test_work_that_breaks_gives_the_lease_up() -> None:
    async def story() -> str:
        ours = Ours()
        with pytest.raises(RuntimeError, match="a fault of ours"):
            await lead(ours.candidate("a"), Health(), ours.breaks)
        return ours.holder()

    assert run_virtually(story()) == ""


def test_work_that_ends_gives_the_lease_up_and_its_exit_code_back() -> None:
    async def ends() -> int:
        await asyncio.sleep(60)
        return 7

    async def story() -> tuple[int, str]:
        ours = Ours()
        return await lead(ours.candidate("a"), Health(), ends), ours.holder()

    assert run_virtually(story()) == (7, "")


def test_work_ends_when_another_leads() -> None:
    async def story() -> tuple[int, list[str], str]:
        ours = Ours()
        leading = asyncio.create_task(lead(ours.candidate("a"), Health(), ours.works))
        await asyncio.sleep(5)
        await ours.cluster.patch(LEASE, SPACE, NAME, {"spec": {"holderIdentity": "b"}}, "test")
        return await leading, ours.told, ours.holder()

    code, told, holder = run_virtually(story())
    assert code == EXIT_LOOP_ENDED
    assert told == ["begins under a", "ends under b"]
    assert holder == "b"


def test_who_is_told_to_stop_gives_the_lease_up_after_his_work_has_ended() -> None:
    async def story() -> tuple[list[str], str]:
        ours = Ours()
        leading = asyncio.create_task(lead(ours.candidate("a"), Health(), ours.works))
        await asyncio.sleep(5)
        leading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leading
        return ours.told, ours.holder()

    assert run_virtually(story()) == (["begins under a", "ends under a"], "")


def test_who_waits_is_ready_and_does_nothing() -> None:
    async def story() -> None:
        ours, health, registry = Ours(), Health(), CollectorRegistry()
        first = asyncio.create_task(lead(ours.candidate("a"), Health(), ours.works))
        await asyncio.sleep(1)
        candidate = ours.candidate("b")
        KubeMetrics(registry).show_leader(NAME, candidate)
        assert not health.ready()
        second = asyncio.create_task(lead(candidate, health, ours.works))
        await asyncio.sleep(30)
        assert (health.ready(), health.leads(), health.unheard()) == (True, False, [])
        assert ours.told == ["begins under a"]
        assert 'dgdr_kube_leader{lease="dgdr-planner"} 0.0' in generate_latest(registry).decode()
        first.cancel()
        await asyncio.sleep(2)
        assert (health.ready(), health.leads()) == (True, True)
        page = generate_latest(registry).decode()
        assert 'dgdr_kube_leader{lease="dgdr-planner"} 1.0' in page
        assert 'dgdr_kube_lease_transitions_total{lease="dgdr-planner"} 1.0' in page
        second.cancel()

    run_virtually(story())


async def test_readiness_says_what_it_lacks() -> None:
    class Unheard:
        followed = False

        def silent_s(self) -> float:
            return 0.0

    health = Health(leads=lambda: False)
    health.follow("leases", "system", Unheard())
    async with TestClient(TestServer(application(health, CollectorRegistry()))) as client:
        answer = await client.get("/readyz")
        assert answer.status == 503
        said = await answer.json()
    assert said == {"ready": False, "leads": False, "unheard": ["watch of leases in system"]}


async def test_without_a_setting_there_is_no_election() -> None:
    async with standing(None, "") as leader:
        assert isinstance(leader, Alone)
        assert leader.left_s() > 1e9

        async def ends() -> int:
            return 3

        assert await lead(leader, Health(), ends) == 3


async def test_a_signal_ends_what_runs_and_that_is_no_failure() -> None:
    async def works() -> int:
        signal.raise_signal(signal.SIGTERM)
        await asyncio.Event().wait()
        return 1

    assert await until_told(works()) == EXIT_STOPPED


async def test_what_ends_by_itself_keeps_its_code() -> None:
    async def breaks() -> int:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        await until_told(breaks())
