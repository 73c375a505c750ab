"""A seed decides who goes first of those that may go on at one moment, and so makes a run again."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from campaign import runner
from campaign.calls import NoFault
from campaign.faults.kills import AtWrite, Way
from campaign.scenarios import ALL, Scenario
from support.virtual_time import run_virtually

TESTS = Path(__file__).resolve().parents[2]
SEED = 5


def named(name: str) -> Scenario:
    (scenario,) = (one for one in ALL if one.name == name)
    return scenario


def order_of(seed: int | None) -> str:
    """Wake five at once; returns who went on when."""

    async def story() -> str:
        went, start = [], asyncio.Event()

        async def wait(name: str) -> None:
            await start.wait()
            went.append(name)

        async with asyncio.TaskGroup() as group:
            for name in "abcde":
                group.create_task(wait(name))
            await asyncio.sleep(1)
            start.set()
        return "".join(went)

    return run_virtually(story(), seed=seed)


def test_the_seed_chooses_the_order() -> None:
    assert order_of(None) == "abcde"
    assert order_of(1) == order_of(1)
    assert len({order_of(seed) for seed in range(20)}) > 10


@pytest.mark.parametrize("name", ["pair", "budget"])
def test_a_seed_makes_the_same_calls_again(name: str) -> None:
    first, second = (runner.live(named(name), NoFault(), SEED).calls for _ in range(2))
    assert first == second


@pytest.mark.parametrize("nth", [5, 40])
def test_a_fault_strikes_the_call_that_its_point_names(nth: int) -> None:
    scenario = named("suspend")
    calls = runner.undisturbed(scenario, SEED).calls
    fault = AtWrite(nth, Way.LATE)
    disturbed = runner.live(scenario, fault, SEED).calls
    assert fault.struck is not None
    number = fault.struck.number
    assert disturbed[: number + 1] == calls[: number + 1]


_DIGEST = """
import hashlib
from campaign import runner
from campaign.faults.kills import AtWrite, Way
from campaign.scenarios import ALL
(scenario,) = (one for one in ALL if one.name == "suspend")
found = runner.live(scenario, AtWrite(20, Way.LATE), 5)
print(hashlib.sha256(repr((found.calls, found.ending.objects)).encode()).hexdigest())
"""


def test_another_process_makes_the_same_calls() -> None:
    """Whatever its hash seed: sets and addresses decide nothing."""
    told = {
        subprocess.run(
            [sys.executable, "-c", _DIGEST],
            env=os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(TESTS)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(told) == 1
