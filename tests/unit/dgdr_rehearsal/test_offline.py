"""Manifests and curves as files: what the API server would refuse is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from dgdr_perf import npz
from dgdr_rehearsal.offline import DECODE_NPZ, PREFILL_NPZ, OfflineError, read_planner, read_profile
from support.planning import DECODE, PREFILL, sla_planner


def write(path: Path, *documents: Any) -> Path:
    path.write_text(yaml.safe_dump_all(documents))
    return path


def write_npz(folder: Path) -> Path:
    for name, content in (
        (PREFILL_NPZ, npz.write_prefill(PREFILL)),
        (DECODE_NPZ, npz.write_decode(DECODE)),
    ):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(content)
    return folder


def write_json(folder: Path) -> Path:
    (folder / "prefill_raw_data.json").write_text(PREFILL.to_json())
    (folder / "decode_raw_data.json").write_text(DECODE.to_json())
    return folder


def test_a_planner_is_found_among_other_documents(tmp_path: Path) -> None:
    path = write(tmp_path / "all.yaml", {"kind": "Namespace"}, None, sla_planner())
    assert read_planner(path).metadata.name == "q-dgd"


def test_an_unquoted_date_is_text_as_it_is_to_kubectl(tmp_path: Path) -> None:
    path = write(tmp_path / "planner.yaml", sla_planner())
    path.write_text(
        path.read_text().replace("metadata:", "metadata:\n  labels: {built: 2024-01-02}")
    )
    assert read_planner(path).metadata.labels == {"built": "2024-01-02"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"sla": {"ttftMs": -1, "itlMs": 25}}, "spec.sla.ttftMs"),
        ({"sla": {"ttftMs": 300}}, "spec.sla.itlMs: Required value"),
        ({"roles": {}}, "give worker alone, or at least one of prefill and decode"),
        ({"roles": {"worker": {"max": 2}, "decode": {"max": 2}}}, "give worker alone"),
        ({"roles": {"decode": {"min": 3, "max": 2}}}, "spec.roles.decode.min is 3"),
        ({"budget": {"gpus": 4, "ref": "team"}}, "give either gpus or ref"),
        ({"budget": {}}, "give either gpus or ref"),
        ({"interval": "1s"}, "spec.interval"),
        ({"surprise": 1}, "spec.surprise"),
    ],
)
def test_a_spec_that_the_api_server_would_refuse_is_refused(
    tmp_path: Path, spec: dict[str, Any], said: str
) -> None:
    path = write(tmp_path / "planner.yaml", sla_planner(**spec))
    with pytest.raises(OfflineError) as told:
        read_planner(path)
    assert str(told.value).startswith(f"{path}: ")
    assert said in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no SLAPlanner, but nothing"),
        ("[1, 2]", "holds no SLAPlanner"),
        ("kind: Pod", "holds no SLAPlanner, but Pod"),
        ("a: [", "is no YAML"),
    ],
)
def test_a_file_without_a_planner_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "planner.yaml"
    path.write_text(text)
    with pytest.raises(OfflineError, match=said) as told:
        read_planner(path)
    assert "\n" not in str(told.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OfflineError, match=r"planner.yaml cannot be read: No such file"):
        read_planner(tmp_path / "planner.yaml")


@pytest.mark.parametrize("written", [write_npz, write_json])
def test_curves_are_read_in_either_layout(tmp_path: Path, written: Any) -> None:
    assert read_profile(written(tmp_path)).max_kv_tokens == DECODE.max_kv_tokens


def test_a_missing_curve_is_told(tmp_path: Path) -> None:
    write_json(tmp_path)
    (tmp_path / "decode_raw_data.json").unlink()
    with pytest.raises(OfflineError, match="has neither selected_decode_interpolation"):
        read_profile(tmp_path)


@pytest.mark.parametrize("content", ["{}", "nonsense", "[]"])
def test_a_file_that_holds_no_curve_is_told(tmp_path: Path, content: str) -> None:
    write_json(tmp_path)
    (tmp_path / "prefill_raw_data.json").write_text(content)
    with pytest.raises(OfflineError, match=r"prefill_raw_data.json: "):
        read_profile(tmp_path)


def test_an_npz_that_is_none_is_told(tmp_path: Path) -> None:
    write_npz(tmp_path)
    (tmp_path / PREFILL_NPZ).write_bytes(b"PK\x03\x04broken")
    with pytest.raises(OfflineError, match=r"raw_data\.npz: "):
        read_profile(tmp_path)
