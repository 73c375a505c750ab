import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_profiler.engines.args import value_of, with_switch, with_value, without


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
        pytest.param(("--json", '{"--tp": 1}'), ("--json", '{"--tp": 1}'), id="not inside"),
    ],
)
def test_a_flag_is_removed_in_every_form(args: tuple[str, ...], left: tuple[str, ...]) -> None:
    assert without(args, "--tp") == left


def test_setting_a_value_replaces_aliases() -> None:
    args = ("-tp", "2", "--a", "--tp=8")
    assert with_value(args, "--size", 4, "-tp", "--tp") == ("--a", "--size", "4")


def test_a_switch_stands_once_and_its_opposite_is_gone() -> None:
    args = ("--enable-prefix-caching", "--x", "--no-enable-prefix-caching")
    assert with_switch(args, "--no-enable-prefix-caching", "--enable-prefix-caching") == (
        "--x",
        "--no-enable-prefix-caching",
    )


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
    assert value_of(args, "--a") == value


WORDS = st.sampled_from(["--tp", "--tp=4", "4", "-1", "--x", "--x=1", "serve"])


@given(st.lists(WORDS))
def test_setting_twice_is_setting_once(args: list[str]) -> None:
    once = with_value(args, "--tp", 2)
    assert with_value(once, "--tp", 2) == once
    assert value_of(once, "--tp") == "2"
    assert sum(item.startswith("--tp") for item in once) == 1
