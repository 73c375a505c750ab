import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from dgdr_kube.errors import ClusterError, Expired, Unreachable
from dgdr_kube.ports import Change, ChangeType
from dgdr_kube.watch_stream import changes

TYPED = {"apiVersion": "v1", "kind": "Thing"}


def line(type_: str, **told: Any) -> bytes:
    return json.dumps({"type": type_, "object": told}).encode() + b"\n"


async def read(chunks: Iterable[bytes | Exception]) -> list[Change]:
    async def sent() -> AsyncIterator[bytes]:
        for chunk in chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    return [change async for change in changes(sent(), TYPED, "WATCH /things")]


NAMED = {"namespace": "ns", "name": "a"}
ONE = line("ADDED", metadata={**NAMED, "resourceVersion": "7"}, data="x" * 200_000)
TWO = line("BOOKMARK", metadata={"resourceVersion": "9"})


@pytest.mark.parametrize("size", [1000, 65_536, 10_000_000])
async def test_changes_come_in_pieces_of_any_size(size: int) -> None:
    sent = ONE + TWO
    found = await read(sent[at : at + size] for at in range(0, len(sent), size))
    assert [(one.type, one.version) for one in found] == [
        (ChangeType.ADDED, "7"),
        (ChangeType.BOOKMARK, "9"),
    ]
    assert found[0].manifest["kind"] == "Thing"


@pytest.mark.parametrize(
    ("chunks", "error"),
    [
        pytest.param([line("ERROR", code=410, message="too old")], Expired, id="410"),
        pytest.param([line("ERROR", code=500, message="etcd")], Unreachable, id="500"),
        pytest.param([TWO, TimeoutError()], Unreachable, id="quiet for too long"),
        pytest.param([TWO, ConnectionResetError()], Unreachable, id="reset"),
        pytest.param([b"<html>\n"], Unreachable, id="no JSON"),
        pytest.param([b"<html>We are back soon</html>"], Unreachable, id="a page of no line"),
        pytest.param([TWO, TWO[:-9]], Unreachable, id="an end amid a line"),
        pytest.param([line("ADDED")[:-3] + b"\n"], Unreachable, id="half a line"),
        pytest.param([b'{"type": "ERROR", "object": "gone"}\n'], Unreachable, id="a text"),
        pytest.param([b'{"a":' * 2000 + b"1" + b"}" * 2000 + b"\n"], Unreachable, id="too deep"),
        pytest.param([line("RENAMED", metadata={})], Unreachable, id="an unknown type"),
        pytest.param([line("ADDED", metadata={"resourceVersion": "7"})], Unreachable, id="no name"),
    ],
)
async def test_what_is_no_change_is_an_error_of_ours(
    chunks: list[bytes | Exception], error: type[ClusterError]
) -> None:
    with pytest.raises(error):
        await read(chunks)
