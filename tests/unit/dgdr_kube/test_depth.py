"""The deepest object that an API server stores, in a process of its own: a stack may overflow."""

import importlib
import subprocess
import sys
from contextlib import suppress

import pytest

HANDLED = """
import asyncio, copy, json
from dgdr_kube import answers, depth, packing, watch_stream
from dgdr_kube.kinds import DGD
from kopf._cogs.structs.diffs import diff

depth.allow_depth()
nested = '{"a":' * 9_990 + "1" + "}" * 9_990
meta = {"namespace": "ns", "name": "deep", "resourceVersion": "3"}
body = json.dumps({"metadata": meta, "spec": "?"}).replace('"?"', nested).encode()

async def sent():
    yield b'{"type": "ADDED", "object": ' + body + b"}\\n"

async def heard():
    return [one async for one in watch_stream.changes(sent(), {}, "WATCH")]

def handled():
    page = answers.read_json(b'{"metadata": {"resourceVersion": "5"}, "items": [' + body + b"]}")
    (item,) = answers.page_of(page, DGD, "LIST").items
    assert packing.unpack(packing.pack(item)) == item == copy.deepcopy(item)
    assert len(repr(item)) > 9_990
    assert list(diff(item, {**item, "spec": {}}))

async def both():
    handled()
    await asyncio.to_thread(handled)
    (change,) = await heard()
    print(change.manifest["metadata"]["name"])

asyncio.run(both())
"""


def test_the_deepest_object_is_read_kept_compared_and_copied() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANDLED], capture_output=True, text=True, timeout=180, check=False
    )
    assert (done.returncode, done.stdout) == (0, "deep\n"), done.stderr[-2000:]


@pytest.mark.parametrize("program", ["dgdr_operator", "dgdr_planner", "dgdr_webhooks"])
def test_every_program_that_reads_them_may(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    main = importlib.import_module(f"{program}.__main__")
    allowed: list[str] = []

    def load() -> None:
        raise main.SettingsError(*allowed)

    monkeypatch.setattr(main, "allow_depth", lambda: allowed.append(program))
    monkeypatch.setattr(main, "load", load)
    with suppress(SystemExit):
        main.main()
    assert allowed == [program]
