from pathlib import Path

import pytest

from dgdr_api.request import ProfilingRequest
from dgdr_profiler.__main__ import HOPELESS, RETRYABLE, _outcome, main
from dgdr_profiler.adapters.records import KubeRecords
from support.profiler_ports import MemoryKube


def request(**policy: object) -> ProfilingRequest:
    owner = {"apiVersion": "nvidia.com/v1beta1", "kind": "X", "name": "q", "uid": "uid-1"}
    return ProfilingRequest.model_validate(
        {
            "dgdrName": "q",
            "namespace": "ns",
            "uid": "uid-1",
            "spec": {"model": "m", "features": {"mocker": {"enabled": True}}},
            "policy": {"candidateEngine": "mocker", **policy},
            "images": {"dynamoMocker": "images.test/mocker:dev"},
            "ownerReference": owner,
        }
    )


def test_an_unreadable_request_is_not_retried(tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text('{"dgdrName": "q"}')
    assert main(["--request", str(file)]) == HOPELESS


async def outcome(asked: ProfilingRequest, kube: MemoryKube, folder: Path) -> tuple[int, str]:
    records = KubeRecords(kube, asked)  # type: ignore[arg-type]
    await records.open()
    return await _outcome(asked, folder, kube, records)  # type: ignore[arg-type]


async def test_missing_performance_data_is_said_and_not_retried(tmp_path: Path) -> None:
    code, error = await outcome(request(), MemoryKube(), tmp_path)
    assert code == HOPELESS
    assert "no ConfigMap mocker-profiles in namespace ns" in error


async def test_an_unexpected_error_is_retried_and_told(tmp_path: Path) -> None:
    class Broken(MemoryKube):
        async def get(self, *_: object) -> None:
            raise RuntimeError("surprise")

    code, error = await outcome(request(), Broken(), tmp_path)
    assert (code, error) == (RETRYABLE, "RuntimeError: surprise")


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_the_command_line_explains_itself(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    captured = capsys.readouterr()
    assert "--request" in captured.out + captured.err
