"""What outlives the pod: points, progress and the result, in ConfigMaps of the request."""

import asyncio
import base64
import logging
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from dgdr_api import names
from dgdr_api.names import Label, OutputKey
from dgdr_api.points import Point
from dgdr_api.redaction import without_secrets
from dgdr_api.request import ProfilingRequest
from dgdr_profiler.adapters.kube import CONFIG_MAP, AlreadyExists, ClusterError, Kube, Manifest
from dgdr_profiler.core.progress import Progress
from dgdr_profiler.ports import Result

logger = logging.getLogger(__name__)

# 500 records of at most 1 KiB: half of what a ConfigMap may hold.
POINTS_PER_MAP = 500
COLLECTED_TIMEOUT_S = 60.0
POLL_S = 1.0


class KubeRecords:
    """Records of one run."""

    def __init__(self, kube: Kube, request: ProfilingRequest) -> None:
        self._kube = kube
        self._request = request
        self._output = names.output_config_map(request.dgdr_name)
        self._counts: dict[str, int] = {}
        self._began: str | None = None

    async def open(self) -> None:
        """Make the ConfigMap of the result, and say that the run is on.

        Raises:
            ClusterError: the one of an earlier request of the same name does not go away.
        """
        await self._ensure(self._output, {})
        running = {OutputKey.STATUS.value: "running", OutputKey.ERROR.value: None}
        found = await self._kube.merge(CONFIG_MAP, self._output, {"data": running})
        self._began = found["metadata"].get("creationTimestamp")

    def spent_s(self, now: datetime) -> float:
        """Return how long ago the first pod of this run began: it made the output's ConfigMap."""
        if self._began is None:
            return 0.0
        return max(0.0, (now - datetime.fromisoformat(self._began)).total_seconds())

    async def points(self) -> tuple[Point, ...]:
        """Return the points that are stored for this run."""
        found = await self._kube.list(CONFIG_MAP, {Label.RUN.value: self._request.uid})
        prefix = names.points_config_map(self._request.dgdr_name, 0).removesuffix("0")
        maps = [m for m in found if m["metadata"]["name"].startswith(prefix)]
        self._counts = {m["metadata"]["name"]: len(m.get("data") or {}) for m in maps}
        texts = [text for m in maps for text in (m.get("data") or {}).values()]
        return tuple(point for text in texts if (point := _read(text)) is not None)

    async def add(self, points: tuple[Point, ...]) -> None:
        """Store points in one write: a call's points are there together or not at all."""
        name = self._place(len(points))
        if name not in self._counts:
            await self._ensure(name, {Label.RUN.value: self._request.uid})
        data = {point.key: point.to_text() for point in points}
        await self._kube.merge(CONFIG_MAP, name, {"data": data})
        self._counts[name] = self._counts.get(name, 0) + len(points)

    async def show(self, progress: Progress) -> None:
        """Show where the run stands."""
        logger.info("%s: %s", progress.phase.value, progress.message)
        data = {OutputKey.PHASE.value: progress.phase.value}
        data[OutputKey.MESSAGE.value] = without_secrets(progress.message)
        await self._kube.merge(CONFIG_MAP, self._output, {"data": data})

    async def succeed(self, result: Result) -> None:
        """Store the result in one write: whoever sees success sees all of it."""
        texts = {
            **result.texts,
            OutputKey.STATUS.value: "success",
            OutputKey.PHASE.value: "Done",
            OutputKey.MESSAGE.value: result.message,
        }
        binaries = {k: base64.b64encode(v).decode() for k, v in result.binaries.items()}
        patch = {"data": texts, "binaryData": binaries}
        await self._kube.merge(CONFIG_MAP, self._output, patch)

    async def fail(self, message: str) -> None:
        """Say that the run failed, and why."""
        error = without_secrets(message)
        data = {OutputKey.STATUS.value: "failed", OutputKey.ERROR.value: error}
        await self._kube.merge(CONFIG_MAP, self._output, {"data": data})

    def _place(self, count: int) -> str:
        index = 0
        while True:
            name = names.points_config_map(self._request.dgdr_name, index)
            if self._counts.get(name, 0) + count <= POINTS_PER_MAP:
                return name
            index += 1

    async def _ensure(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a ConfigMap of this request; one of an earlier namesake is being collected."""
        deadline_s = time.monotonic() + COLLECTED_TIMEOUT_S
        while True:
            try:
                await self._kube.create(CONFIG_MAP, self._config_map(name, labels))
                return
            except AlreadyExists:
                found = await self._kube.get(CONFIG_MAP, name)
            if found is not None and self._is_ours(found):
                return
            if time.monotonic() > deadline_s:
                raise ClusterError(
                    f"ConfigMap {name} belongs to another request of the same name; delete it"
                )
            await asyncio.sleep(POLL_S)

    def _is_ours(self, found: Manifest) -> bool:
        owners: list[Any] = found["metadata"].get("ownerReferences") or []
        return any(owner.get("uid") == self._request.uid for owner in owners)

    def _config_map(self, name: str, labels: Mapping[str, str]) -> Manifest:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "labels": {
                    Label.MANAGED_BY.value: names.MANAGED_BY_VALUE,
                    Label.DGDR_NAME.value: self._request.dgdr_name,
                    Label.DGDR_NAMESPACE.value: self._request.namespace,
                    **labels,
                },
                "ownerReferences": [self._request.owner_reference.to_json()],
            },
        }


def _read(text: str) -> Point | None:
    """Read a stored point; one that cannot be read is measured again."""
    try:
        return Point.from_text(text)
    except ValidationError as exc:
        logger.warning("a stored point is unreadable and will be measured again: %s", exc)
        return None
