"""Measured curves from ConfigMaps, fitted once per version."""

import asyncio

from dgdr_api.names import DECODE_JSON_KEY, PREFILL_JSON_KEY
from dgdr_api.profile_data import ProfileDataError
from dgdr_kube.kinds import CONFIG_MAP
from dgdr_kube.ports import Cluster, Manifest
from dgdr_perf.curve_fit import ProfileError
from dgdr_perf.engine_profile import EngineProfile
from dgdr_planner.core.observation import Trouble


class ConfigMapProfiles:
    """Implements ``ports.Profiles``."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._fitted: dict[tuple[str, str], tuple[str, EngineProfile | Trouble]] = {}

    async def profile(self, namespace: str, config_map: str) -> EngineProfile | Trouble:
        """Return the fitted curves."""
        key = (namespace, config_map)
        found = await self._cluster.get(CONFIG_MAP, namespace, config_map)
        if found is None:
            self._fitted.pop(key, None)
            text = f"there is no ConfigMap {config_map} in namespace {namespace}"
            return Trouble("ProfileNotFound", text)
        version = str(found["metadata"].get("resourceVersion"))
        known = self._fitted.get(key)
        if known is not None and known[0] == version:
            return known[1]
        fitted = await asyncio.to_thread(_fit, found)
        self._fitted[key] = (version, fitted)
        return fitted


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
