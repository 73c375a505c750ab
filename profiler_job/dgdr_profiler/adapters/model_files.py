"""Reads what a model is: from the Job's claim, from a folder of its image, or from the hub."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dgdr_api.effective import EffectiveSpec
from dgdr_profiler.adapters.hub import CONFIG, QUANTIZATION, Hub
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.known_model import FactsSource, KnownModel, from_files
from dgdr_profiler.core.progress import reading
from dgdr_profiler.ports import Show

# Below the folder that HF_HOME names.
HUB_FOLDER = "hub"


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder that may hold the model, and whose it is."""

    source: FactsSource
    folder: Path


async def read_model(wanted: EffectiveSpec, hub: Hub, show: Show) -> KnownModel:
    """Return what the first files say that are found; the hub is asked only without any.

    Nothing found is no error: engines may know ways to a model that the Job does not. A hub that is
    not there takes minutes to say so, so ``show`` says that it is asked.

    Raises:
        InvalidRequest: there are files, and they describe no model.
    """
    found = await asyncio.to_thread(_in_folders, wanted)
    if found.facts is not None or _is_folder(wanted.model):
        return found
    if not hub.offline:
        await show(reading(f"{CONFIG} of {wanted.model} from the hub"))
    asked = await hub.read(wanted.model)
    return replace(asked, tried=(*found.tried, *asked.tried))


def _in_folders(wanted: EffectiveSpec) -> KnownModel:
    tried: list[str] = []
    for place in _places(wanted):
        found = _in_folder(place)
        if found.facts is not None:
            return found
        tried += found.tried
    return KnownModel(tried=(*tried, *_out_of_reach(wanted)))


def _places(wanted: EffectiveSpec) -> Iterator[_Place]:
    cache = wanted.model_cache
    if cache is not None and cache.model_path is not None:
        yield _Place(FactsSource.CLAIM, Path(cache.model_path))
    elif cache is not None and not _is_folder(wanted.model):
        stored = Path(cache.mount_path) / HUB_FOLDER / _stored_as(wanted.model)
        yield _Place(FactsSource.CLAIM, _snapshot(stored) or stored)
    if _is_folder(wanted.model):
        yield _Place(FactsSource.FOLDER, Path(wanted.model))


def _out_of_reach(wanted: EffectiveSpec) -> Iterator[str]:
    """Name a snapshot at the root of the claim: engines, which get HF_HOME, do not find it."""
    cache = wanted.model_cache
    if cache is None or cache.model_path is not None or _is_folder(wanted.model):
        return
    mount = Path(cache.mount_path)
    found = _snapshot(mount / _stored_as(wanted.model))
    if found is not None:
        yield (
            f"engines look below {HUB_FOLDER} of the claim, not at {found}: move it there, or set "
            f"spec.modelCache.pvcModelPath to {found.relative_to(mount)}"
        )


def _is_folder(model: str) -> bool:
    return model.startswith("/")


def _stored_as(model: str) -> str:
    """Return the folder in which the hub's libraries store a model."""
    return f"models--{model.replace('/', '--')}"


def _snapshot(stored: Path) -> Path | None:
    """Return the revision that engines would load, else the newest; None without any."""
    try:
        revisions = stored / "snapshots"
        main = stored / "refs" / "main"
        named = revisions / main.read_text().strip() if main.is_file() else None
        if named is not None and (named / CONFIG).is_file():
            return named
        there = [path for path in revisions.iterdir() if (path / CONFIG).is_file()]
        return max(there, key=lambda path: path.stat().st_mtime, default=None)
    except OSError:
        # Whatever is wrong shows again where the file itself is read, and is told there.
        return None


def _in_folder(place: _Place) -> KnownModel:
    folder = place.folder
    try:
        config = (folder / CONFIG).read_bytes()
        beside = folder / QUANTIZATION
        quantization = beside.read_bytes() if beside.is_file() else b"null"
        sizes = dict(_sizes(folder))
    except (FileNotFoundError, NotADirectoryError):
        return KnownModel(tried=(f"no {CONFIG} in {folder}",))
    except OSError as exc:
        return KnownModel(tried=(f"{folder}/{CONFIG} cannot be read: {exc.strerror}",))
    return from_files(
        place.source,
        str(folder),
        _json(config, folder / CONFIG),
        _json(quantization, beside),
        sizes,
    )


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    """Return the bytes of each file beside ``config.json``; engines load no others."""
    for path in folder.iterdir():
        # A hub's snapshot is made of links, and one that was not fetched to its end leads nowhere.
        if path.is_file():
            yield path.name, path.stat().st_size


def _json(content: bytes, path: Path) -> object:
    try:
        return json.loads(content)
    except ValueError as exc:
        raise InvalidRequest(
            f"{path} is no JSON: {exc}; repair it, or state the model's sizes in the policy's "
            "spec.model"
        ) from exc
