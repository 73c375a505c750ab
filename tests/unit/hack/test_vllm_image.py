"""The scripts that make and check the image with vLLM, without their heavy packages."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

CONTENT = Path(__file__).resolve().parents[3] / "hack/images/content"


def load(name: str, monkeypatch: pytest.MonkeyPatch, **fakes: object) -> ModuleType:
    """Import a script where what it imports is not installed."""
    for module in fakes:
        parts = module.split("__")
        for depth in range(1, len(parts) + 1):
            path = ".".join(parts[:depth])
            monkeypatch.setitem(sys.modules, path, ModuleType(path))
    for module, attributes in fakes.items():
        vars(sys.modules[module.replace("__", ".")]).update(attributes)  # type: ignore[call-overload]
    spec = importlib.util.spec_from_file_location(f"script_{name}", CONTENT / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, script)
    spec.loader.exec_module(script)
    return script


def test_a_stub_exports_functions_that_fail_and_data_of_the_same_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stubs = load("cuda_stubs", monkeypatch, elftools__elf__elffile={"ELFFile": None})
    assert stubs.Symbol("ncclSend").source == "int ncclSend(void) { return 1; }"
    assert stubs.Symbol("table", 48).source == "char table[48];"


def test_symbols_keep_their_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    stubs = load("cuda_stubs", monkeypatch, elftools__elf__elffile={"ELFFile": None})
    symbols = [
        stubs.Symbol("a", version="libcublas.so.13"),
        stubs.Symbol("b", version="libcublas.so.13"),
    ]
    assert stubs.version_script(symbols) == "libcublas.so.13 { global: a; b; };\n"
    assert stubs.version_script([stubs.Symbol("a")]) == ""


def test_what_the_parser_refuses_is_its_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(args: list[str]) -> None:
        if "--nothing" in args:
            print("usage: ...\nerror: unrecognized arguments: --nothing", file=sys.stderr)
            raise SystemExit(2)
        if "--pair" in args:
            raise ValueError("--kv-transfer-config must be given")

    flags = load("parse_flags", monkeypatch, dynamo__vllm__args={"parse_args": parse})
    assert flags.refusal(["--model", "m"]) is None
    assert flags.refusal(["--nothing"]) == "error: unrecognized arguments: --nothing"
    assert flags.refusal(["--pair"]) == "--kv-transfer-config must be given"


def test_arguments_are_parsed_with_a_model_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    flags = load("parse_flags", monkeypatch, dynamo__vllm__args={"parse_args": None})
    given = ["--tensor-parallel-size", "2", "--model", "org/moe"]
    assert flags.with_model(given, "/m") == ["--tensor-parallel-size", "2", "--model", "/m"]
