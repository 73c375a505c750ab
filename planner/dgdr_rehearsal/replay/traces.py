"""Requests of public traces and of Prometheus ranges; text in, requests out.

A line that cannot be used stops the reading: a trace without its longest prompts would be another
trace. The error names the line, the value and the cure.
"""

import csv
import json
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np

from dgdr_perf.simulator.arrivals import Requests

AZURE_COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
MOONCAKE_KEYS = ("timestamp", "input_length", "output_length")


class TraceError(ValueError):
    """A trace that cannot be read; the message names line, value and cure."""


def read_mooncake(lines: Iterable[str]) -> Requests:
    """Read JSON lines with ``timestamp`` (ms), ``input_length`` and ``output_length``.

    Times count from the first request. A prompt or an answer of 0 tokens counts as one of 1.

    Raises:
        TraceError: a line is no such object, or the trace holds no request.
    """
    return _requests(_mooncake(lines), "a Mooncake trace", 1000.0)


def read_azure(lines: Iterable[str]) -> Requests:
    """Read CSV with the columns TIMESTAMP, ContextTokens and GeneratedTokens.

    Raises:
        TraceError: a column is missing, a line cannot be read, or the trace holds no request.
    """
    return _requests(_azure(lines), "an Azure trace", 1.0)


def read_trace(name: str, lines: Iterable[str]) -> Requests:
    """Read a trace by the ending of its name, ``.jsonl`` or ``.csv``.

    Raises:
        TraceError: another ending, or a line that cannot be read.
    """
    if name.endswith(".jsonl"):
        return read_mooncake(lines)
    if name.endswith(".csv"):
        return read_azure(lines)
    raise TraceError(f"{name}: ends neither in .jsonl (Mooncake) nor in .csv (Azure); rename it")


Row = tuple[float, float, float]


def _mooncake(lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as exc:
            raise TraceError(f"line {number}: {line[:60]!r} is no JSON: {exc}; repair it") from exc
        if not isinstance(entry, dict):
            raise TraceError(
                f"line {number}: {line[:60]!r} is no object; write one object per line"
            )
        at, isl, osl = (_number(number, key, entry.get(key)) for key in MOONCAKE_KEYS)
        yield at, max(isl, 1.0), max(osl, 1.0)


def _azure(lines: Iterable[str]) -> Iterator[Row]:
    reader = csv.DictReader(lines)
    missing = [name for name in AZURE_COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise TraceError(
            f"line 1: no column {', '.join(missing)} in {reader.fieldnames};"
            f" the first line must name {', '.join(AZURE_COLUMNS)}"
        )
    for row in reader:
        number = reader.line_num
        isl = _number(number, AZURE_COLUMNS[1], row[AZURE_COLUMNS[1]])
        osl = _number(number, AZURE_COLUMNS[2], row[AZURE_COLUMNS[2]])
        yield _seconds(number, row[AZURE_COLUMNS[0]]), max(isl, 1.0), max(osl, 1.0)


def _seconds(number: int, text: Any) -> float:
    """Read a time of day with up to seven digits of a second, as Azure writes it."""
    whole, _, fraction = str(text).partition(".")
    try:
        moment = datetime.fromisoformat(whole)
        part = float(f"0.{fraction}") if fraction else 0.0
    except ValueError as exc:
        raise TraceError(
            f"line {number}: TIMESTAMP is {text!r}; write it as 2023-11-16 18:17:03.9799600"
        ) from exc
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() + part


def _number(number: int, name: str, value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found) or found < 0:
        raise TraceError(
            f"line {number}: {name} is {value!r}; it must be a number of at least 0:"
            " correct it or delete the line"
        )
    return found


def _requests(rows: Iterator[Row], what: str, per_s: float) -> Requests:
    found = list(rows)
    if not found:
        raise TraceError(f"{what} with no request in it; give a file that has some")
    first = min(at for at, _, _ in found)
    return Requests.of(
        [(at - first) / per_s for at, _, _ in found],
        [isl for _, isl, _ in found],
        [osl for _, _, osl in found],
    )


# As long as the usual planning interval: load per interval is the trace's, multiplied.
JITTER_S = 60.0


def multiplied(
    requests: Requests, factor: float, rng: np.random.Generator, jitter_s: float = JITTER_S
) -> Requests:
    """Repeat each request ``factor`` times; a fraction is the chance of one more.

    The first of the repetitions keeps its time. The others are spread evenly over the same
    ``jitter_s`` seconds, counted from the trace's begin: as many users do the same, but not at the
    same moment. The load of each of these windows is multiplied exactly; bursts within one are
    evened out, unlike by playing the trace faster, which would also shorten its rises.

    Raises:
        TraceError: the factor is not a number above 0.
    """
    if not math.isfinite(factor) or factor <= 0:
        raise TraceError(f"factor is {factor}; it must be a number above 0, as 20")
    times = requests.arrival_s
    extra = rng.random(len(requests)) < factor - math.floor(factor)
    copies = math.floor(factor) + extra.astype(int)
    origin = np.repeat(np.arange(len(requests)), copies)
    first = np.r_[True, origin[1:] != origin[:-1]][: len(origin)]
    last_s = float(times[-1])
    begin_s = times[origin] // jitter_s * jitter_s
    width_s = np.minimum(begin_s + jitter_s, last_s) - begin_s
    spread_s = begin_s + rng.random(len(origin)) * width_s
    return Requests.of(
        np.where(first, times[origin], spread_s), requests.isl[origin], requests.osl[origin]
    )
