"""TensorRT-LLM's engine options among its arguments: one JSON object, or a dotted flag for each.

``dynamo.trtllm`` takes ``--override-engine-args '{"kv_cache_config": {...}}'`` or, in newer
releases, ``--trtllm.kv_cache_config.enable_block_reuse false``, and never both. Either overrides
the YAML file of ``--extra-engine-args``.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.engines.args import Args, flag, has, value_of, with_value, without

JSON = flag("--override-engine-args")
DOTTED = "--trtllm."

Path = tuple[str, ...]
Leaves = Mapping[Path, Any]


def option(args: Args, *path: str) -> Any:
    """Return an option's value; None where it is not set, or set to nothing.

    Raises:
        InvalidRequest: the JSON cannot be read.
    """
    found: Any = _nested(args)
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def is_set(args: Args, *path: str) -> bool:
    """Whether an option, one inside it or one around it is set; null counts."""
    leaves = _leaves(_nested(args))
    return any(leaf[: len(path)] == path[: len(leaf)] for leaf in leaves)


def with_options(args: Args, wanted: Leaves, *, dotted: bool) -> Args:
    """Set options by their paths; other options stay, as does the form that the user chose.

    Args:
        args: the engine's arguments.
        wanted: value of each path; None writes null.
        dotted: whether the release knows dotted flags. They are used unless JSON is there.

    Raises:
        InvalidRequest: the JSON that is there cannot be read.
    """
    if dotted and not has(args, JSON):
        for path, value in wanted.items():
            args = _with_dotted(args, path, value)
        return args
    merged = _nested(args)
    for path, value in wanted.items():
        _put(merged, path, value)
    return with_value(_without_dotted(args), JSON, json.dumps(merged))


def _with_dotted(args: Args, path: Path, value: Any) -> Args:
    name = DOTTED + ".".join(path)
    above = (flag(DOTTED + ".".join(path[:depth])) for depth in range(1, len(path)))
    args = without(args, *above)
    below = {item for item in args if item.partition("=")[0].startswith(f"{name}.")}
    return with_value(without(args, *map(flag, below)), flag(name), _text(value))


def _without_dotted(args: Args) -> Args:
    return without(args, *(flag(item) for item in args if item.startswith(DOTTED)))


def _nested(args: Args) -> dict[str, Any]:
    """Return the options of both forms as one object, a copy."""
    found = _parsed(value_of(args, JSON))
    for item in args:
        if item.startswith(DOTTED):
            name = item.partition("=")[0]
            path = tuple(name.removeprefix(DOTTED).split("."))
            _put(found, path, _value(value_of(args, flag(name)) or ""))
    return found


def _parsed(text: str | None) -> dict[str, Any]:
    if text is None or not text.strip():
        return {}
    try:
        found = json.loads(text)
    except ValueError as exc:
        found = str(exc)
    if not isinstance(found, dict):
        raise InvalidRequest(
            f"spec.overrides.dgd: {JSON.name} {text} must be a JSON object with engine options"
        )
    return found


def _put(options: dict[str, Any], path: Path, value: Any) -> None:
    *above, last = path
    for key in above:
        inner = options.get(key)
        options[key] = dict(inner) if isinstance(inner, Mapping) else {}
        options = options[key]
    options[last] = value


def _leaves(options: Mapping[str, Any], above: Path = ()) -> Iterator[Path]:
    for key, value in options.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key)


def _text(value: Any) -> str:
    """Write a value as ``dynamo.trtllm`` reads it from a dotted flag."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(text: str) -> Any:
    if text.lower() in ("none", "null"):
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
