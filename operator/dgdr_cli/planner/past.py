"""The load of past hours, from what Prometheus remembers of a target's frontends. Pure.

Rates come minute by minute, lengths of prompts and answers as their histograms tell them every
quarter of an hour; single requests are drawn from both.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.names import dynamo_namespace
from dgdr_cli.planner.case import CaseError
from dgdr_perf.simulator.arrivals import Requests
from dgdr_planner.observe.histogram import Histogram
from dgdr_planner.observe.history import past_windows
from dgdr_planner.observe.queries import past_lengths, past_load
from dgdr_planner.observe.snapshot import spellings
from dgdr_rehearsal.replay.ranges import Range, Spread, requests_of_rate

# Prometheus answers with at most 11,000 moments.
MOST_MOMENTS = 10_000
LEAST_STEP_S = 60.0
LENGTHS_S = 900.0
# As few scrapes in a window as a rate can be told from: nobody told us how often it scrapes.
SCRAPE_S = 30.0

Result = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What is asked for: moments ``step_s`` apart, the last one at ``end_s``."""

    end_s: float
    span_s: float
    step_s: float

    @classmethod
    def of(cls, end_s: float, span_s: float, interval_s: float) -> "Span":
        """Return moments as dense as a planner decides, as far as Prometheus answers them."""
        return cls(
            end_s=end_s,
            span_s=span_s,
            step_s=max(interval_s, LEAST_STEP_S, span_s / MOST_MOMENTS),
        )

    @property
    def lengths_s(self) -> float:
        """Seconds from one histogram of lengths to the next."""
        return max(LENGTHS_S, self.step_s)

    def begin_s(self, step_s: float) -> float:
        """Return the first moment: the end of the first step."""
        return self.end_s - (max(int(self.span_s / step_s + 1e-9), 1) - 1) * step_s


def load_query(planner: SLAPlanner, span: Span) -> str:
    """Ask for the rates of a planner's target, for a range query."""
    return past_load(*_graph(planner), span.step_s, SCRAPE_S)


def lengths_query(planner: SLAPlanner, span: Span) -> str:
    """Ask for the lengths of its requests, for a range query."""
    return past_lengths(*_graph(planner), span.lengths_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Requests as they may have been. ``unknown`` is the share of the time without a rate."""

    requests: Requests
    duration_s: float
    unknown: float


def past(rates: Result, lengths: Result, span: Span, seed: int) -> Past:
    """Draw requests from the answers to both questions. What is unknown counts as no load.

    Raises:
        CaseError: there is no load, or no length.
    """
    rate = _rates(rates, span)
    requests = requests_of_rate(
        rate, _spread("isl", lengths), _spread("osl", lengths), np.random.default_rng(seed)
    )
    return Past(
        requests=requests,
        duration_s=span.step_s * rate.values.size,
        unknown=float(np.isnan(rate.values).mean()),
    )


def _rates(result: Result, span: Span) -> Range:
    begin_s = span.begin_s(span.step_s)
    at_s = np.arange(begin_s, span.end_s + span.step_s / 2, span.step_s)
    values = np.full(at_s.shape, np.nan)
    for one in past_windows(result, span.step_s):
        values[round((one.at_s - begin_s) / span.step_s)] = one.rate_per_s
    if not np.nansum(values) > 0:
        raise CaseError(
            "Prometheus remembers no request of this planner's target in that time: give a longer"
            " --from, or --trace, a file"
        )
    return Range(at_s=at_s, values=values)


def _spread(of: str, result: Result) -> Spread:
    """Return how one length was spread, in all windows in which requests finished."""
    buckets: dict[float, list[tuple[float, float]]] = defaultdict(list)
    means: dict[float, float] = {}
    for series in result:
        if series["metric"].get("of") != of:
            continue
        bound = series["metric"].get("le")
        for at_s, text in series["values"]:
            value = float(text)
            if not math.isfinite(value) or value < 0:
                continue
            if bound is None:
                means[float(at_s)] = value
            else:
                buckets[float(at_s)].append((float(bound), value))
    found = {at_s: Histogram.of(counts) for at_s, counts in sorted(buckets.items())}
    told = {at_s: histogram for at_s, histogram in found.items() if histogram is not None}
    if not told:
        raise CaseError(
            f"Prometheus remembers no {of.upper()} of this planner's target in that time: give a"
            " longer --from, or --trace, a file"
        )
    return Spread(
        at_s=np.array(list(told)),
        told=tuple(told.values()),
        means=np.array([means.get(at_s, math.nan) for at_s in told]),
    )


def _graph(planner: SLAPlanner) -> tuple[str, tuple[str, ...]]:
    namespace = planner.metadata.namespace or "default"
    return namespace, spellings(dynamo_namespace(namespace, planner.spec.target_ref.name))
