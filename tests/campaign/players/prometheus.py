"""A Prometheus that scrapes the frontends of several deployments, at rates that are set."""

from dataclasses import dataclass, field

from dgdr_api.names import dynamo_namespace
from dgdr_planner.observe.endpoint import Endpoint
from dgdr_planner.observe.history import Sample
from dgdr_planner.observe.snapshot import GraphKey, NoSnapshot, Snapshot, read
from support.dgdr_world import NS
from support.planning import frontend

NOW_S = 1000.0
SCRAPE_S = 5.0


@dataclass
class Prometheus:
    """Implements ``dgdr_planner.ports.Metrics``; ``rates`` are requests per second by deployment.

    ``away`` is a Prometheus that does not answer.
    """

    rates: dict[str, float] = field(default_factory=dict)
    away: bool = False

    async def snapshot(
        self, endpoint: Endpoint, window_s: float, *, counts_only: bool = False
    ) -> Snapshot | NoSnapshot:
        if self.away:
            return NoSnapshot("PrometheusUnreachable", "Prometheus cannot be reached")
        steps = range(int(window_s / SCRAPE_S))
        scrapes = tuple(NOW_S - window_s + 3 + SCRAPE_S * step for step in steps)
        found = [
            series
            for name, rate in self.rates.items()
            for series in frontend(
                scrapes,
                rate_per_s=rate,
                namespace=NS,
                dynamo_namespace=dynamo_namespace(NS, name),
                pod=f"{name}-frontend",
            )
        ]
        return read(found, at_s=NOW_S, window_s=window_s)

    async def history(
        self, endpoint: Endpoint, graph: GraphKey, interval_s: float, windows: int, scrape_s: float
    ) -> tuple[Sample, ...] | NoSnapshot:
        return ()
