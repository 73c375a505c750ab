"""``report``: one planner on one page of HTML."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dgdr_cli.connection import Context, Namespace, source_of
from dgdr_cli.planner import options as given_as
from dgdr_cli.render import write_file

if TYPE_CHECKING:
    from dgdr_cli.found import FoundPlanner
    from dgdr_cli.planner.report_page import Told
    from dgdr_cli.prometheus import Prometheus

File = Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")]
Last = Annotated[str, typer.Option(help="How far back, such as 90m or 168h.")]


def report(
    ctx: typer.Context,
    name: given_as.PlannerName,
    output: File,
    namespace: Namespace = None,
    context: Context = None,
    last: Last = "24h",
    prometheus: given_as.PrometheusUrl = None,
) -> None:
    """Write a planner's last hours into one HTML file, to keep or to send.

    Load, forecast, need, replicas, attainment, and each decision with its reason.
    """
    from dgdr_cli.planner import questions
    from dgdr_cli.planner.report_page import report_page

    span_s = given_as.span_s("--last", last)
    source, now = source_of(ctx, context), datetime.now(UTC)
    found = questions.found_planner(source, name, namespace)
    server = source.prometheus(prometheus or found.planner.spec.prometheus_url)
    write_file(output, report_page(_told(found, server, span_s, now)).encode())
    print(output)


def _told(found: "FoundPlanner", server: "Prometheus", span_s: float, now: datetime) -> "Told":
    """Ask for the course of a planner's last hours, and tell of it."""
    from dgdr_cli.planner import course, course_plot
    from dgdr_cli.planner.explained import explained
    from dgdr_cli.planner.report_page import Told
    from dgdr_cli.planner.slo import objective

    planner, end_s = found.planner, now.timestamp()
    step_s = course.step_s(span_s, planner.spec.interval_s)
    result = server.query_range(course.query(planner, step_s), end_s - span_s, end_s, step_s)
    seen = course.course(result, end_s - span_s, end_s, step_s)
    decided = [one.time for one in planner.status.decisions]
    return Told(
        explanation=explained(planner, now, found.budget, found.target),
        decisions=planner.status.decisions,
        seen=seen,
        svg=course_plot.course_svg(seen, objective(planner), decided, planner.spec.is_shadow)
        if seen.is_known
        else None,
        source=f"Prometheus at {server.shown}",
        made=now,
    )
