"""A planner's inputs as files: a manifest and a folder with curves, for use without a cluster.

What the API server would refuse is refused here too: a file has not passed its rules.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from dgdr_api.graph import Role
from dgdr_api.models.durations import duration_s
from dgdr_api.models.sla_planner import SLAPlanner, SLAPlannerSpec
from dgdr_api.models.sla_planner_policy import Bounds
from dgdr_api.names import DECODE_JSON_KEY, PREFILL_JSON_KEY
from dgdr_api.problem import from_validation, summary
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_api.provenance import ProfileDataError
from dgdr_api.yaml_documents import documents
from dgdr_perf import npz
from dgdr_perf.curve_fit import ProfileError
from dgdr_perf.engine_profile import EngineProfile

PREFILL_NPZ = "selected_prefill_interpolation/raw_data.npz"
DECODE_NPZ = "selected_decode_interpolation/raw_data.npz"
SHORTEST_INTERVAL_S = 5.0

_Data = TypeVar("_Data")


class OfflineError(ValueError):
    """A file that cannot be used; the message is one line with file, value and cure."""


def read_planner(path: Path) -> SLAPlanner:
    """Read the first SLAPlanner of a YAML file.

    Raises:
        OfflineError: there is none, or it is one that the API server would refuse.
    """
    manifest = _manifest(path)
    try:
        planner = SLAPlanner.parse(manifest)
    except ValidationError as exc:
        raise OfflineError(f"{path}: {summary(from_validation(exc))}") from exc
    trouble = _trouble(planner.spec)
    if trouble:
        raise OfflineError(f"{path}: {trouble}")
    return planner


def gpus_measured(prefill: PrefillData, decode: DecodeData) -> dict[Role, int]:
    """Return the GPUs of one replica of each role, where the curves say on how many they are."""
    known: dict[Role, PrefillData | DecodeData] = {
        Role.PREFILL: prefill,
        Role.DECODE: decode,
        Role.WORKER: decode,
    }
    prints = {role: data.provenance.fingerprint for role, data in known.items()}
    return {role: one.gpus for role, one in prints.items() if one is not None and one.gpus}


def read_profile(folder: Path) -> EngineProfile:
    """Fit curves to the profile data of a folder.

    Raises:
        OfflineError: a file is missing or holds no curve.
    """
    try:
        return EngineProfile.of(*read_profile_data(folder))
    except ProfileError as exc:
        raise OfflineError(f"{folder}: {exc}") from exc


def read_profile_data(folder: Path) -> tuple[PrefillData, DecodeData]:
    """Read the two NPZ files of a folder, or else the two JSON files.

    Raises:
        OfflineError: a file is missing or holds no curve.
    """
    prefill = _curve(folder, PREFILL_NPZ, npz.read_prefill, PREFILL_JSON_KEY, PrefillData.from_json)
    decode = _curve(folder, DECODE_NPZ, npz.read_decode, DECODE_JSON_KEY, DecodeData.from_json)
    return prefill, decode


def _curve(
    folder: Path,
    npz_name: str,
    from_npz: Callable[[bytes], _Data],
    json_name: str,
    from_json: Callable[[str], _Data],
) -> _Data:
    packed, plain = folder / npz_name, folder / json_name
    path = packed if packed.is_file() else plain
    if not path.is_file():
        raise OfflineError(
            f"{folder} has neither {npz_name} nor {json_name}; name a profile's folder"
        )
    try:
        content = path.read_bytes()
        return from_npz(content) if path is packed else from_json(content.decode())
    except (OSError, UnicodeDecodeError, ProfileDataError) as exc:
        raise OfflineError(f"{path}: {exc}") from exc


def _manifest(path: Path) -> object:
    try:
        found = [*documents(path.read_text())]
    except OSError as exc:
        raise OfflineError(f"{path} cannot be read: {exc.strerror}") from exc
    except (UnicodeDecodeError, yaml.YAMLError) as exc:
        raise OfflineError(f"{path} is no YAML: {' '.join(str(exc).split())}") from exc
    kinds = [one.get("kind") if isinstance(one, dict) else None for one in found]
    if "SLAPlanner" not in kinds:
        there = ", ".join(str(kind) for kind in kinds) or "nothing"
        raise OfflineError(f"{path} holds no SLAPlanner, but {there}; name a planner's manifest")
    return found[kinds.index("SLAPlanner")]


def _trouble(spec: SLAPlannerSpec) -> str | None:
    """Return what the rules of the CRD would say; None for a good spec."""
    roles = spec.roles
    split = roles.prefill is not None or roles.decode is not None
    if (roles.worker is not None) == split:
        return "spec.roles: give worker alone, or at least one of prefill and decode"
    for name, bounds in (
        ("prefill", roles.prefill),
        ("decode", roles.decode),
        ("worker", roles.worker),
    ):
        if bounds is not None and bounds.floor > bounds.max:
            return f"spec.roles.{name}.{_over(bounds)}"
    if spec.budget and (spec.budget.gpus is None) == (spec.budget.ref is None):
        return "spec.budget: give either gpus or ref"
    if spec.interval and duration_s(spec.interval) < SHORTEST_INTERVAL_S:
        return f"spec.interval is {spec.interval}: give at least {SHORTEST_INTERVAL_S:g}s"
    return None


def _over(bounds: Bounds) -> str:
    return f"min is {bounds.floor}, larger than max {bounds.max}; no number of replicas fits"
