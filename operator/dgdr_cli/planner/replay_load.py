"""The load of a rehearsal: of a file, or of what Prometheus remembers."""

from datetime import datetime
from pathlib import Path

import numpy as np

from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_cli.planner import past
from dgdr_cli.planner.rehearsals import Load, Terms
from dgdr_cli.planner.traces import read_requests
from dgdr_cli.prometheus import Prometheus
from dgdr_rehearsal.replay.traces import multiplied


def of_file(path: Path, terms: Terms) -> Load:
    """Read a trace; raises what ``read_requests`` does."""
    return Load(requests=read_requests(path, terms), source=str(path))


def of_prometheus(
    server: Prometheus, planner: SLAPlanner, span_s: float, now: datetime, terms: Terms
) -> Load:
    """Read what the frontends of a planner's target were asked.

    Raises:
        PrometheusError: there is no answer.
        CaseError: Prometheus remembers no load.
    """
    span = past.Span.of(now.timestamp(), span_s, planner.spec.interval_s)
    rates, lengths = (
        server.query_range(query(planner, span), span.begin_s(step_s), span.end_s, step_s)
        for query, step_s in (
            (past.load_query, span.step_s),
            (past.lengths_query, span.lengths_s),
        )
    )
    seen = past.past(rates, lengths, span, terms.seed)
    requests = seen.requests
    if terms.times != 1.0:
        requests = multiplied(requests, terms.times, np.random.default_rng(terms.seed))
    return Load(
        requests=requests,
        source=f"until {now:%Y-%m-%d %H:%M} UTC, of Prometheus at {server.shown}",
        duration_s=seen.duration_s,
        unknown=seen.unknown,
    )
