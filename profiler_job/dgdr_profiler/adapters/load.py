"""Measurements with AIPerf."""

import logging
import time
from datetime import UTC, datetime
from pathlib import Path

from dgdr_api.graph import Graph
from dgdr_load.aiperf import PROMPTS_FILE
from dgdr_load.load import LoadSpec
from dgdr_load.runner import LoadFailed, run
from dgdr_profiler.adapters.deployments import frontend_url
from dgdr_profiler.adapters.words import prompts, scale
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
        url, phases = frontend_url(graph), call.phases()
        refs = [ref for phase in phases for ref in phase.prompts]
        spec = LoadSpec(
            url=url,
            model=model,
            tokenizer=self._tokenizer,
            prompts=prompts(refs, await scale(url, model, seed), seed),
            phases=tuple(phase.load for phase in phases),
            seed=seed,
            request_timeout_s=call.request_timeout_s,
            # The engine is to be measured, not when the network acknowledges.
            reuse_connections=False,
        )
        folder = self._folder / f"{graph.name}-{seed}"
        try:
            results = await run(spec, folder)
        except LoadFailed as exc:
            raise MeasurementFailed(str(exc)) from exc
        finally:
            # Megabytes of prompts; what AIPerf wrote stays to be looked at.
            (folder / PROMPTS_FILE).unlink(missing_ok=True)
        wall_s = time.monotonic() - started_s
        logger.info("%s: %d cells in %.1f s", graph.name, len(call.cells), wall_s)
        return Measured(results=results, started_at=started_at, wall_s=wall_s)
