"""Arguments of engines in lists and in scripts of a shell."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_api.graph import Component, Role
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.engines.args import flag, with_value, without
from dgdr_profiler.engines.shell import read_args, write_args

TP = flag("--tp")


def component(*args: str, command: tuple[str, ...] = ("python3", "-m", "dynamo.vllm")) -> Component:
    return Component(name="decode", role=Role.DECODE, command=command, args=args)


def script(text: str) -> Component:
    return component(text, command=("/bin/sh", "-c"))


@pytest.mark.parametrize(
    ("found", "args"),
    [
        pytest.param(component("--tp", "4"), ("--tp", "4"), id="a list"),
        pytest.param(component("--tp 4", "--x"), ("--tp", "4", "--x"), id="two in one item"),
        pytest.param(component("--note", "a b"), ("--note", "a b"), id="a value with a blank"),
        pytest.param(
            component('--json={"a": 1, "b": 2}'), ('--json={"a": 1, "b": 2}',), id="JSON in an item"
        ),
        pytest.param(component('--x "open'), ('--x "open',), id="an open quote"),
        pytest.param(script("python3 -m dynamo.vllm --tp 4"), ("--tp", "4"), id="a script"),
        pytest.param(
            script("exec python3 -m dynamo.vllm \\\n  --tp 4 \\\n  --x 2>&1 | tee /log"),
            ("--tp", "4", "--x"),
            id="lines, a redirection and a pipe",
        ),
        pytest.param(
            script("""python3 -m dynamo.vllm --json '{"a": 1}' --b "c d" && echo --no"""),
            ("--json", '{"a": 1}', "--b", "c d"),
            id="quotes",
        ),
        pytest.param(
            component(command=("bash", "-lc", "python3 -m dynamo.vllm --tp 4")),
            ("--tp", "4"),
            id="all in the command",
        ),
    ],
)
def test_the_arguments_of(found: Component, args: tuple[str, ...]) -> None:
    assert read_args(found) == args
    assert write_args(found, args) == found


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("python3 -m dynamo.vllm --tp 4", "python3 -m dynamo.vllm --tp 2"),
        ("python3 -m dynamo.vllm", "python3 -m dynamo.vllm --tp 2"),
        ("python3 -m dynamo.vllm|tee x", "python3 -m dynamo.vllm --tp 2 |tee x"),
        (
            "cd /w; exec python3 -m dynamo.vllm --m $MODEL --tp=4 2>&1 | tee /log",
            "cd /w; exec python3 -m dynamo.vllm --m $MODEL --tp 2 2>&1 | tee /log",
        ),
        (
            """python3 -m dynamo.vllm --a "$X/y" --ip $(hostname -i | head -1) > /log""",
            """python3 -m dynamo.vllm --a "$X/y" --ip $(hostname -i | head -1) --tp 2 > /log""",
        ),
    ],
)
def test_a_script_keeps_all_that_is_not_the_engines(text: str, changed: str) -> None:
    found = script(text)
    assert write_args(found, with_value(read_args(found), TP, 2)).args == (changed,)


def test_a_script_in_the_command_is_edited_there() -> None:
    found = component(command=("sh", "-c", "python3 -m dynamo.vllm --tp 4"))
    changed = write_args(found, ("--tp", "2"))
    assert changed.command == ("sh", "-c", "python3 -m dynamo.vllm --tp 2")
    assert changed.args == ()


def test_a_script_without_an_engine_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"component decode runs '\./start\.sh' in a shell"):
        read_args(script("./start.sh"))


VALUES = st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), min_size=1).filter(
    lambda text: not text.startswith("-")
)
ENTRIES = st.lists(st.tuples(st.sampled_from(["--a", "--b", "--tp"]), VALUES))


@given(ENTRIES)
def test_any_argument_survives_a_shell(entries: list[tuple[str, str]]) -> None:
    args = tuple(item for entry in entries for item in entry)
    found = script(f"exec python3 -m dynamo.vllm {shlex.join(args)} 2>&1 | tee /log")
    changed = write_args(found, with_value(read_args(found), TP, 2))
    assert without(read_args(changed), TP) == without(args, TP)
    assert write_args(changed, with_value(read_args(changed), TP, 2)) == changed
    assert changed.args[0].endswith(" 2>&1 | tee /log")
