"""The table of ``hack.pairs``: by whose answer is better, and why."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

from hack.pairs import Difference, compared, count
from hack.pairs_reasons import Reason, Side, reason_of

UNEXPLAINED = "UNEXPLAINED"


def pairs_report(folder: Path) -> str:
    """Compare all pairs of a folder, and return the table and what nobody has explained."""
    found: dict[Reason | None, list[Difference]] = defaultdict(list)
    for one in compared(folder):
        found[reason_of(one)].append(one)
    unexplained = found.pop(None, [])
    lines = [f"{count(folder)} manifests; differences, manifests with one, reason", ""]
    for side in Side:
        rows = {reason: of for reason, of in found.items() if reason and reason.side is side}
        lines.append(f"{side}: {sum(map(len, rows.values()))} of {len(rows)} kinds")
        for reason, of in sorted(rows.items(), key=lambda row: -len(row[1])):
            lines.append(f"{len(of):6} {len({one.where for one in of}):4}  {reason.text}")
        lines.append("")
    by_check = Counter(one.check for of in (*found.values(), unexplained) for one in of)
    lines += [f"{number:6}  {check}" for check, number in by_check.most_common()]
    lines += [_line(one) for one in unexplained]
    return "\n".join(lines)


def _line(one: Difference) -> str:
    ours, theirs = (json.dumps(value)[:160] for value in (one.ours, one.theirs))
    return f"{UNEXPLAINED} {one.where} {one.check}: {one.path}: {ours}, theirs {theirs}"
