import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dgdr_api.effective import EffectiveSpec, effective
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_profiler.adapters.hub import Hub
from dgdr_profiler.adapters.model_files import read_model
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.known_model import FactsSource, KnownModel
from support.model_configs import config_of, model
from support.profiler_ports import MemoryRecords

NAME = "Qwen/Qwen3-8B"
CONFIG = config_of("qwen3-8b")
STORED = "models--Qwen--Qwen3-8B"
# Nothing in these tests may reach a network.
OFFLINE = Hub(offline=True)


def write(folder: Path, config: object = CONFIG, **files: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    for name, size in files.items():
        with (folder / f"{name}.safetensors").open("wb") as file:
            file.truncate(size)
    return folder


def wanted(mount: Path | None = None, path: str | None = None, name: str = NAME) -> EffectiveSpec:
    spec: dict[str, Any] = {"model": name, "image": "i"}
    if mount is not None:
        cache: Mapping[str, str | None] = {
            "pvcName": "models",
            "pvcMountPath": str(mount),
            "pvcModelPath": path,
        }
        spec["modelCache"] = {key: value for key, value in cache.items() if value is not None}
    return effective(DGDRSpec.model_validate(spec))


async def read(of: EffectiveSpec) -> KnownModel:
    records = MemoryRecords()
    found = await read_model(of, OFFLINE, records.show)
    assert records.shown == [], "a hub that is not asked is not waited for"
    return found


async def test_a_claims_folder_says_what_the_model_is(tmp_path: Path) -> None:
    write(tmp_path / "qwen", a=6000, b=4000)
    found = await read(wanted(tmp_path, "qwen"))
    assert (found.sources, found.place) == ((FactsSource.CLAIM,), str(tmp_path / "qwen"))
    assert found.facts is not None
    assert (found.facts.layers, found.facts.weight_bytes) == (36, 10_000)


async def test_the_quantisation_beside_it_counts(tmp_path: Path) -> None:
    folder = write(tmp_path / "qwen")
    beside = {"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}
    (folder / "hf_quant_config.json").write_text(json.dumps(beside))
    found = await read(wanted(tmp_path, "qwen"))
    assert found.facts is not None
    assert (found.facts.quant_bits, found.facts.kv_element_bytes) == (8, 1)


async def test_a_claim_without_a_path_is_a_hubs_cache(tmp_path: Path) -> None:
    snapshot = tmp_path / f"hub/{STORED}/snapshots/abc"
    blobs = tmp_path / f"hub/{STORED}/blobs"
    write(blobs, weights=10_000)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").symlink_to(blobs / "config.json")
    (snapshot / "model.safetensors").symlink_to(blobs / "weights.safetensors")
    (snapshot / "model-2.safetensors").symlink_to(blobs / "never fetched")
    found = await read(wanted(tmp_path))
    assert (found.place, found.sources) == (str(snapshot), (FactsSource.CLAIM,))
    assert found.facts is not None
    assert found.facts.weight_bytes == 10_000


async def test_a_snapshot_where_engines_do_not_look_is_not_read_and_its_cure_is_said(
    tmp_path: Path,
) -> None:
    snapshot = write(tmp_path / STORED / "snapshots/abc")
    found = await read(wanted(tmp_path))
    assert found.facts is None
    assert found.tried[:2] == (
        f"no config.json in {tmp_path}/hub/{STORED}",
        f"engines look below hub of the claim, not at {snapshot}: move it there, or set "
        f"spec.modelCache.pvcModelPath to {STORED}/snapshots/abc",
    )
    assert (await read(wanted(tmp_path, f"{STORED}/snapshots/abc"))).place == str(snapshot)


async def test_of_several_revisions_the_one_that_engines_load_counts(tmp_path: Path) -> None:
    stored = tmp_path / "hub" / STORED
    write(stored / "snapshots/old", config_of("qwen2.5-7b"))
    newer = write(stored / "snapshots/new", config_of("llama-3.1-8b"))
    os.utime(newer, (2**31, 2**31))
    assert (await read(wanted(tmp_path))).place == str(newer)
    (stored / "refs").mkdir()
    (stored / "refs/main").write_text("old\n")
    assert (await read(wanted(tmp_path))).place == str(stored / "snapshots/old")
    (stored / "refs/main").write_text("gone")
    assert (await read(wanted(tmp_path))).place == str(newer)


async def test_a_model_that_is_a_path_is_read_from_the_jobs_image(tmp_path: Path) -> None:
    folder = write(tmp_path / "local")
    found = await read(wanted(name=str(folder)))
    assert (found.sources, found.place) == ((FactsSource.FOLDER,), str(folder))
    assert found.facts == model("qwen3-8b")


async def test_a_claim_wins_over_a_folder_of_the_image(tmp_path: Path) -> None:
    write(tmp_path / "claim/m")
    local = write(tmp_path / "local")
    found = await read(wanted(tmp_path / "claim", "m", name=str(local)))
    assert found.sources == (FactsSource.CLAIM,)


async def test_nothing_found_is_no_error_and_says_what_was_tried(tmp_path: Path) -> None:
    found = await read(wanted(tmp_path))
    assert found.facts is None
    assert found.tried == (
        f"no config.json in {tmp_path}/hub/{STORED}",
        "HF_HUB_OFFLINE is set, so the hub is not asked",
    )
    assert (await read(wanted(name="/no/such/folder"))).tried == (
        "no config.json in /no/such/folder",
    )


async def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    # A folder in place of the file: root, as whom tests may run, can read everything else.
    (tmp_path / "m/config.json").mkdir(parents=True)
    found = await read(wanted(tmp_path, "m"))
    assert found.tried[0] == f"{tmp_path}/m/config.json cannot be read: Is a directory"


async def test_a_file_that_is_no_model_is_refused_with_path_and_cure(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", {"sentence": "no model"})
    with pytest.raises(InvalidRequest, match=f"{folder}: config.json has none of architectures"):
        await read(wanted(tmp_path, "m"))
    for content in (b"{", b"\xff\xfe\x00"):
        (folder / "config.json").write_bytes(content)
        with pytest.raises(InvalidRequest, match=f"{folder}/config.json is no JSON: .*spec.model"):
            await read(wanted(tmp_path, "m"))
