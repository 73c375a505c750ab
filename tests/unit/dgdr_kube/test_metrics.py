"""What both programs show of queues, calls, watches and Leases, by what happens to them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration
from prometheus_client import CollectorRegistry

from dgdr_kube.client import KubeCluster
from dgdr_kube.errors import Conflict, NotLeading, Unreachable
from dgdr_kube.following import Watch, follow
from dgdr_kube.kinds import CONFIG_MAP, DGD, POD
from dgdr_kube.metrics import Followed, KubeMetrics
from dgdr_kube.ports import Key, Listing
from dgdr_kube.store import Store
from dgdr_kube.workqueue import WorkQueue
from support.watching import ScriptedWatching, added, bookmark, thing


class Shown:
    """Metrics, and how to read them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = KubeMetrics(self.registry)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"dgdr_kube_{name}", labels)


@pytest.fixture
def shown() -> Shown:
    return Shown()


# -- work queue


async def test_a_queue_shows_what_waits_and_for_how_long(shown: Shown) -> None:
    queue: WorkQueue[Key] = WorkQueue(name="dgdr")
    shown.metrics.show_queue(queue)
    assert shown("workqueue_depth", queue="dgdr") == 0
    assert shown("workqueue_oldest_seconds", queue="dgdr") == 0
    queue.notice(Key("n", "old"))
    await asyncio.sleep(0.02)
    queue.add(Key("n", "new"))
    queue.add(Key("n", "old"))  # more urgent now, and no younger
    assert shown("workqueue_depth", queue="dgdr") == 2
    assert shown("workqueue_adds_total", queue="dgdr") == 2
    assert (shown("workqueue_oldest_seconds", queue="dgdr") or 0) >= 0.02


async def test_a_queue_counts_waits_and_retries(shown: Shown) -> None:
    queue: WorkQueue[Key] = WorkQueue(name="dgdr")
    shown.metrics.show_queue(queue)
    longest: list[float | None] = []

    async def run(key: Key) -> None:
        await asyncio.sleep(0.01)
        longest.append(shown("workqueue_longest_running_processor_seconds", queue="dgdr"))
        if key.name == "bad":
            raise Conflict("changed")

    queue.add_all([Key("n", "good"), Key("n", "bad")])
    await queue.drain(run)
    assert shown("workqueue_queue_duration_seconds_count", queue="dgdr") == 2
    assert (shown("workqueue_queue_duration_seconds_sum", queue="dgdr") or 0) >= 0.01
    assert shown("workqueue_retries_total", queue="dgdr") == 1
    assert shown("workqueue_depth", queue="dgdr") == 0
    assert shown("workqueue_oldest_seconds", queue="dgdr") == 0
    assert all(seconds is not None and seconds >= 0.01 for seconds in longest)


def test_passes_are_timed_by_queue(shown: Shown) -> None:
    shown.metrics.show_queue(WorkQueue(name="dgd"))
    shown.metrics.worked("dgd", 0.003)
    assert shown("workqueue_work_duration_seconds_count", queue="dgd") == 1
    assert shown("workqueue_work_duration_seconds_bucket", queue="dgd", le="0.0025") == 0
    assert shown("workqueue_work_duration_seconds_bucket", queue="dgd", le="0.005") == 1


# -- calls


@pytest.fixture
async def cluster(shown: Shown) -> AsyncIterator[KubeCluster]:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "PATCH":
            return web.json_response({"message": "changed"}, status=409)
        if request.query.get("watch"):
            return web.json_response({"message": "too old"}, status=410)
        if request.path.endswith("/configmaps"):
            return web.json_response({"kind": "List", "metadata": {"resourceVersion": "1"}})
        return web.json_response({"kind": "Status", "message": "not there"}, status=404)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    api = ApiClient(Configuration(host=f"http://{host}:{port}"))
    client = KubeCluster(api, instance="t", told=shown.metrics.called)
    yield client
    await client.close()
    await runner.cleanup()


async def test_calls_are_counted_by_verb_kind_and_code(shown: Shown, cluster: KubeCluster) -> None:
    assert await cluster.get(CONFIG_MAP, "n", "m") is None
    with pytest.raises(Unreachable):  # a list without items is none
        await cluster.list(CONFIG_MAP, "n")
    for write in (
        cluster.patch_status(DGD, "n", "m", {}, "me"),
        cluster.scale(DGD, "n", "m", 1, "me"),
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}, "me"),
    ):
        with pytest.raises(Conflict):
            await write
    with pytest.raises(Exception, match="too old"):
        async with cluster.watch(POD, None, "1"):
            pass
    graph = "DynamoGraphDeployment"
    for labels in (
        {"verb": "get", "kind": "ConfigMap", "code": "404"},
        {"verb": "list", "kind": "ConfigMap", "code": "200"},
        {"verb": "patch_status", "kind": graph, "code": "409"},
        {"verb": "scale", "kind": graph, "code": "409"},
        {"verb": "apply", "kind": "Pod", "code": "409"},
        {"verb": "watch", "kind": "Pod", "code": "410"},
    ):
        assert shown("client_requests_total", **labels) == 1, labels
        verb = labels["verb"]
        assert shown("client_request_duration_seconds_count", verb=verb) == 1


async def test_a_call_that_nobody_answers_is_counted(shown: Shown) -> None:
    api = ApiClient(Configuration(host="http://127.0.0.1:1"))
    client = KubeCluster(api, instance="t", told=shown.metrics.called)
    with pytest.raises(Unreachable):
        await client.get(POD, "n", "p")
    await client.close()
    assert shown("client_requests_total", verb="get", kind="Pod", code="none") == 1


async def test_a_write_that_was_not_begun_is_no_call(shown: Shown) -> None:
    api = ApiClient(Configuration(host="http://127.0.0.1:1"))
    client = KubeCluster(api, instance="t", left_s=lambda: 0.0, told=shown.metrics.called)
    with pytest.raises(NotLeading):
        await client.patch(POD, "n", "p", {}, "me")
    await client.close()
    assert shown("client_requests_total", verb="patch", kind="Pod", code="none") is None


# -- watches


async def test_a_watch_shows_how_long_it_is_silent_and_what_it_told(shown: Shown) -> None:
    clock = [100.0]
    watch, store = Watch(clock=lambda: clock[0]), Store()
    shown.metrics.show_watches([Followed(POD, "a", "n", watch, needed=False)])
    shown.metrics.show_stores([(POD, store)])
    labels = {"kind": "Pod", "selector": "a", "scope": "n"}
    assert shown("watch_followed", **labels, needed="false") == 0
    source = ScriptedWatching(
        [Listing([thing("one", 1, "n")], "1")], [[added("two", 2), bookmark(3)]]
    )
    following = asyncio.create_task(follow(source, POD, "n", store, watch=watch))
    await source.silent.wait()
    assert shown("watch_followed", **labels, needed="false") == 1
    assert shown("watch_lists_total", **labels) == 1
    assert shown("watch_events_total", **labels) == 1
    assert shown("cached_objects", kind="Pod", selector="") == 2
    clock[0] = 145.0
    assert shown("watch_silent_seconds", **labels) == 45.0
    following.cancel()


def test_a_watch_that_broke_is_counted_and_not_followed(shown: Shown) -> None:
    watch = Watch()
    shown.metrics.show_watches([Followed(POD, "", None, watch)])
    labels = {"kind": "Pod", "selector": "", "scope": ""}
    watch.found()
    watch.lost(Unreachable("503"))
    assert shown("watch_followed", **labels, needed="true") == 0
    assert shown("watch_failures_total", **labels) == 1


def test_the_process_itself_is_shown(shown: Shown) -> None:
    assert (shown.registry.get_sample_value("process_resident_memory_bytes") or 0) > 1e6
