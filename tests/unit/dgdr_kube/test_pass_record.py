"""One line for each pass that wrote: about what, what was decided, what was written."""

import asyncio
import logging

import pytest

from dgdr_kube.calls import Verb
from dgdr_kube.errors import Conflict, Rejected, Unreachable
from dgdr_kube.kinds import DEPLOYMENT, DGD, SECRET
from dgdr_kube.pass_record import MOST_WRITES_TOLD, Result, decided, recorded, wrote
from dgdr_kube.ports import Key
from dgdr_kube.remembering import RememberingCluster
from support.fake_cluster import FakeCluster

KEY = Key("team", "chat")
TOKEN = "hf_abcdefghijklmnop"


class Told:
    def __init__(self) -> None:
        self.passes: list[tuple[str, str, Result]] = []

    def __call__(self, queue: str, decision: str, result: Result, seconds: float) -> None:
        assert seconds >= 0
        self.passes.append((queue, decision, result))


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    caplog.set_level(logging.DEBUG, logger="dgdr_kube.pass_record")
    return Told()


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name == "dgdr_kube.pass_record"
    ]


async def test_a_pass_that_wrote_is_one_line(caplog: pytest.LogCaptureFixture, told: Told) -> None:
    cluster = RememberingCluster(FakeCluster(), {})
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": "team", "name": "hf"},
        "stringData": {"token": TOKEN},
    }

    async def run(key: Key) -> float | None:
        decided("StartProfiling")
        await cluster.create(secret, "me")
        await cluster.patch(SECRET, "team", "hf", {"metadata": {"labels": {"a": TOKEN}}}, "me")
        await cluster.delete(SECRET, "team", "hf")
        return 15.0

    assert await recorded("dgdr", run, told)(KEY) == 15.0
    assert told.passes == [("dgdr", "StartProfiling", Result.DONE)]
    ((level, line),) = lines(caplog)
    assert level == "INFO"
    assert line.startswith(
        "pass queue=dgdr object=team/chat decision=StartProfiling result=done seconds=0."
    )
    assert line.endswith('wrote="create Secret/hf, patch Secret/hf, delete Secret/hf"')
    assert TOKEN not in caplog.text


async def test_at_rest_there_is_nothing_to_read(
    caplog: pytest.LogCaptureFixture, told: Told
) -> None:
    async def run(key: Key) -> None:
        decided("Settled")

    await recorded("dgdr", run, told)(KEY)
    ((level, line),) = lines(caplog)
    assert (level, line.split(" seconds=")[0]) == (
        "DEBUG",
        "pass queue=dgdr object=team/chat decision=Settled result=done",
    )


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (Conflict("changed"), Result.RETRIED),
        (Unreachable("503"), Result.RETRIED),
        (Rejected(403, "no right"), Result.FAILED),
        (KeyError("oops"), Result.FAILED),
    ],
)
async def test_how_a_pass_ended_is_counted(error: Exception, result: Result, told: Told) -> None:
    async def run(key: Key) -> None:
        raise error

    with pytest.raises(type(error)):
        await recorded("dgd", run, told)(KEY)
    assert told.passes == [("dgd", "Undecided", result)]


async def test_a_write_that_nobody_answered_is_told_as_such(
    caplog: pytest.LogCaptureFixture, told: Told
) -> None:
    fake = FakeCluster()
    fake.refuse("patch_status", DGD, Unreachable("reset"))
    fake.refuse("scale", DGD, Conflict("changed"))
    cluster = RememberingCluster(fake, {})

    async def run(key: Key) -> None:
        with pytest.raises(Conflict):
            await cluster.scale(DGD, *key, 3, "me")
        await cluster.patch_status(DGD, *key, {}, "me")

    with pytest.raises(Unreachable):
        await recorded("dgd", run, told)(KEY)
    ((_, line),) = lines(caplog)
    assert line.endswith('wrote="patch_status DynamoGraphDeployment/chat (no answer)"')


async def test_passes_side_by_side_do_not_mix(caplog: pytest.LogCaptureFixture, told: Told) -> None:
    async def run(key: Key) -> None:
        wrote(Verb.APPLY, DEPLOYMENT, f"{key.name}-1")
        await asyncio.sleep(0)
        wrote(Verb.APPLY, DEPLOYMENT, f"{key.name}-2")

    reconcile = recorded("dgd", run, told)
    await asyncio.gather(*(reconcile(Key("n", name)) for name in "ab"))
    written = {line.split("object=n/")[1][0]: line.split("wrote=")[1] for _, line in lines(caplog)}
    assert written == {
        name: f'"apply Deployment/{name}-1, apply Deployment/{name}-2"' for name in "ab"
    }


async def test_a_line_has_an_end(caplog: pytest.LogCaptureFixture, told: Told) -> None:
    async def run(key: Key) -> None:
        for number in range(MOST_WRITES_TOLD + 5):
            wrote(Verb.APPLY, DEPLOYMENT, f"c{number}")

    await recorded("dgd", run, told)(KEY)
    ((_, line),) = lines(caplog)
    assert line.endswith('apply Deployment/c11, and 5 more"')


async def test_outside_of_a_pass_nothing_is_noted() -> None:
    decided("Settled")
    wrote(Verb.APPLY, DEPLOYMENT, "c")
