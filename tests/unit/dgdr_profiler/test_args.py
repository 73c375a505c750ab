"""Flags in every spelling, and what happens to all other arguments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.engines.args import (
    Args,
    Flag,
    degree,
    flag,
    has,
    renamed,
    value_of,
    with_default,
    with_switch,
    with_value,
    without,
    without_switch,
)

TP = flag("--tp")
SIZE = flag("--size", "-tp", "--tp")
CACHE, NO_CACHE = flag("--enable-prefix-caching"), flag("--no-enable-prefix-caching")


@pytest.mark.parametrize(
    ("args", "left"),
    [
        pytest.param(("--tp", "4", "--x"), ("--x",), id="key and value"),
        pytest.param(("--tp=4", "--x"), ("--x",), id="key=value"),
        pytest.param(("--tp", "4", "--tp=8", "--tp", "2"), (), id="every occurrence"),
        pytest.param(("--tp", "--x", "1"), ("--x", "1"), id="no value"),
        pytest.param(("--tp", "-1", "--x"), ("--x",), id="a negative number is a value"),
        pytest.param(("--tp-size", "4"), ("--tp-size", "4"), id="not a longer name"),
        pytest.param(("--x", "--tp"), ("--x",), id="last, without a value"),
        pytest.param(("--t_p", "4", "--t-p=2", "-t_p"), ("-t_p",), id="underscores"),
        pytest.param(("--json", '{"--tp": 1}'), ("--json", '{"--tp": 1}'), id="not inside"),
    ],
)
def test_a_flag_is_removed_in_every_form(args: tuple[str, ...], left: tuple[str, ...]) -> None:
    assert without(args, TP, flag("--t-p")) == left


def test_setting_a_value_replaces_aliases_where_the_first_one_stood() -> None:
    args = ("--x", "-tp", "2", "--a", "--tp=8")
    assert with_value(args, SIZE, 4) == ("--x", "--size", "4", "--a")
    assert with_value(("--a",), SIZE, 4) == ("--a", "--size", "4")


def test_a_default_gives_way_to_what_is_there_in_any_spelling() -> None:
    assert with_default(("-tp", "2"), SIZE, 4) == ("-tp", "2")
    assert with_default((), SIZE, 4) == ("--size", "4")


def test_a_switch_stands_once_and_its_opposite_is_gone() -> None:
    args = ("--enable-prefix-caching", "--x", "--no-enable-prefix-caching")
    assert with_switch(args, NO_CACHE, CACHE) == ("--x", "--no-enable-prefix-caching")
    assert with_switch((), CACHE, NO_CACHE) == ("--enable-prefix-caching",)


def test_what_follows_a_switch_is_no_value_of_it() -> None:
    assert with_switch(("--on", "word"), flag("--off"), flag("--on")) == ("word", "--off")
    assert without_switch(("--on", "word"), flag("--on")) == ("word",)


def test_a_flag_is_renamed_with_all_its_values() -> None:
    args = ("--sizes", "1", "2", "--sizes=4", "--sizes-more", "8")
    assert renamed(args, "--sizes", "--new") == ("--new", "1", "2", "--new=4", "--sizes-more", "8")


@pytest.mark.parametrize(
    ("args", "value"),
    [
        pytest.param(("--a", "1", "--a=2"), "2", id="the last wins"),
        pytest.param(("--a=x=y",), "x=y", id="only the first sign separates"),
        pytest.param(("--a", "--b"), None, id="a flag is no value"),
        pytest.param((), None, id="absent"),
    ],
)
def test_value_of(args: tuple[str, ...], value: str | None) -> None:
    assert value_of(args, flag("--a")) == value


@pytest.mark.parametrize("value", ["x", "0", "-1", "1.5", ""])
def test_a_degree_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(InvalidRequest, match=f"--size {value} must be a whole number"):
        degree((f"--tp={value}",), SIZE)


# Words that a user may have written, among them flags that the functions below own.
OWNED = ("--tp", "--tp=4", "-tp", "--t_p=2")
OTHER = ("--x", "--x=1", "--json", '{"--tp": 1}', "-v")
ENTRIES = st.lists(
    st.one_of(
        st.sampled_from(OWNED).map(lambda item: (item,) if "=" in item else (item, "7")),
        st.sampled_from(OTHER).map(lambda item: (item,)),
    )
)
OWN = Flag("--tp", ("-tp", "--t-p"))


def flat(entries: list[tuple[str, ...]]) -> Args:
    return tuple(item for entry in entries for item in entry)


@given(ENTRIES)
def test_setting_a_value_leaves_all_others_in_their_order(entries: list[tuple[str, ...]]) -> None:
    args = flat(entries)
    changed = with_value(args, OWN, 2)
    assert value_of(changed, OWN) == "2"
    assert sum(item in OWN for item in changed) == 1
    rest = flat([entry for entry in entries if entry[0] not in OWN])
    assert without(args, OWN) == without(changed, OWN) == rest


@given(ENTRIES)
def test_doing_it_twice_is_doing_it_once(entries: list[tuple[str, ...]]) -> None:
    args = flat(entries)
    for change in (
        lambda known: with_value(known, OWN, 2),
        lambda known: with_default(known, OWN, 2),
        lambda known: with_switch(known, flag("--on"), flag("-v")),
        lambda known: renamed(known, "--x", "--y"),
    ):
        once = change(args)
        assert change(once) == once
    assert has(with_default(args, OWN, 2), OWN)
