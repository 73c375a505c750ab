"""``slo``: how well targets were kept over an hour, a day, a week and a month."""

from typing import TYPE_CHECKING

import typer

from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_cli.connection import Context, Namespace, source_of
from dgdr_cli.planner import options as given_as
from dgdr_cli.prometheus import Prometheus, PrometheusError
from dgdr_cli.render import screen

if TYPE_CHECKING:
    from dgdr_cli.planner.slo import Kept

# Where the recording rules have run once, there are their series.
IS_RECORDED = "count(dgdr_planner:sla_requests:increase5m)"


def slo(
    ctx: typer.Context,
    name: given_as.PlannerName,
    namespace: Namespace = None,
    context: Context = None,
    prometheus: given_as.PrometheusUrl = None,
    output: given_as.OutputFormat = given_as.Output.TABLE,
) -> None:
    """Say which share of the requests was in time over 1 h, 1 d, 7 d and 30 d.

    And what is left of the error budget, failed requests counted. Asks Prometheus.
    """
    from dgdr_cli.planner import as_json, questions, slo_screen
    from dgdr_cli.planner.slo import WINDOWS_S

    source = source_of(ctx, context)
    planner = questions.found_planner(source, name, namespace).planner
    server = source.prometheus(prometheus or planner.spec.prometheus_url)
    recorded = bool(server.query(IS_RECORDED))
    windows = tuple(_kept(server, planner, window, recorded) for window in WINDOWS_S)
    if output is given_as.Output.JSON:
        print(as_json.text(slo_screen.slo_object(planner, windows, recorded=recorded)))
    else:
        screen().print(slo_screen.slo_screen(planner, windows, recorded=recorded))


def _kept(server: Prometheus, planner: SLAPlanner, window: str, recorded: bool) -> "Kept":
    from dgdr_cli.planner.slo import WINDOWS_S, Kept, kept, query

    try:
        found = server.query(query(planner, WINDOWS_S[window], recorded=recorded))
    except PrometheusError as exc:  # such as too many samples: shorter windows may be had
        return Kept(window=window, window_s=WINDOWS_S[window], trouble=str(exc))
    return kept(window, planner, found)
