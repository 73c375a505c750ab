"""Measured curves from ConfigMaps: looked at now and then, fitted once per version.

Curves are not watched: that would take the right to list everybody's ConfigMaps.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from dgdr_api.names import DECODE_JSON_KEY, PREFILL_JSON_KEY
from dgdr_api.provenance import ProfileDataError
from dgdr_kube.kinds import CONFIG_MAP
from dgdr_kube.ports import Cluster, Manifest
from dgdr_perf.curve_fit import ProfileError
from dgdr_perf.engine_profile import EngineProfile
from dgdr_planner.adapters.shared_looks import SharedLooks
from dgdr_planner.observe.value import Trouble

# Curves are measured for hours and hold for months.
SHARED_FOR_S = 60.0
# What was wrong is put right by somebody who waits for it; all planners share a tick's look.
TROUBLE_SHARED_FOR_S = 1.0


@dataclass(frozen=True, slots=True)
class _Looked:
    version: tuple[str, str]
    found: EngineProfile | Trouble


class ConfigMapProfiles:
    """Implements ``ports.Profiles``."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._looks = SharedLooks(self._look, _fresh_s, clock)

    async def profile(self, namespace: str, config_map: str) -> EngineProfile | Trouble:
        """Return the fitted curves."""
        return (await self._looks.answer((namespace, config_map))).found

    async def _look(self, key: tuple[str, str], known: _Looked | None) -> _Looked:
        namespace, config_map = key
        found = await self._cluster.get(CONFIG_MAP, namespace, config_map)
        if found is None:
            text = f"there is no ConfigMap {config_map} in namespace {namespace}"
            return _Looked(("", ""), Trouble("ProfileNotFound", text))
        meta = found["metadata"]
        version = (str(meta.get("uid")), str(meta.get("resourceVersion")))
        if known is not None and known.version == version:
            return known
        return _Looked(version, await asyncio.to_thread(_fit, found))


def _fresh_s(looked: _Looked) -> float:
    return TROUBLE_SHARED_FOR_S if isinstance(looked.found, Trouble) else SHARED_FOR_S


def _fit(config_map: Manifest) -> EngineProfile | Trouble:
    data = config_map.get("data") or {}
    name = config_map["metadata"]["name"]
    missing = [key for key in (PREFILL_JSON_KEY, DECODE_JSON_KEY) if key not in data]
    if missing:
        text = f"ConfigMap {name} has no {' and no '.join(missing)}"
        return Trouble("ProfileUnreadable", text)
    try:
        return EngineProfile.from_json(data[PREFILL_JSON_KEY], data[DECODE_JSON_KEY])
    except (ProfileDataError, ProfileError) as exc:
        return Trouble("ProfileUnreadable", f"ConfigMap {name}: {exc}")
