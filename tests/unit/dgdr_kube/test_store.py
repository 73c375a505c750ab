"""What a store says while and after its watch is broken, late, or told things twice."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from dgdr_kube import following
from dgdr_kube.errors import Expired, Unreachable
from dgdr_kube.following import BACKOFF, SHORTEST_S, Watch, follow
from dgdr_kube.index import labelled
from dgdr_kube.kinds import DGD
from dgdr_kube.ports import Change, ChangeType, Listing, Manifest
from dgdr_kube.store import PARTIAL, UNSURE, Store
from support.watching import (
    ScriptedWatching,
    added,
    bookmark,
    deleted,
    key,
    modified,
    thing,
)

ONE, TWO = key("one"), key("two")
FOLLOWING: set["asyncio.Task[None]"] = set()


async def followed(source: ScriptedWatching, store: Store, scope: str | None = None) -> list[float]:
    """Follow the script, and its silence after that; return how long was waited after failures."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    task = asyncio.create_task(follow(source, DGD, scope, store, sleep))
    FOLLOWING.add(task)
    task.add_done_callback(FOLLOWING.discard)
    await asyncio.wait_for(source.silent.wait(), 5)
    return waits


def listing(version: int, *items: Manifest) -> Listing[Manifest]:
    return Listing(list(items), str(version))


async def test_a_list_and_what_changed_since() -> None:
    store = Store()
    source = ScriptedWatching(
        [listing(5, thing("one", 3), thing("two", 4))],
        [[modified("one", 6, size=2), added("three", 7), deleted("two", 8)]],
    )
    assert store.look(ONE) is UNSURE
    await followed(source, store)
    assert store.look(ONE) == thing("one", 6, size=2)
    assert store.look(TWO) is None
    assert store.look(key("three")) == thing("three", 7)


async def test_a_watch_that_ends_goes_on_where_it_was_without_a_list() -> None:
    source = ScriptedWatching([listing(5)], [[added("one", 6), bookmark(9)], [added("two", 12)]])
    store = Store()
    # Each ended at once: whoever answers so is in trouble already.
    assert await followed(source, store) == [SHORTEST_S, SHORTEST_S]
    assert source.asked == ["list", "5", "9", "12"]
    assert store.look(ONE) is not None
    assert store.look(TWO) is not None


async def test_what_a_watch_has_missed_is_found_by_the_next_list() -> None:
    told: list[tuple[Manifest | None, Manifest | None]] = []
    store = Store(lambda old, new: told.append((old, new)))
    before = [thing("one", 2), thing("two", 3)]
    after = [thing("one", 7, size=2), thing("three", 8)]
    source = ScriptedWatching([listing(5, *before), listing(9, *after)], [[Expired("too old")]])
    assert await followed(source, store) == []
    assert store.look(ONE) == after[0]
    assert store.look(TWO) is None
    assert store.look(key("three")) == after[1]
    assert told[2:] == [(before[1], None), (before[0], after[0]), (None, after[1])]


async def test_versions_that_expire_again_and_again_are_waited_for() -> None:
    gone = [Expired("too old")]
    source = ScriptedWatching([listing(5), listing(6), listing(7)], [gone, gone])
    assert await followed(source, Store()) == [BACKOFF.delay_s(2, 0.5)]


async def test_what_was_read_counts_at_once_where_the_watch_has_told_of_it() -> None:
    store = Store()
    await followed(ScriptedWatching([listing(5, thing("one", 3))], []), store)
    store.read(ONE, thing("one", 9, size=2))
    store.read(TWO, thing("two", 9))
    assert store.look(ONE) == thing("one", 9, size=2)
    assert store.look(TWO) is None


async def test_a_watch_that_ends_without_a_word_is_a_failure() -> None:
    """An empty page with status 200: whoever watches again from there hears nothing for ever."""
    store = Store()
    source = ScriptedWatching([listing(5, thing("one", 2)), listing(6)], [[], []])
    assert await followed(source, store) == [1.0, 2.0]
    assert source.asked == ["list", "5", "list", "6", "list"]
    assert store.look(ONE) is UNSURE


async def test_one_that_ends_so_once_after_a_while_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An API server that shuts down ends those that have nothing to tell."""
    monkeypatch.setattr(following, "SHORTEST_S", 0.0)
    told = Change(ChangeType.BOOKMARK, {"metadata": {"resourceVersion": "7"}})
    source = ScriptedWatching([listing(5), listing(8)], [[], [told], [], []])
    assert await followed(source, Store()) == [1.0]
    assert source.asked == ["list", "5", "5", "7", "7", "list", "8"]


async def test_a_watch_is_tried_soon_whatever_time_the_server_asks_for() -> None:
    busy = Unreachable("429", retry_after_s=30.0)
    source = ScriptedWatching([busy, Unreachable("429", retry_after_s=3.0)], [])
    assert await followed(source, Store()) == [BACKOFF.longest_s, 3.0]


async def test_nothing_is_trusted_while_nobody_tells() -> None:
    store = Store()
    down = Unreachable("no route to host")
    source = ScriptedWatching([listing(5, thing("one", 2)), down, down], [[down]])
    assert await followed(source, store) == [1.0, 2.0, 4.0]
    assert store.look(ONE) is UNSURE


async def test_nothing_is_trusted_once_nobody_follows() -> None:
    store, source = Store(), ScriptedWatching([listing(5, thing("one", 2))], [])
    task = asyncio.create_task(follow(source, DGD, None, store))
    await asyncio.wait_for(source.silent.wait(), 5)
    assert store.look(ONE) == thing("one", 2)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert store.look(ONE) is UNSURE


async def test_a_watch_is_followed_while_its_list_and_stream_hold() -> None:
    back: list[None] = []
    watch = Watch(back=lambda: back.append(None))
    down = Unreachable("no route to host")
    source = ScriptedWatching([down, listing(5), down, listing(9)], [[down]])
    followed_at: list[bool] = []

    async def sleep(_: float) -> None:
        followed_at.append(watch.followed)

    task = asyncio.create_task(follow(source, DGD, None, Store(), sleep, watch=watch))
    await asyncio.wait_for(source.silent.wait(), 5)
    task.cancel()
    # Not while it waits for the next try; back after each of the two outages.
    assert followed_at == [False, False, False]
    assert (watch.followed, len(back)) == (True, 2)


async def test_each_namespace_is_trusted_by_itself() -> None:
    store = Store()
    source = ScriptedWatching([listing(5, thing("one", 2))], [])
    await followed(source, store, scope="a")
    assert store.look(ONE) is not None
    assert store.look(key("one", "b")) is UNSURE


def seeded(*things: Manifest) -> Store:
    store = Store()
    store.replace(None, listing(10, *things))
    return store


def test_a_list_of_one_namespace_says_nothing_about_others() -> None:
    store = seeded(thing("one", 2), thing("one", 3, "b"))
    store.replace("b", listing(11))
    assert store.look(ONE) is not None
    assert store.look(key("one", "b")) is None


def test_what_a_restored_server_lists_outweighs_what_was_known_before() -> None:
    told: list[tuple[Manifest | None, Manifest | None]] = []
    store = Store(lambda old, new: told.append((old, new)))
    store.replace(None, listing(100, thing("one", 90, size=9), thing("two", 95)))
    store.wrote(ONE, None, before="90")
    store.replace(None, listing(50, thing("one", 40, size=4)))
    assert store.look(ONE) == thing("one", 40, size=4)
    assert store.look(TWO) is None
    store.apply(modified("one", 51, size=5))
    assert store.look(ONE) == thing("one", 51, size=5)
    assert told[-1] == (thing("one", 40, size=4), thing("one", 51, size=5))


def test_so_it_does_after_long_watches_since_the_last_list() -> None:
    store = Store()
    store.replace(None, listing(100, thing("one", 90)))
    for change in (modified("one", 480, size=8), added("two", 485), bookmark(490)):
        store.apply(change)
    store.replace(None, listing(450, thing("one", 440, size=4)))
    assert store.look(ONE) == thing("one", 440, size=4)
    assert store.look(TWO) is None
    store.apply(modified("one", 460, size=6))
    assert store.look(ONE) == thing("one", 460, size=6)


def test_news_that_is_older_than_what_is_known_is_none() -> None:
    store = seeded(thing("one", 9, size=9))
    store.apply(modified("one", 8, size=8))
    assert store.look(ONE) == thing("one", 9, size=9)
    store.apply(deleted("one", 8))
    assert store.look(ONE) is not None


def test_an_own_write_is_seen_at_once() -> None:
    store = seeded(thing("one", 2, size=1))
    store.wrote(ONE, thing("one", 11, size=2))
    store.apply(modified("one", 10, size=1))
    assert store.look(ONE) == thing("one", 11, size=2)


def test_after_an_own_write_without_a_result_the_server_is_asked_until_the_watch_tells() -> None:
    store = seeded(thing("one", 9))
    store.wrote(ONE, None, before="9")
    assert store.look(ONE) is UNSURE
    store.replace(None, listing(10, thing("one", 9)))
    assert store.look(ONE) is UNSURE
    store.apply(modified("one", 11, size=2))
    assert store.look(ONE) == thing("one", 11, size=2)


@pytest.mark.parametrize("how", ["list", "get"])
def test_a_write_that_left_no_trace_in_time_is_not_doubted_for_ever(how: str) -> None:
    store = seeded(thing("one", 9))
    store.wrote(ONE, None, ended_s=100.0)

    def asked_at(began_s: float) -> None:
        if how == "list":
            store.replace(None, listing(10, thing("one", 9)), began_s)
        else:
            store.read(ONE, thing("one", 9), began_s)

    # It may have been on its way still, however late the answer came.
    asked_at(129.0)
    assert store.look(ONE) is UNSURE
    asked_at(130.0)
    assert store.look(ONE) == thing("one", 9)


def test_a_write_that_the_watch_has_told_of_already_leaves_no_doubt() -> None:
    store = seeded(thing("one", 11))
    store.wrote(ONE, None, before="9")
    assert store.look(ONE) == thing("one", 11)


def test_an_object_that_is_gone_does_not_come_back_by_a_late_answer() -> None:
    store = seeded(thing("one", 9))
    store.apply(deleted("one", 12))
    store.wrote(ONE, thing("one", 11))
    assert store.look(ONE) is None
    store.apply(added("one", 13, size=3))
    assert store.look(ONE) == thing("one", 13, size=3)


BY_COLOUR = labelled("colour")


def coloured(name: str, version: int, colour: str, namespace: str = "a") -> Manifest:
    found = thing(name, version, namespace)
    found["metadata"]["labels"] = {"colour": colour}
    return found


def indexed(*things: Manifest, **more: Any) -> Store:
    store = Store(indices=(BY_COLOUR,), **more)
    store.replace(None, listing(10, *things))
    return store


@pytest.mark.parametrize("packed", [False, True])
def test_objects_are_found_by_what_they_are_filed_under(packed: bool) -> None:
    red, blue, far = (
        coloured("one", 2, "red"),
        coloured("two", 3, "blue"),
        coloured("x", 4, "red", "b"),
    )
    store = indexed(red, blue, far, packed=packed)
    assert store.find("a", BY_COLOUR, "red") == [red]
    assert store.find(None, BY_COLOUR, "red") == [red, far]
    assert store.find("a") == [red, blue]
    repainted = coloured("one", 11, "blue")
    store.apply(Change(ChangeType.MODIFIED, repainted))
    assert store.find("a", BY_COLOUR, "red") == []
    assert store.find("a", BY_COLOUR, "blue") == [repainted, blue]
    store.apply(deleted("two", 12))
    assert store.find("a", BY_COLOUR, "blue") == [repainted]


def test_a_list_with_an_object_in_doubt_is_in_doubt() -> None:
    store = indexed(coloured("one", 2, "red"), coloured("two", 3, "blue"))
    store.wrote(ONE, None)
    assert store.find("a", BY_COLOUR, "red") is UNSURE
    assert store.find("a", BY_COLOUR, "blue") != UNSURE
    store.lose(None)
    assert store.find("a", BY_COLOUR, "blue") is UNSURE


def test_what_we_made_is_there_before_the_watch_tells_of_it() -> None:
    told: list[Manifest | None] = []
    store = indexed(told=lambda _, new: told.append(new))
    store.wrote(ONE, coloured("one", 11, "red"))
    assert store.find("a", BY_COLOUR, "red") == [coloured("one", 11, "red")]
    store.apply(Change(ChangeType.ADDED, coloured("one", 11, "red")))
    assert len(told) == 1


@pytest.mark.parametrize("heard", [bookmark(12), deleted("one", 12)], ids=["bookmark", "end"])
def test_what_we_made_and_the_watch_is_past_is_gone(heard: Change) -> None:
    store = indexed()
    store.apply(heard)
    store.wrote(ONE, coloured("one", 11, "red"))
    assert store.look(ONE) is None


def test_what_we_made_without_the_label_is_not_watched() -> None:
    store = indexed(label="colour")
    store.wrote(ONE, thing("one", 11))
    assert store.look(ONE) is None


def test_of_a_partial_object_the_rest_is_asked_for() -> None:
    store = Store(kept=lambda whole: {"metadata": whole["metadata"], PARTIAL: True})
    store.replace(None, listing(5, thing("one", 3, size=2)))
    assert store.look(ONE) is UNSURE


def test_one_that_looks_at_a_packed_object_cannot_change_it() -> None:
    store = indexed(coloured("one", 2, "red"), packed=True)
    found = store.look(ONE)
    assert isinstance(found, dict)
    found["spec"]["size"] = 9
    assert store.look(ONE) == coloured("one", 2, "red")
