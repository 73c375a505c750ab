from datetime import UTC, datetime
from pathlib import Path

import pytest

from dgdr_api.request import ProfilingRequest
from dgdr_profiler.__main__ import HOPELESS, RETRYABLE, _known_model, _outcome, main
from dgdr_profiler.adapters.records import KubeRecords
from support.profiler_ports import MemoryKube, MemoryRecords


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
    await records.open(datetime.now(UTC))
    return await _outcome(asked, folder, kube, records)  # type: ignore[arg-type]


async def test_missing_performance_data_is_said_and_not_retried(tmp_path: Path) -> None:
    code, error = await outcome(request(), MemoryKube(), tmp_path)
    assert code == HOPELESS
    assert "no ConfigMap mocker-profiles in namespace ns" in error


def real(folder: Path, **policy: object) -> ProfilingRequest:
    """A request for engines on GPUs whose model is a folder with a file that is no model's."""
    (folder / "config.json").write_text('{"sentence": "no model"}')
    asked = request(candidateEngine="backend", **policy)
    changed = {"model": str(folder), "image": "i:1", "features": None}
    return asked.model_copy(update={"spec": asked.spec.model_copy(update=changed)})


async def test_a_file_that_describes_no_model_is_said_and_not_retried(tmp_path: Path) -> None:
    code, error = await outcome(real(tmp_path), MemoryKube(), tmp_path)
    assert code == HOPELESS
    assert f"{tmp_path}: config.json has none of architectures" in error


async def test_a_user_who_says_what_the_model_is_needs_no_file(tmp_path: Path) -> None:
    found = await _known_model(real(tmp_path, model={"weightGiB": 16}), MemoryRecords().show)
    assert found is not None
    assert "config.json has none of architectures" in found.tried[0]


async def test_the_files_of_a_model_that_mockers_stand_for_are_not_read(tmp_path: Path) -> None:
    asked = real(tmp_path).model_copy(update={"policy": request().policy})
    assert await _known_model(asked, MemoryRecords().show) is None


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
