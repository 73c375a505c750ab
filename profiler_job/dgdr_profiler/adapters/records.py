"""What outlives the pod: points, journal, progress and result, in ConfigMaps of the request."""

import base64
import logging
from datetime import datetime

from pydantic import ValidationError

from dgdr_api import names
from dgdr_api.names import OutputKey, RecordKind
from dgdr_api.points import Point
from dgdr_api.redaction import without_secrets
from dgdr_api.request import ProfilingRequest
from dgdr_profiler.adapters.kube import CONFIG_MAP, Kube
from dgdr_profiler.adapters.shelf import Shelf, ensure, numbered
from dgdr_profiler.core.journal import Entry, Reused, from_text, to_text
from dgdr_profiler.core.progress import Progress
from dgdr_profiler.ports import Result

logger = logging.getLogger(__name__)


class KubeRecords:
    """Records of one run."""

    def __init__(self, kube: Kube, request: ProfilingRequest) -> None:
        self._kube = kube
        self._request = request
        self._output = names.output_config_map(request.dgdr_name)
        self._points = Shelf(kube, request, RecordKind.POINTS, names.points_config_map)
        self._journal = Shelf(kube, request, RecordKind.JOURNAL, names.journal_config_map)
        self._began: str | None = None

    async def open(self) -> None:
        """Make the ConfigMap of the result, and say that the run is on.

        Raises:
            ClusterError: the one of an earlier request of the same name does not go away.
        """
        await ensure(self._kube, self._request, self._output, {})
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
        texts = (await self._points.read()).values()
        return tuple(point for text in texts if (point := _read(text)) is not None)

    async def add(self, points: tuple[Point, ...]) -> None:
        """Store points in one write: a call's points are there together or not at all."""
        await self._points.put({point.key: point.to_text() for point in points})

    async def measured_elsewhere(self, engine: str) -> tuple[Reused, ...]:
        """Return the points that other requests for this model measured on that engine."""
        others = {
            dgdr: await numbered(self._kube, names.points_config_map, dgdr)
            for dgdr in self._request.reusable
        }
        return tuple(
            Reused(point=point, owner=dgdr)
            for dgdr, found in others.items()
            for m in found
            for text in (m.get("data") or {}).values()
            # A namespace may have thousands of other engines' points.
            if f'"{engine}"' in text and (point := _read(text)) and point.engine == engine
        )

    async def entries(self) -> tuple[Entry, ...]:
        """Return the journal of this run; what cannot be read is skipped."""
        texts = (await self._journal.read()).values()
        return tuple(entry for text in texts if (entry := _read_entry(text)) is not None)

    async def enter(self, entry: Entry) -> None:
        """Store an entry at once; one of the same key is replaced."""
        await self._journal.put({entry.key: to_text(entry)})

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


def _read(text: str) -> Point | None:
    """Read a stored point; one that cannot be read is measured again."""
    try:
        return Point.from_text(text)
    except ValidationError as exc:
        logger.warning("a stored point is unreadable and will be measured again: %s", exc)
        return None


def _read_entry(text: str) -> Entry | None:
    try:
        return from_text(text)
    except ValidationError as exc:
        logger.warning("a record of the journal is unreadable and left out: %s", exc)
        return None
