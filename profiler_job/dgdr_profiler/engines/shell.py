"""An engine's arguments wherever they stand in a container: in its list, or in a shell's script.

Users wrap engines as ``sh -c "exec python3 -m dynamo.vllm ... 2>&1 | tee /log"``. There only the
engine's own words are edited: what comes before them, pipes, redirections and the quoting of every
other word stay as they are, since a shell gives them a meaning.
"""

import re
import shlex
from dataclasses import dataclass

from dgdr_api.graph import Component
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.engines.args import Args

_SHELL = re.compile(r"^(.*/)?(ba|da|z|k)?sh$")
_SHELL_SCRIPT = re.compile(r"^-[a-z]*c$")
# The place of the script in ``sh -c SCRIPT``.
_SCRIPT_AT = 2
_ENGINE = re.compile(r"(?<![\w.-])dynamo\.(?:vllm|sglang|trtllm|mocker)(?![\w.-])")
_GAP = re.compile(r"(?:[ \t]|\\\r?\n)+")
_WORD = re.compile(
    r"""(?:\$\([^()]*\)|`[^`]*`|[^\s'"\\|;&<>()`]|\\[^\r\n]|'[^']*'|"(?:\\.|[^"\\])*")+""",
    re.DOTALL,
)
# Several arguments in one item, such as "--tp 4"; a value with blanks is something else.
_JOINED = re.compile(r"^--?[\w.-]+\s+\S")
_DIGITS_OF_A_REDIRECTION = re.compile(r"\d+[<>]")


@dataclass(frozen=True, slots=True)
class _Script:
    """A shell's script, cut around the words that the engine reads."""

    before: str
    words: Args
    after: str


def read_args(component: Component) -> Args:
    """Return the arguments that the engine of a component gets.

    Raises:
        InvalidRequest: a shell runs something in which no engine can be found.
    """
    text = _script_of(component)
    if text is not None:
        return tuple(_value(word) for word in _cut(component, text).words)
    return tuple(part for item in component.args for part in _split(item))


def write_args(component: Component, args: Args) -> Component:
    """Return the component with other arguments, in the form that it has."""
    if args == read_args(component):
        return component
    text = _script_of(component)
    if text is None:
        return component.with_(args=args)
    script = _cut(component, text)
    raw = {_value(word): word for word in reversed(script.words)}
    words = " ".join(raw.get(item) or shlex.quote(item) for item in args)
    after = script.after if not script.after or script.after[0].isspace() else f" {script.after}"
    changed = f"{script.before.rstrip()} {words}{after}"
    if len(component.command) > _SCRIPT_AT:
        command = (*component.command[:_SCRIPT_AT], changed, *component.command[_SCRIPT_AT + 1 :])
        return component.with_(command=command)
    return component.with_(args=(changed, *component.args[1:]))


def _script_of(component: Component) -> str | None:
    """Return what a shell is given to run; None where no shell runs."""
    program = (*component.command, *component.args)
    if len(program) <= _SCRIPT_AT or not _SHELL.match(program[0]):
        return None
    return program[_SCRIPT_AT] if _SHELL_SCRIPT.match(program[1]) else None


def _cut(component: Component, text: str) -> _Script:
    engine = _ENGINE.search(text)
    if engine is None:
        raise InvalidRequest(
            f"spec.overrides.dgd: component {component.name} runs {text!r} in a shell, where no "
            "`python3 -m dynamo.ENGINE` is found whose arguments could be set; write it out"
        )
    words: list[str] = []
    at = end = engine.end()
    while gap := _GAP.match(text, at):
        word = _WORD.match(text, gap.end())
        if word is None or _DIGITS_OF_A_REDIRECTION.match(text, gap.end()):
            break
        words.append(word.group())
        at = end = word.end()
    return _Script(text[: engine.end()], tuple(words), text[end:])


def _value(word: str) -> str:
    """Return what the program gets for a word, apart from what the shell fills in."""
    return "".join(shlex.split(word)) if word else ""


def _split(item: str) -> Args:
    if not _JOINED.match(item):
        return (item,)
    try:
        return tuple(shlex.split(item))
    except ValueError:  # an unclosed quote: the engine will say so
        return (item,)
