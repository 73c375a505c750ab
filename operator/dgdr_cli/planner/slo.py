"""How well a planner's targets were kept over hours and weeks, and what is left to be late. Pure.

Counts come from the planner's own counters, by the chart's recording rules where they are loaded,
and failed requests from the frontends. A failed request was served in time for nobody, so it takes
from the budget of either target. What a client asked wrongly, or gave up, is no failure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_cli.planner.series import frontends, own
from dgdr_planner.observe.observation import SHARES
from dgdr_planner.observe.queries import Template, selector
from dgdr_planner.tell.metrics import MEAN_OBJECTIVE

WINDOWS_S = {"1 h": 3600, "1 d": 86_400, "7 d": 604_800, "30 d": 2_592_000}
# Of the recorded rules: each of their samples counts the five minutes before it.
STEP_S = 300
TARGETS = ("ttft", "itl")
# As the chart's rules have it: tests hold both together.
FAILED = 'status="error",error_type!~"validation|not_found|not_implemented|cancelled"'

RECORDED = Template(
    "recorded",
    "label_replace(sum by (target) (sum_over_time(dgdr_planner:sla_requests:increase5m{{{own}}}"
    '[{window}:5m])), "of", "requests", "", "")'
    " or label_replace(sum by (target) (sum_over_time("
    'dgdr_planner:sla_requests_within:increase5m{{{own}}}[{window}:5m])), "of", "within", "", "")'
    " or label_replace(sum(sum_over_time(dgdr_planner:failed_requests:increase5m{{{graph}}}"
    '[{window}:5m])), "of", "failed", "", "")'
    " or label_replace({step} * max(count_over_time("
    'dgdr_planner:sla_requests:increase5m{{{own}}}[{window}:5m])), "of", "seconds", "", "")',
)
"""Requests, those within, failed ones, and the seconds that are known, of one window."""
RAW = Template(
    "raw",
    "label_replace(sum by (target) (increase(dgdr_planner_sla_requests_total{{{own}}}[{window}])),"
    ' "of", "requests", "", "")'
    " or label_replace(sum by (target) (increase(dgdr_planner_sla_requests_within_total{{{own}}}"
    '[{window}])), "of", "within", "", "")'
    " or label_replace(sum(increase(dynamo_frontend_requests_total{{{graph},{failed}}}[{window}]))"
    " or 0 * sum(count_over_time(dynamo_frontend_requests_total{{{graph}}}[{window}])),"
    ' "of", "failed", "", "")'
    " or label_replace({step} * max(count_over_time("
    'dgdr_planner_sla_objective_ratio{{{own}}}[{window}:5m])), "of", "seconds", "", "")',
)
"""The same from the counters themselves, as long as Prometheus keeps them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetKept:
    """One target in one window. ``left`` is the share of the error budget that is not spent."""

    within: float
    left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One window; None is what nobody knows. ``trouble`` is why nothing is known at all."""

    window: str
    window_s: int
    known_s: float | None = None
    requests: float | None = None
    failed: float | None = None
    ttft: TargetKept | None = None
    itl: TargetKept | None = None
    trouble: str | None = None


def objective(planner: SLAPlanner) -> float:
    """Return the share of the requests that shall be in time; a mean's windows have one too."""
    return SHARES.get(planner.spec.percentile.value, MEAN_OBJECTIVE)


def query(planner: SLAPlanner, window_s: int, *, recorded: bool) -> str:
    """Return the question about one window."""
    given: dict[str, str | float] = {
        "own": own(planner),
        "graph": frontends(planner),
        "window": selector(f"{window_s}s"),
        "step": float(STEP_S),
    }
    return RECORDED.render(**given) if recorded else RAW.render(**given, failed=selector(FAILED))


def kept(window: str, planner: SLAPlanner, result: Sequence[Mapping[str, Any]]) -> Kept:
    """Read an answer to ``query``."""
    found = {
        (one["metric"].get("of"), one["metric"].get("target")): float(one["value"][1])
        for one in result
    }
    failed = found.get(("failed", None))
    counts = [found[key] for key in (("requests", target) for target in TARGETS) if key in found]
    told = {target: _target(planner, found, target, failed or 0.0) for target in TARGETS}
    return Kept(
        window=window,
        window_s=WINDOWS_S[window],
        known_s=found.get(("seconds", None)),
        requests=max(counts) if counts else None,
        failed=failed,
        ttft=told["ttft"],
        itl=told["itl"],
    )


def _target(
    planner: SLAPlanner,
    found: Mapping[tuple[str | None, str | None], float],
    target: str,
    failed: float,
) -> TargetKept | None:
    requests, within = (found.get((of, target)) for of in ("requests", "within"))
    if requests is None or within is None or requests < 1.0:
        return None
    bad = min(requests - within + failed, requests)
    allowed = (1.0 - objective(planner)) * requests
    return TargetKept(within=1.0 - bad / requests, left=1.0 - bad / allowed)
