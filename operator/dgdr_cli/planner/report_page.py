"""One planner on one page of HTML that needs nothing else: no script, no font, no network. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from dgdr_api.models.sla_planner_status import MAX_DECISIONS, DecisionRecord
from dgdr_cli.changes import changes_of
from dgdr_cli.planner.course import Course, Move, moves
from dgdr_cli.planner.explained import Explanation

STYLE = """
:root { color-scheme: light; background: #fff; }
body { font: 15px/1.45 system-ui, sans-serif; color: #1f2328; max-width: 1080px; margin: 24px auto;
  padding: 0 16px; }
h1 { font-size: 22px; margin: 0; } h2 { font-size: 17px; margin: 28px 0 8px; }
.dim { color: #59636e; } .bad { color: #b42318; } .unsure { color: #8a5a00; }
.course { overflow-x: auto; } svg { width: 100%; min-width: 720px; height: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; margin-bottom: 14px; }
th, td { text-align: left; vertical-align: top; padding: 4px 14px 4px 0;
  border-bottom: 1px solid #e4e7eb; }
th { font-weight: 600; white-space: nowrap; } td.tight { white-space: nowrap; }
@media (max-width: 720px) {
  table { display: block; overflow-x: auto; } th, td { padding-right: 10px; }
  td.tight { white-space: normal; min-width: 4em; } td:last-child { min-width: 13em; }
}
"""
Row = tuple[str, ...]
SCRAPED_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the page is made of; ``svg`` is None where Prometheus knows nothing."""

    explanation: Explanation
    decisions: Sequence[DecisionRecord]
    seen: Course
    svg: str | None
    source: str
    made: datetime


def report_page(told: Told) -> str:
    """Return the page."""
    what = told.explanation
    body = [
        f"<h1>{escape(what.title)}</h1>",
        f'<p class="dim">{escape(what.mode)}. {escape(what.targets)}. {escape(_span(told))}</p>',
        *_now(what),
        "<h2>Course</h2>",
        f'<div class="course">{told.svg}</div>'
        if told.svg
        else f"<p>{escape(told.source)} has no series of this planner for this time.</p>",
        *_decisions(told),
        f'<p class="dim">Load, replicas and attainment: {escape(told.source)}, which the planner'
        " tells what it saw at each decision. A gap is a time of which nobody knows. Times are"
        " UTC; vertical lines are decisions.</p>",
    ]
    title = f"<title>{escape(what.title)}</title>"
    narrow = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f'<meta charset="utf-8">{narrow}{title}<style>{STYLE}</style>'
    page = f'<html lang="en"><head>{head}</head><body>\n{_lines(body)}</body></html>'
    return f"<!doctype html>\n{page}\n"


def _span(told: Told) -> str:
    first, last = (datetime.fromtimestamp(float(told.seen.at_s[at]), UTC) for at in (0, -1))
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC, made {told.made:%H:%M:%S}."


def _now(what: Explanation) -> Iterable[str]:
    ahead = what.outlook
    yield "<h2>Now</h2>"
    if ahead.silent:
        yield f'<p class="bad">Old: {escape(ahead.silent)}.</p>'
    if ahead.held:
        yield f'<p class="bad">Held: {escape(ahead.held)}.</p>'
    facts = [
        ("Observed", what.observed),
        ("Planned for", what.planned_for),
        ("Start-up", what.startup),
        ("Attained", what.attainment),
        *([("Shadow", what.shadow)] if what.shadow else []),
    ]
    yield _table((), facts)
    roles = [
        (one.role, one.replicas, one.needed, one.limits, one.expected, one.gpus)
        for one in what.roles
    ]
    yield _table(("Role", "Replicas", "Needed", "Limits", "Expected", "GPUs"), roles)
    whys = [(one.role, one.no_more, one.no_fewer) for one in ahead.roles]
    yield _table(("Role", "Why no more", "Why no fewer"), whys)
    yield _table(("Comes next (UTC)", ""), what.coming)
    yield _table(
        ("Condition", "Reason", ""),
        [(one.type, one.reason, one.message) for one in what.verdicts],
        ["bad" if one.trouble else "unsure" if one.unknown else "" for one in what.verdicts],
    )


def _decisions(told: Told) -> Iterable[str]:
    """Yield every change of the time that is known, with its reason as long as that is kept."""
    first_s = float(told.seen.at_s[0])
    rows: list[tuple[float, Row]] = [
        (
            one.time.timestamp(),
            (f"{one.time:%m-%d %H:%M:%S}", one.reason, changes_of(one), one.message),
        )
        for one in told.decisions
        if one.time.timestamp() >= first_s
    ]
    rows += [
        (move.at_s, _moved(move, told)) for move in moves(told.seen) if not _is_ours(move, told)
    ]
    yield "<h2>Decisions</h2>"
    if not rows:
        yield "<p>Nothing was changed in this time.</p>"
    newest = sorted(rows, key=lambda one: -one[0])
    yield _table(("UTC", "Reason", "Replicas", "Why"), [row for _, row in newest])


def _is_ours(move: Move, told: Told) -> bool:
    """Whether a decision of the status is what was seen: its number is scraped a while later."""
    late_s = float(told.seen.at_s[1] - told.seen.at_s[0]) + SCRAPED_WITHIN_S
    return any(
        0 <= move.at_s - one.time.timestamp() <= late_s
        and any(getattr(one, role, None) for role in move.changes)
        for one in told.decisions
    )


def _moved(move: Move, told: Told) -> Row:
    """Return a change of which only the numbers are known."""
    full = len(told.decisions) >= MAX_DECISIONS
    oldest = min((one.time.timestamp() for one in told.decisions), default=0.0)
    old = full and move.at_s < oldest
    why = "the status keeps no older reasons" if old else "none of the planner's decisions"
    changes = ", ".join(f"{role} {a} → {b}" for role, (a, b) in move.changes.items())
    return (f"{datetime.fromtimestamp(move.at_s, UTC):%m-%d %H:%M}", "", changes, why)


def _table(head: Row, rows: Sequence[Row], styles: Sequence[str] = ()) -> str:
    """Return a table; of no rows none."""
    if not rows:
        return ""
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    lines = [f"<tr>{titles}</tr>"] if head else []
    for number, row in enumerate(rows):
        style = f' class="{styles[number]}"' if styles and styles[number] else ""
        cells = "".join(
            f'<td class="tight">{escape(text)}</td>' if place < len(row) - 1 else _last(text)
            for place, text in enumerate(row)
        )
        lines.append(f"<tr{style}>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _last(text: str) -> str:
    return f"<td>{'<br>'.join(escape(part) for part in text.split('; '))}</td>"


def _lines(parts: Iterable[str]) -> str:
    return "".join(f"{part}\n" for part in parts if part)
