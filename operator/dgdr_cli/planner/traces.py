"""Traces as files: requests one by one, or rates of a Prometheus range."""

import gzip
from pathlib import Path

import numpy as np

from dgdr_cli.planner.case import CaseError
from dgdr_cli.planner.rehearsals import Terms
from dgdr_perf.simulator.arrivals import Requests
from dgdr_rehearsal.replay.ranges import Range, read_range, requests_of_rate
from dgdr_rehearsal.replay.traces import multiplied, read_trace


def read_requests(path: Path, terms: Terms) -> Requests:
    """Read a trace by its ending: .jsonl (Mooncake), .csv (Azure), .json (Prometheus); also .gz.

    Raises:
        CaseError: the file cannot be read, or a range comes without lengths.
        TraceError: it holds no trace.
    """
    rng = np.random.default_rng(terms.seed)
    text = _text(path)
    name = path.name.removesuffix(".gz")
    if name.endswith(".json"):
        if terms.isl is None or terms.osl is None:
            raise CaseError(f"{path} holds rates only: give --isl and --osl")
        lengths = (_length("--isl", terms.isl), _length("--osl", terms.osl))
        requests = requests_of_rate(read_range(text), *lengths, rng)
    else:
        requests = read_trace(name, text.splitlines())
    if not len(requests):
        raise CaseError(f"{path} holds no request")
    return requests if terms.times == 1.0 else multiplied(requests, terms.times, rng)


def _length(option: str, given: str) -> Range | float:
    """Read a mean length: a number, or a file with a Prometheus range of it."""
    try:
        return float(given)
    except ValueError:
        path = Path(given)
    if not path.is_file():
        raise CaseError(f"{option} is {given}: give tokens, or a file with a Prometheus range")
    return read_range(_text(path))


def _text(path: Path) -> str:
    try:
        if path.suffix == ".gz":
            return gzip.decompress(path.read_bytes()).decode()
        return path.read_text()
    except (OSError, EOFError, UnicodeDecodeError) as exc:
        raise CaseError(f"{path} cannot be read: {getattr(exc, 'strerror', None) or exc}") from exc
