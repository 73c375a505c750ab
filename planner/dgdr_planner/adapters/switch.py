"""The switch that stops all planners: a ConfigMap beside the planner's own pod."""

import time
from collections.abc import Callable

from dgdr_kube.kinds import CONFIG_MAP
from dgdr_kube.ports import Cluster
from dgdr_planner.adapters.shared_looks import SharedLooks
from dgdr_planner.observe.value import Trouble

NAME = "dgdr-planner-switch"
KEY = "stop"
# All planners share one look; whoever throws the switch waits for an interval anyway.
SHARED_FOR_S = 5.0
_ON = frozenset({"true", "yes", "1", "on"})


class ConfigMapSwitch:
    """Implements ``ports.Switch``; without a namespace there is no switch."""

    def __init__(
        self, cluster: Cluster, namespace: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._looks = SharedLooks(self._look, lambda _: SHARED_FOR_S, clock)

    async def thrown(self) -> Trouble | None:
        """Return why no planner may change anything; None when they may."""
        return await self._looks.answer(self._namespace) if self._namespace else None

    async def _look(self, namespace: str, _: Trouble | None) -> Trouble | None:
        found = await self._cluster.get(CONFIG_MAP, namespace, NAME)
        value = ((found or {}).get("data") or {}).get(KEY, "")
        if str(value).strip().lower() not in _ON:
            return None
        text = f"ConfigMap {namespace}/{NAME} stops all planners; delete it to go on"
        return Trouble("Stopped", text)
