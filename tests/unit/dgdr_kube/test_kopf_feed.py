"""kopf's own watcher reads from our watch, which outlasts whatever a server answers."""

import asyncio
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import kopf
import pytest
from kopf._cogs.clients import scanning, watching
from kopf._cogs.structs.references import Resource
from kopf._core.reactor import queueing

from dgdr_kube import kopf_feed, kopf_settings
from dgdr_kube.candidate import Candidate
from dgdr_kube.errors import ClusterError, Expired, Rejected, Unreachable
from dgdr_kube.kinds import DGD, LEASE, NODE
from dgdr_kube.kopf_feed import Collection, Feed
from dgdr_kube.leading import lead
from dgdr_kube.ports import Listing, Manifest
from dgdr_kube.process import EXIT_STOPPED, run_together
from dgdr_kube.serving import Health
from support.fake_cluster import FakeCluster
from support.watching import ScriptedWatching, Told, added, modified, thing

Heard = list[tuple[str | None, str]]


@pytest.fixture(autouse=True)
def kopfs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what ``install`` does to the library."""
    monkeypatch.setattr(watching, "infinite_watch", watching.infinite_watch)
    monkeypatch.setattr(scanning, "scan_resources", scanning.scan_resources)


def graph(name: str, version: int, **spec: Any) -> Manifest:
    found = thing(name, version, **spec)
    found["metadata"]["uid"] = f"uid-{name}"
    return {"apiVersion": DGD.api_version, "kind": DGD.kind, **found}


async def heard_by_kopf(
    listings: Iterable[Listing[Manifest] | ClusterError],
    watches: Iterable[Iterable[Told]],
    enough: Callable[[Heard], bool],
    back: Callable[[], None] = lambda: None,
    tells_first: bool = True,
) -> Heard:
    """Run kopf's watcher of one kind until it has heard enough."""
    source = ScriptedWatching(listings, watches)
    feed = Feed(source, (Collection(kind=DGD, tells_first=tells_first),), (None,), back)
    feed.install(Health())
    settings = kopf.OperatorSettings()
    kopf_settings.configure(settings, prefix="test.dgdr.dev")
    heard: Heard = []
    told = asyncio.Event()

    async def process(*, raw_event: Any, **_: Any) -> None:
        heard.append((raw_event["type"], raw_event["object"]["metadata"]["name"]))
        if enough(heard):
            told.set()

    task = asyncio.create_task(
        queueing.watcher(
            namespace=None,
            settings=settings,
            resource=Resource(DGD.group, DGD.version, DGD.plural, namespaced=True),
            processor=process,
        )
    )
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return heard


def listing(version: int, *items: Manifest) -> Listing[Manifest]:
    return Listing(list(items), str(version))


async def test_kopf_hears_of_what_is_there_and_what_changes() -> None:
    change = modified("one", 6)
    change.manifest["metadata"]["uid"] = "uid-one"
    change.manifest["apiVersion"] = DGD.api_version
    heard = await heard_by_kopf(
        [listing(5, graph("one", 3))], [[change]], lambda heard: len(heard) == 2
    )
    assert heard == [(None, "one"), ("MODIFIED", "one")]


async def test_of_a_kind_without_passes_of_its_own_only_changes_are_told() -> None:
    new = added("two", 6)
    new.manifest["metadata"]["uid"] = "uid-two"
    new.manifest["apiVersion"] = DGD.api_version
    heard = await heard_by_kopf(
        [listing(5, graph("one", 3))], [[new]], lambda heard: len(heard) == 1, tells_first=False
    )
    assert heard == [("ADDED", "two")]


async def test_what_nobody_keeps_is_not_told() -> None:
    changes = [modified("one", 6), modified("one", 7, size=2)]
    for change in changes:
        change.manifest.update(apiVersion=DGD.api_version, kind=DGD.kind)
        change.manifest["metadata"]["uid"] = "uid-one"
    heard = await heard_by_kopf(
        [listing(5, graph("one", 3))], [changes], lambda heard: len(heard) == 2
    )
    assert heard == [(None, "one"), ("MODIFIED", "one")]


async def test_what_went_while_nobody_could_watch_is_told_once_as_it_was() -> None:
    heard = await heard_by_kopf(
        [listing(5, graph("one", 3), graph("two", 4)), listing(9, graph("two", 4))],
        [[Expired("too old")]],
        lambda heard: len(heard) == 3,
    )
    assert sorted(heard, key=str) == [("DELETED", "one"), (None, "one"), (None, "two")]


@pytest.mark.parametrize(
    "failure",
    [Unreachable("503"), Rejected(403, "forbidden"), Expired("410"), Unreachable("no list")],
    ids=str,
)
async def test_no_answer_ends_it_and_its_end_is_told(
    failure: ClusterError,
) -> None:
    back: list[None] = []
    heard = await heard_by_kopf(
        [failure, listing(5, graph("one", 3))],
        [],
        lambda heard: len(heard) == 1,
        back=lambda: back.append(None),
    )
    assert [name for _, name in heard] == ["one"]
    assert len(back) == 1


async def test_a_watch_that_ends_ends_kopfs_watcher(monkeypatch: pytest.MonkeyPatch) -> None:
    async def follow(*_: Any, **__: Any) -> None:
        raise KeyError("a fault of ours")

    monkeypatch.setattr(kopf_feed, "follow", follow)
    with pytest.raises(KeyError):
        await heard_by_kopf([], [], lambda _: False)


async def test_an_object_that_we_cannot_bear_ends_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken: Any = listing(5, {"apiVersion": "v1"})
    heard = await heard_by_kopf([broken, listing(6, graph("one", 3))], [], bool)
    assert [name for _, name in heard] == ["one"]
    assert "Traceback" in caplog.text


def test_a_kind_that_kopf_never_asks_for_is_not_ready_and_grows_silent() -> None:
    wanted = (Collection(kind=DGD), Collection(kind=NODE, needed=False))
    feed = Feed(ScriptedWatching([], []), wanted, ("a", "b"), lambda: None)
    health = Health(stalled_after_s=-1.0)
    feed.install(health)
    health.beat("event loop")
    assert not health.ready()
    watches = {name for name in health.stalled() if name.startswith("watch of")}
    assert watches == {f"watch of {DGD.plural} in a", f"watch of {DGD.plural} in b"}


async def test_passes_wait_for_every_list_but_for_one_that_is_forbidden() -> None:
    wanted = (Collection(kind=DGD), Collection(kind=NODE, needed=False))
    feed = Feed(ScriptedWatching([], []), wanted, (None,), lambda: None)
    dgds, nodes = (followed.watch for followed in feed._followed)
    waiting = asyncio.create_task(feed.listed())
    dgds.lost(Unreachable("503"))
    nodes.lost(Rejected(403, "forbidden"))
    await asyncio.sleep(0)
    assert not waiting.done()
    dgds.found()
    await asyncio.wait_for(waiting, 5)


@pytest.mark.parametrize("scope", [None, "a"])
async def test_kopf_starts_without_a_question_and_hands_over_at_once(scope: str | None) -> None:
    """Nobody listens at the address that kopf is given."""
    source = ScriptedWatching([listing(5, graph("one", 3))], [[]])
    Feed(source, (Collection(kind=DGD, tells_first=True),), (scope,), lambda: None).install(
        Health()
    )
    settings, registry = kopf.OperatorSettings(), kopf.OperatorRegistry()
    kopf_settings.configure(settings, prefix="test.dgdr.dev")
    heard: Heard = []
    told = asyncio.Event()

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server="http://127.0.0.1:1")

    @kopf.on.event(DGD.group, DGD.version, DGD.plural, registry=registry)
    async def on_event(type: str | None, name: str, **_: Any) -> None:  # noqa: A002
        heard.append((type, name))
        told.set()

    async def works() -> int:
        watching = kopf_settings.watch(registry, settings, () if scope is None else (scope,))
        return await run_together(watching, {"passes": passes()})

    async def passes() -> None:
        await asyncio.Event().wait()

    lease = FakeCluster()
    candidate = Candidate(lease, "system", "dgdr-operator", "me")
    running = asyncio.create_task(lead(candidate, Health(), works))
    await asyncio.wait_for(told.wait(), 5)
    assert heard == [(None, "one")]
    # kopf.operator would wait for whatever began after it, such as a kept-alive connection.
    younger = asyncio.create_task(passes())
    signal.raise_signal(signal.SIGTERM)
    assert await asyncio.wait_for(running, 4) == EXIT_STOPPED
    held = lease.peek(LEASE, "system", "dgdr-operator")
    assert held is not None
    assert held["spec"]["holderIdentity"] == ""
    assert not younger.done()
    younger.cancel()
