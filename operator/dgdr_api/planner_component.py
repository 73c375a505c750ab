"""NVIDIA's planner as a component of a graph: its configuration, and whether it scales."""

import json
import shlex
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from dgdr_api.graph import Component, Graph, Role
from dgdr_api.planner_config import parse_planner_config


def planner_of(graph: Graph) -> Component | None:
    """Return the planner in a graph."""
    return next(iter(graph.with_role(Role.PLANNER)), None)


def scaling_planner(graph: Graph) -> Component | None:
    """Return the planner in a graph, where it runs and is not told to watch only."""
    found = planner_of(graph)
    if found is None or found.replicas == 0:
        return None
    return None if parse_planner_config(planner_keys(found)).keys.advisory else found


def planner_keys(planner: Component) -> dict[str, Any]:
    """Return its configuration: a JSON document, or a flag for each key."""
    return dict(_keys(planner))


def _keys(planner: Component) -> Iterator[tuple[str, Any]]:
    words = [part for word in (*planner.command, *planner.args) for part in _split(word)]
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        flag, has_value, value = word.partition("=")
        text = value if has_value else following
        if not flag.startswith("--"):
            continue
        if not text or text.startswith("--"):
            yield flag.lstrip("-").replace("-", "_"), True
            continue
        read = _value(text)
        if flag == "--config" and isinstance(read, dict):
            yield from read.items()
        elif flag != "--config":
            yield flag.lstrip("-").replace("-", "_"), read


def _split(word: str) -> list[str]:
    try:
        return shlex.split(word) if " " in word and not word.startswith("{") else [word]
    except ValueError:
        return word.split()


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
