"""Measured curves from ConfigMaps: looked at now and then, fitted once per version.

Curves are not watched: that would take the right to list everybody's ConfigMaps.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from dgdr_api.names import DECODE_JSON_KEY, PREFILL_JSON_KEY
from dgdr_api.profile_data import ProfileDataError
from dgdr_kube.kinds import CONFIG_MAP
from dgdr_kube.ports import Cluster, Manifest
from dgdr_perf.curve_fit import ProfileError
from dgdr_perf.engine_profile import EngineProfile
from dgdr_planner.core.observation import Trouble

# Curves are measured for hours and hold for months.
SHARED_FOR_S = 60.0
# What was wrong is put right by somebody who waits for it; all planners share a tick's look.
TROUBLE_SHARED_FOR_S = 1.0
UNUSED_S = 3600.0


@dataclass(frozen=True, slots=True)
class _Looked:
    at_s: float
    version: tuple[str, str]
    found: EngineProfile | Trouble

    @property
    def until_s(self) -> float:
        return self.at_s + (
            TROUBLE_SHARED_FOR_S if isinstance(self.found, Trouble) else SHARED_FOR_S
        )


class ConfigMapProfiles:
    """Implements ``ports.Profiles``."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._clock = clock
        self._looked: dict[tuple[str, str], _Looked] = {}
        self._looking: dict[tuple[str, str], asyncio.Task[_Looked]] = {}

    async def profile(self, namespace: str, config_map: str) -> EngineProfile | Trouble:
        """Return the fitted curves."""
        key = (namespace, config_map)
        known = self._looked.get(key)
        if known is not None and self._clock() < known.until_s:
            return known.found
        if key not in self._looking:
            task = asyncio.create_task(self._look(namespace, config_map, known))
            task.add_done_callback(lambda _: self._looking.pop(key))
            self._looking[key] = task
        # Shielded: a planner that gives up must not take the answer away from the others.
        known = self._looked[key] = await asyncio.shield(self._looking[key])
        self._drop_unused(known.at_s - UNUSED_S)
        return known.found

    def _drop_unused(self, until_s: float) -> None:
        """Names of curves are as many as requests ever were."""
        for key in [key for key, looked in self._looked.items() if looked.until_s < until_s]:
            del self._looked[key]

    async def _look(self, namespace: str, config_map: str, known: _Looked | None) -> _Looked:
        found = await self._cluster.get(CONFIG_MAP, namespace, config_map)
        now_s = self._clock()
        if found is None:
            text = f"there is no ConfigMap {config_map} in namespace {namespace}"
            return _Looked(now_s, ("", ""), Trouble("ProfileNotFound", text))
        meta = found["metadata"]
        version = (str(meta.get("uid")), str(meta.get("resourceVersion")))
        if known is not None and known.version == version:
            return _Looked(now_s, version, known.found)
        return _Looked(now_s, version, await asyncio.to_thread(_fit, found))


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
