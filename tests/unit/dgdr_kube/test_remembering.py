from dataclasses import replace

import pytest

from dgdr_kube.errors import Conflict, Unreachable
from dgdr_kube.index import Index, labelled
from dgdr_kube.kinds import CONFIG_MAP, DGDSA
from dgdr_kube.ports import Change, ChangeType, Kept, Listing, Manifest, whole
from dgdr_kube.remembering import RememberingCluster
from dgdr_kube.store import Store
from support.fake_cluster import FakeCluster
from support.planning import NAMESPACE, adapter, curves_config_map

NAME = "q-dgd-prefill"
BY_GRAPH = labelled("graph")
BY_NAME = Index("name", lambda manifest: (manifest["metadata"]["name"],))


class Watched:
    """A cluster, and a store whose watch has told of an adapter and is silent since."""

    def __init__(self, kept: Kept = whole) -> None:
        self.server = FakeCluster()
        self.server.seed(adapter("prefill", 1))
        self.store = Store(kept=kept, indices=(BY_GRAPH, BY_NAME))
        self.cluster = RememberingCluster(self.server, {DGDSA: (self.store,)})
        self.store.replace(None, Listing([self.there()], self.there_version()))
        self.reads = 0

    def there(self) -> Manifest:
        found = self.server.peek(DGDSA, NAMESPACE, NAME)
        assert found is not None
        return found

    def there_version(self) -> str:
        return str(self.there()["metadata"]["resourceVersion"])

    async def replicas(self) -> int | None:
        found = await self.cluster.look(DGDSA, NAMESPACE, NAME)
        return found and found["spec"]["replicas"]


async def test_to_look_asks_the_server_nothing() -> None:
    on = Watched()
    on.server.refuse("get", DGDSA, Unreachable("no route to host"))
    assert await on.replicas() == 1
    assert await on.cluster.look(DGDSA, NAMESPACE, "another") is None
    with pytest.raises(Unreachable):
        await on.cluster.get(DGDSA, NAMESPACE, NAME)


async def test_kinds_that_are_not_watched_are_read() -> None:
    on = Watched()
    on.server.seed(curves_config_map())
    assert await on.cluster.look(CONFIG_MAP, NAMESPACE, "curves") is not None


async def test_a_number_that_was_just_written_is_never_seen_as_it_was() -> None:
    on = Watched()
    await on.cluster.scale(DGDSA, NAMESPACE, NAME, 3, "me", on.there_version())
    on.server.refuse("get", DGDSA, Unreachable("no route to host"))
    with pytest.raises(Unreachable):
        await on.replicas()
    on.store.apply(Change(ChangeType.MODIFIED, on.there()))
    assert await on.replicas() == 3


async def test_what_was_read_for_certain_is_not_looked_at_as_it_was() -> None:
    on = Watched()
    await on.cluster.scale(DGDSA, NAMESPACE, NAME, 3, "me", on.there_version())
    assert await on.replicas() == 3
    on.server.refuse("get", DGDSA, Unreachable("no route to host"))
    assert await on.replicas() == 3


async def test_a_write_that_nobody_answered_may_have_happened() -> None:
    on = Watched()
    on.server.refuse("scale", DGDSA, Unreachable("timed out"))
    with pytest.raises(Unreachable):
        await on.cluster.scale(DGDSA, NAMESPACE, NAME, 3, "me", on.there_version())
    on.server.set_status(DGDSA, NAMESPACE, NAME, {"replicas": 1})
    assert (await on.cluster.look(DGDSA, NAMESPACE, NAME) or {})["status"] == {"replicas": 1}


async def test_a_write_that_never_happened_is_doubted_until_it_would_have_arrived() -> None:
    on = Watched()
    now_s = 0.0
    on.cluster = replace(on.cluster, clock=lambda: now_s)
    on.server.refuse("scale", DGDSA, Unreachable("timed out"))
    with pytest.raises(Unreachable):
        await on.cluster.scale(DGDSA, NAMESPACE, NAME, 3, "me", on.there_version())
    found = await on.cluster.find(DGDSA, NAMESPACE)
    now_s = 31.0
    assert await on.cluster.find(DGDSA, NAMESPACE) == found
    on.server.refuse("get", DGDSA, Unreachable("no route to host"))
    on.server.refuse("list", DGDSA, Unreachable("no route to host"))
    assert await on.replicas() == 1
    assert await on.cluster.find(DGDSA, NAMESPACE) == found


async def test_what_a_stale_look_leads_to_is_refused_by_its_version() -> None:
    on = Watched()
    stale = await on.cluster.look(DGDSA, NAMESPACE, NAME)
    assert stale is not None
    await on.server.scale(DGDSA, NAMESPACE, NAME, 5, "a person")
    assert await on.replicas() == 1
    with pytest.raises(Conflict):
        await on.cluster.scale(
            DGDSA, NAMESPACE, NAME, 2, "me", stale["metadata"]["resourceVersion"]
        )
    assert on.there()["spec"]["replicas"] == 5


async def test_the_answer_of_a_patch_is_remembered() -> None:
    on = Watched()
    await on.cluster.patch_status(DGDSA, NAMESPACE, NAME, {"replicas": 1}, "me")
    on.server.refuse("get", DGDSA, Unreachable("no route to host"))
    assert (await on.cluster.look(DGDSA, NAMESPACE, NAME) or {})["status"] == {"replicas": 1}


async def test_what_is_found_costs_no_question_and_fresh_asks_all_the_same() -> None:
    on = Watched()
    on.server.seed(adapter("decode", 1))
    on.store.replace(None, Listing(await on.server.list(DGDSA, None), "99"))
    on.server.refuse("list", DGDSA, Unreachable("no route to host"))
    found = await on.cluster.find(DGDSA, NAMESPACE, BY_NAME, NAME)
    assert [one["metadata"]["name"] for one in found] == [NAME]
    assert len(await on.cluster.find(DGDSA, NAMESPACE)) == 2
    with pytest.raises(Unreachable):
        await on.cluster.fresh.find(DGDSA, NAMESPACE, BY_NAME, NAME)


async def test_the_server_finds_the_same_and_what_it_tells_is_reduced() -> None:
    on = Watched(kept=lambda whole: {"metadata": whole["metadata"]})
    on.server.seed(adapter("decode", 1))
    for cluster in (on.cluster.fresh, RememberingCluster(on.server, {})):
        found = await cluster.find(DGDSA, NAMESPACE, BY_NAME, NAME)
        assert [one["metadata"]["name"] for one in found] == [NAME]
    assert "spec" in found[0]
    assert "spec" not in (await on.cluster.fresh.find(DGDSA, NAMESPACE, BY_NAME, NAME))[0]
