"""Upstream's NPZ layout of profile data; bytes in, bytes out.

Dtypes as upstream's profiler writes them: ``prefill_isl`` and ``max_kv_tokens`` int64, all others
float64; every array has one dimension. What upstream does not know (provenance, the most requests
at once) is in arrays of its own, and only where it is known.
"""

import io
import zipfile

import numpy as np

from dgdr_api import profile_data as key
from dgdr_api.profile_data import (
    DecodeData,
    PrefillData,
    ProfileDataError,
    Provenance,
    sources_of,
)

FINGERPRINT = f"{key.PROVENANCE}_fingerprint"
SOURCES = f"{key.PROVENANCE}_sources"


def write_prefill(data: PrefillData) -> bytes:
    """Return ``selected_prefill_interpolation/raw_data.npz``."""
    return _write(
        {
            key.PREFILL_ISL: np.asarray(np.rint(data.isl), dtype=np.int64),
            key.PREFILL_TTFT: np.asarray(data.ttft_ms, dtype=np.float64),
            key.PREFILL_THPT_PER_GPU: np.asarray(data.thpt_per_gpu, dtype=np.float64),
            **_provenance_arrays(data.provenance),
        }
    )


def write_decode(data: DecodeData) -> bytes:
    """Return ``selected_decode_interpolation/raw_data.npz``."""
    return _write(
        {
            key.KV_USAGE: np.asarray(data.kv_usage, dtype=np.float64),
            key.CONTEXT_LENGTH: np.asarray(data.context_length, dtype=np.float64),
            key.ITL: np.asarray(data.itl_ms, dtype=np.float64),
            key.DECODE_THPT_PER_GPU: np.asarray(data.thpt_per_gpu, dtype=np.float64),
            key.MAX_KV_TOKENS: np.asarray([data.max_kv_tokens], dtype=np.int64),
            **_counts(key.MAX_NUM_SEQS, data.max_num_seqs),
            **_provenance_arrays(data.provenance),
        }
    )


def read_prefill(content: bytes) -> PrefillData:
    """Read ``selected_prefill_interpolation/raw_data.npz``.

    Raises:
        ProfileDataError: names the array that is missing or wrong.
    """
    arrays = _read(content)
    return PrefillData(
        isl=_column(arrays, key.PREFILL_ISL),
        ttft_ms=_column(arrays, key.PREFILL_TTFT),
        thpt_per_gpu=_column(arrays, key.PREFILL_THPT_PER_GPU),
        provenance=_provenance(arrays),
    )


def read_decode(content: bytes) -> DecodeData:
    """Read ``selected_decode_interpolation/raw_data.npz``.

    Raises:
        ProfileDataError: names the array that is missing or wrong.
    """
    arrays = _read(content)
    return DecodeData(
        kv_usage=_column(arrays, key.KV_USAGE),
        context_length=_column(arrays, key.CONTEXT_LENGTH),
        itl_ms=_column(arrays, key.ITL),
        thpt_per_gpu=_column(arrays, key.DECODE_THPT_PER_GPU),
        max_kv_tokens=_count(arrays, key.MAX_KV_TOKENS),
        max_num_seqs=_count(arrays, key.MAX_NUM_SEQS) if key.MAX_NUM_SEQS in arrays else None,
        provenance=_provenance(arrays),
    )


def _counts(name: str, value: int | None) -> dict[str, np.ndarray]:
    return {} if value is None else {name: np.asarray([value], dtype=np.int64)}


def _count(arrays: dict[str, np.ndarray], name: str) -> int:
    values = _column(arrays, name)
    if len(values) != 1 or not np.isfinite(values[0]):
        raise ProfileDataError(f"{name} holds {values}; it must be one number")
    return int(values[0])


def _provenance_arrays(provenance: Provenance) -> dict[str, np.ndarray]:
    arrays = {}
    if provenance.fingerprint is not None:
        arrays[FINGERPRINT] = np.asarray([provenance.fingerprint], dtype=np.str_)
    if provenance.sources is not None:
        arrays[SOURCES] = np.asarray([str(source) for source in provenance.sources])
    return arrays


def _provenance(arrays: dict[str, np.ndarray]) -> Provenance:
    fingerprint = arrays.get(FINGERPRINT)
    sources = arrays.get(SOURCES)
    return Provenance(
        fingerprint=None if fingerprint is None else str(np.ravel(fingerprint)[0]),
        sources=None if sources is None else sources_of(str(name) for name in np.ravel(sources)),
    )


def _write(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _read(content: bytes) -> dict[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as exc:
        raise ProfileDataError(f"the file is no NPZ archive of numbers: {exc}") from exc


def _column(arrays: dict[str, np.ndarray], name: str) -> tuple[float, ...]:
    if name not in arrays:
        raise ProfileDataError(f"array {name} is missing; found {', '.join(sorted(arrays))}")
    try:
        return tuple(float(value) for value in np.ravel(arrays[name]))
    except (TypeError, ValueError) as exc:
        raise ProfileDataError(f"array {name} holds no numbers: {exc}") from exc
