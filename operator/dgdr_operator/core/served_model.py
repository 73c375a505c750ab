"""Under which name a worker serves its model, read from its command line."""

import re
import shlex
from collections.abc import Iterable, Iterator

from dgdr_api.graph import Component, Graph

# The first that is given decides, as in Dynamo's own planner.
_FLAGS = ("--served-model-name", "--model-name", "--model", "--model-path")
_VARIABLE = re.compile(r"\$\((\w+)\)|\$\{(\w+)\}|\$(\w+)")


def served_model_name(graph: Graph, component: Component) -> str | None:
    """Return the name; None for what serves no model or does not say which."""
    if not component.role.serves_model:
        return None
    words = list(_words((*component.command, *component.args)))
    found = (_value_of(flag, words) for flag in _FLAGS)
    raw = next((value for value in found if value), None)
    return _resolved(raw, graph, component) if raw else None


def _words(program: Iterable[str]) -> Iterator[str]:
    """Split what is meant for a shell; leave alone what is one word already."""
    for part in program:
        if not re.search(r"\s--?\w", part):
            yield part
            continue
        try:
            yield from shlex.split(part, comments=True)
        except ValueError:  # an unclosed quote: the shell will say so, we know no name
            yield part


def _value_of(flag: str, words: list[str]) -> str | None:
    for index, word in enumerate(words):
        if word == flag and index + 1 < len(words):
            return words[index + 1]
        if word.startswith(f"{flag}="):
            return word.removeprefix(f"{flag}=")
    return None


def _resolved(raw: str, graph: Graph, component: Component) -> str | None:
    """Fill in variables whose values stand in the manifest; None when one does not."""
    known = {e["name"]: e["value"] for e in (*graph.env, *component.env) if e.get("value")}
    names = ["".join(match) for match in _VARIABLE.findall(raw)]
    if any(name not in known for name in names):
        return None
    return _VARIABLE.sub(lambda m: known[next(filter(None, m.groups()))], raw)
