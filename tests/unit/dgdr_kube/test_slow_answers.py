"""A list and a pass that get slow answers go on: liveness asks for progress, not for an end."""

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient, Configuration

from dgdr_kube.client import KubeCluster
from dgdr_kube.following import Watch, follow
from dgdr_kube.kinds import DGD
from dgdr_kube.serving import Health
from dgdr_kube.store import Store
from dgdr_kube.workqueue import WorkQueue
from support.virtual_time import run_virtually
from support.watching import thing

ANSWER_S = 5.0


class SlowApi(ApiClient):
    """Answers each call after 5 s: a list with one of 40 pages, anything else with an object."""

    pages = 40

    async def param_serialize(self, method: str, path: str, **asked: Any) -> tuple[Any, ...]:
        return method, path, dict(asked["query_params"]), None, None

    async def call_api(
        self, method: Any, url: Any, header_params: Any = None, *_: Any, **__: Any
    ) -> Any:
        await asyncio.sleep(ANSWER_S)
        page = int(header_params.get("continue", "1"))
        meta = {"resourceVersion": "100", "continue": "" if page == self.pages else str(page + 1)}
        body = {"kind": "List", "metadata": meta, "items": [thing(f"g{page}", page)]}

        async def read() -> bytes:
            return json.dumps(body).encode()

        return SimpleNamespace(status=200, read=read, headers={})


def slow_cluster() -> KubeCluster:
    return KubeCluster(SlowApi(Configuration()), instance="t")


def test_a_long_list_of_slow_pages_is_no_silence() -> None:
    async def story() -> list[str]:
        health, watch = Health(), Watch(clock=asyncio.get_running_loop().time)
        health.follow(DGD.plural, None, watch)
        following = asyncio.create_task(follow(slow_cluster(), DGD, None, Store(), watch=watch))
        stalled: list[str] = []
        while not watch.followed:
            await asyncio.sleep(1)
            stalled += health.stalled()
        following.cancel()
        assert asyncio.get_running_loop().time() > health.stalled_after_s
        return stalled

    assert run_virtually(story()) == []


@pytest.mark.parametrize(("moves", "stalls"), [(True, False), (False, True)])
def test_a_long_pass_is_alive_while_it_gets_answers(
    monkeypatch: pytest.MonkeyPatch, moves: bool, stalls: bool
) -> None:
    async def story() -> tuple[float, list[str]]:
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(time, "monotonic", loop.time)
        cluster, queue, health = slow_cluster(), WorkQueue[str](name="graphs"), Health()
        health.watch(queue.name, queue.longest_halt_s)

        async def run_pass(_: str) -> None:
            if not moves:
                await asyncio.sleep(45 * ANSWER_S)
            for _call in range(45):
                await cluster.get(DGD, "a", "chat")

        running = asyncio.create_task(queue.run(run_pass))
        queue.add("chat")
        await asyncio.sleep(44.5 * ANSWER_S)
        seen = queue.longest_pass_s(), health.stalled()
        running.cancel()
        return seen

    longest_s, stalled = run_virtually(story())
    assert longest_s > Health().stalled_after_s
    assert bool(stalled) is stalls
