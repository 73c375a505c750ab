"""Upstream's NPZ layout of profile data; bytes in, bytes out.

Dtypes as upstream's profiler writes them: ``prefill_isl`` and ``max_kv_tokens`` int64, all others
float64; every array has one dimension. What upstream does not know is one array more: its only
element is the rest of the JSON object, as text.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from dgdr_api import profile_data as key
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_api.provenance import ProfileDataError

# Name of the array, in UTF-8, that upstream does not know.
OURS = "dgdr_json"
PREFILL_DTYPES = {
    key.PREFILL_ISL: np.int64,
    key.PREFILL_TTFT: np.float64,
    key.PREFILL_THPT_PER_GPU: np.float64,
}
DECODE_DTYPES = {
    key.KV_USAGE: np.float64,
    key.CONTEXT_LENGTH: np.float64,
    key.ITL: np.float64,
    key.DECODE_THPT_PER_GPU: np.float64,
    key.MAX_KV_TOKENS: np.int64,
}

_Dtypes = Mapping[str, type[np.generic]]


def write_prefill(data: PrefillData) -> bytes:
    """Return ``selected_prefill_interpolation/raw_data.npz``."""
    return _write(data.to_object(), PREFILL_DTYPES)


def write_decode(data: DecodeData) -> bytes:
    """Return ``selected_decode_interpolation/raw_data.npz``."""
    return _write(data.to_object(), DECODE_DTYPES)


def read_prefill(content: bytes) -> PrefillData:
    """Read ``selected_prefill_interpolation/raw_data.npz``.

    Raises:
        ProfileDataError: names the array that is missing or wrong.
    """
    return PrefillData.from_object(_read(content, PREFILL_DTYPES))


def read_decode(content: bytes) -> DecodeData:
    """Read ``selected_decode_interpolation/raw_data.npz``.

    Raises:
        ProfileDataError: names the array that is missing or wrong.
    """
    return DecodeData.from_object(_read(content, DECODE_DTYPES))


def _write(data: Mapping[str, Any], dtypes: _Dtypes) -> bytes:
    arrays = {name: _array(data[name], dtype) for name, dtype in dtypes.items()}
    ours = {name: value for name, value in data.items() if name not in dtypes}
    if ours:
        arrays[OURS] = np.frombuffer(json.dumps(ours).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _array(values: Any, dtype: type[np.generic]) -> np.ndarray:
    array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    return (np.rint(array) if dtype is np.int64 else array).astype(dtype)


def _read(content: bytes, dtypes: _Dtypes) -> dict[str, Any]:
    arrays = _arrays(content)
    columns = {name: _column(arrays, name) for name in dtypes}
    return {**columns, **(_ours(arrays[OURS]) if OURS in arrays else {})}


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as exc:
        raise ProfileDataError(f"the file is no NPZ archive of numbers: {exc}") from exc


def _column(arrays: dict[str, np.ndarray], name: str) -> list[float]:
    if name not in arrays:
        raise ProfileDataError(f"array {name} is missing; found {', '.join(sorted(arrays))}")
    try:
        return [float(value) for value in np.ravel(arrays[name])]
    except (TypeError, ValueError) as exc:
        raise ProfileDataError(f"array {name} holds no numbers: {exc}") from exc


def _ours(array: np.ndarray) -> dict[str, Any]:
    try:
        found = json.loads(array.tobytes())
    except ValueError as exc:
        raise ProfileDataError(f"array {OURS} is no JSON: {exc}; profile again") from exc
    if not isinstance(found, dict):
        raise ProfileDataError(f"array {OURS} is a {type(found).__name__}, not an object")
    return found
