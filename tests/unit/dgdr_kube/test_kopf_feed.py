"""kopf's own watcher reads from our watch, which outlasts whatever a server answers."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import kopf
import pytest
from kopf._cogs.clients import watching
from kopf._cogs.structs.references import Resource
from kopf._core.reactor import queueing

from dgdr_kube import kopf_settings
from dgdr_kube.errors import ClusterError, Expired, Rejected, Unreachable
from dgdr_kube.kinds import CONFIG_MAP, DGD, Kind
from dgdr_kube.kopf_feed import Feed, slim
from dgdr_kube.ports import Listing, Manifest
from dgdr_kube.serving import Health
from support.watching import ScriptedWatching, Told, modified, thing

Heard = list[tuple[str, str]]


@pytest.fixture(autouse=True)
def kopfs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what ``install`` does to the library."""
    monkeypatch.setattr(watching, "infinite_watch", watching.infinite_watch)


def graph(name: str, version: int, **spec: Any) -> Manifest:
    found = thing(name, version, **spec)
    found["metadata"]["uid"] = f"uid-{name}"
    return {"apiVersion": DGD.api_version, "kind": DGD.kind, **found}


async def heard_by_kopf(
    listings: Iterable[Listing | ClusterError],
    watches: Iterable[Iterable[Told]],
    enough: Callable[[Heard], bool],
    back: Callable[[], None] = lambda: None,
) -> Heard:
    """Run kopf's watcher of one kind until it has heard enough."""
    feed = Feed(ScriptedWatching(listings, watches), (DGD,), (None,), labels={}, back=back)
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


def listing(version: int, *items: Manifest) -> Listing:
    return Listing(list(items), str(version))


async def test_kopf_hears_of_what_is_there_and_what_changes() -> None:
    change = modified("one", 6)
    change.manifest["metadata"]["uid"] = "uid-one"
    change.manifest["apiVersion"] = DGD.api_version
    heard = await heard_by_kopf(
        [listing(5, graph("one", 3))], [[change]], lambda heard: len(heard) == 2
    )
    assert heard == [("ADDED", "one"), ("MODIFIED", "one")]


async def test_what_went_while_nobody_could_watch_is_told_once_as_it_was() -> None:
    heard = await heard_by_kopf(
        [listing(5, graph("one", 3), graph("two", 4)), listing(9, graph("two", 4))],
        [[Expired("too old")]],
        lambda heard: len(heard) == 3,
    )
    assert sorted(heard) == [("ADDED", "one"), ("ADDED", "two"), ("DELETED", "one")]


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
    assert heard == [("ADDED", "one")]
    assert len(back) == 1


async def test_a_fault_of_ours_ends_kopfs_watcher() -> None:
    broken: Any = listing(5, {"apiVersion": "v1"})
    with pytest.raises(KeyError):
        await heard_by_kopf([broken], [], lambda _: False)


def test_a_kind_that_kopf_never_asks_for_is_not_ready_and_grows_silent() -> None:
    feed = Feed(ScriptedWatching([], []), (DGD,), ("a", "b"), labels={}, back=lambda: None)
    health = Health(stalled_after_s=-1.0)
    feed.install(health)
    health.beat("event loop")
    assert not health.ready()
    assert {f"watch of {DGD.plural} in a", f"watch of {DGD.plural} in b"} <= {*health.stalled()}


@pytest.mark.parametrize(("kind", "keeps_spec"), [(DGD, True), (CONFIG_MAP, False)])
def test_what_is_kept_of_an_object_is_what_is_read(kind: Kind, keeps_spec: bool) -> None:
    meta = {"name": "a", "labels": {"a": "b"}, "managedFields": [1], "annotations": {"c": "d"}}
    found = slim({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "spec": {}})
    assert found["metadata"] == {"name": "a", "labels": {"a": "b"}}
    assert ("spec" in found) is keeps_spec
