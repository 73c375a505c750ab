"""Measurements with AIPerf."""

import logging
import time
from datetime import UTC, datetime
from pathlib import Path

from dgdr_api.graph import Graph
from dgdr_load.load import LoadSpec
from dgdr_load.runner import LoadFailed, run
from dgdr_profiler.adapters.deployments import frontend_url
from dgdr_profiler.core.cells import Call
from dgdr_profiler.core.errors import MeasurementFailed
from dgdr_profiler.core.measured import Measured

logger = logging.getLogger(__name__)

SEEDS = 2**31


class Aiperf:
    """The load tool, with a folder for its files."""

    def __init__(self, tokenizer: str, folder: Path) -> None:
        self._tokenizer = tokenizer
        self._folder = folder

    async def measure(self, graph: Graph, model: str, call: Call) -> Measured:
        """Make one call against a graph that serves."""
        started_at, started_s = datetime.now(UTC), time.monotonic()
        # Never the same prompts twice: an attempt that was cut off has filled the engine's cache.
        seed = time.time_ns() // 1_000_000 % SEEDS
        spec = LoadSpec(
            url=frontend_url(graph),
            model=model,
            tokenizer=self._tokenizer,
            isl=call.isl,
            osl=call.osl,
            phases=call.phases(),
            dataset_entries=call.dataset_entries,
            seed=seed,
        )
        folder = self._folder / graph.name / f"isl{call.isl}-{seed}"
        try:
            results = await run(spec, folder)
        except LoadFailed as exc:
            raise MeasurementFailed(str(exc)) from exc
        wall_s = time.monotonic() - started_s
        logger.info("%s, prompt length %d: %.1f s", graph.name, call.isl, wall_s)
        return Measured(results=results, started_at=started_at, wall_s=wall_s)
