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
from dgdr_profiler.core.journal import Entry, Reused, from_text, in_run, of_run, to_text
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
        self._run: str | None = None
        self._began: datetime | None = None

    async def open(self, now: datetime) -> None:
        """Make the ConfigMap of the result, and say that the run is on.

        The first pod of a run finds it empty, and says when the run began. A run that says nothing
        was begun by an earlier version, at the latest when the ConfigMap was made.

        Raises:
            ClusterError: the one of an earlier request of the same name does not go away.
        """
        found = await ensure(self._kube, self._request, self._output, {})
        running = {OutputKey.STATUS.value: "running", OutputKey.ERROR.value: None}
        if OutputKey.STATUS.value not in (found.get("data") or {}):
            running[OutputKey.STARTED_AT.value] = now.isoformat()
        found = await self._kube.merge(CONFIG_MAP, self._output, {"data": running})
        self._run = found["data"].get(OutputKey.STARTED_AT.value)
        self._began = datetime.fromisoformat(self._run or found["metadata"]["creationTimestamp"])

    def spent_s(self, now: datetime) -> float:
        """Return how long ago the first pod of this run began."""
        return 0.0 if self._began is None else max(0.0, (now - self._began).total_seconds())

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
        """Return what counts of the journal in this run; what cannot be read is skipped."""
        texts = (await self._journal.read()).values()
        read = (entry for text in texts if (entry := _read_entry(text)) is not None)
        return of_run(read, self._run)

    async def enter(self, entry: Entry) -> None:
        """Store an entry at once; one of the same key is replaced."""
        await self._journal.put({entry.key: to_text(in_run(entry, self._run))})

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
