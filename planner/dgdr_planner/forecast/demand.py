"""What was asked of a deployment so far: a bounded, frozen history of windows.

The newest ``RECENT`` windows are kept as they came; older ones are merged into bins of a quarter
of an hour and dropped after a week. 512 windows and 672 bins of five numbers are 47 KB, so that
1,000 planners hold 47 MB.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dgdr_planner.observe.history import Sample

Floats = NDArray[np.float64]

RECENT = 512
BIN_S = 900.0
KEPT_S = 7 * 86_400.0
#: Columns of a row: end of the window, its length, rate, input and output length; NaN: unknown.
AT, WINDOW, RATE, ISL, OSL = range(5)


def _no_rows() -> Floats:
    return _frozen(np.empty((0, 5)))


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """Windows in the order of time.

    ``recent`` has shape (up to RECENT, 5), ``older`` shape (bins, 5); the columns are AT ... OSL.
    """

    recent: Floats = field(default_factory=_no_rows)
    older: Floats = field(default_factory=_no_rows)

    def __len__(self) -> int:
        return len(self.recent)

    @property
    def known(self) -> int:
        """Windows whose load is known: nobody has seen what is a gap."""
        return int(np.isfinite(self.recent[:, RATE]).sum())

    @property
    def idle_s(self) -> float:
        """Seconds for which, up to now, nothing is known to have been asked; a gap begins anew."""
        asked = np.flatnonzero(self.recent[:, RATE] != 0.0)
        first = int(asked[-1]) + 1 if asked.size else 0
        if first >= len(self.recent):
            return 0.0
        return float(self.recent[-1, AT] - self.recent[first, AT] + self.recent[first, WINDOW])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Demand) and all(
            np.array_equal(mine, theirs, equal_nan=True)
            for mine, theirs in ((self.recent, other.recent), (self.older, other.older))
        )

    def __hash__(self) -> int:
        return hash((self.recent.tobytes(), self.older.tobytes()))

    def repeats(self, at_s: float, apart_s: float) -> bool:
        """Whether a look at this time sees the newest window once more: none is so near to it."""
        return len(self) > 0 and 0.0 <= at_s - float(self.recent[-1, AT]) < apart_s

    def with_sample(self, sample: Sample, apart_s: float = 0.0) -> "Demand":
        """Return the history with one window more, or with the newest one as it is seen now.

        The newest word wins: windows that end at the same time or later are dropped, so that a
        repeated pass counts once and a clock that was set back does not stop the history. One that
        is told again keeps its time, or passes that follow each other would add none.
        """
        if self.repeats(sample.at_s, apart_s):
            if sample.rate_per_s is None:
                return self
            sample = replace(sample, at_s=float(self.recent[-1, AT]))
        recent, older = (
            rows[: rows[:, AT].searchsorted(sample.at_s)] for rows in (self.recent, self.older)
        )
        return _bounded(np.concatenate([recent, sample.row[None]]), older)

    @classmethod
    def restored(cls, samples: Iterable[Sample]) -> "Demand":
        """Return the history of samples in any order; of two at one time the later one counts."""
        rows = [sample.row for sample in samples]
        return cls._of_rows(np.array(rows)) if rows else cls()

    @classmethod
    def from_series(
        cls,
        at_s: Iterable[float],
        rate_per_s: Iterable[float],
        window_s: float,
        isl: Iterable[float] | None = None,
        osl: Iterable[float] | None = None,
    ) -> "Demand":
        """Return the history that a range query tells: equally long arrays, NaN where unknown.

        Rates and lengths that no meter can mean (infinite, negative) are unknown as well: one
        broken sample of a week must not lose the week.
        """
        if not (math.isfinite(window_s) and window_s > 0):
            raise ValueError(f"window_s is {window_s}: give the seconds of the window, > 0")
        at = np.asarray(list(at_s), dtype=np.float64)
        columns = [_column("rate_per_s", rate_per_s, at.size)]
        for name, lengths in (("isl", isl), ("osl", osl)):
            columns.append(
                np.full(at.size, np.nan) if lengths is None else _column(name, lengths, at.size)
            )
        rows = np.column_stack([at, np.full(at.size, window_s), *columns])
        return cls._of_rows(rows[np.isfinite(at)])

    @classmethod
    def _of_rows(cls, rows: Floats) -> "Demand":
        rows = rows[np.argsort(rows[:, AT], kind="stable")]
        last_of_its_time = np.append(np.diff(rows[:, AT]) > 0, True)[: len(rows)]
        return _bounded(rows[last_of_its_time], _no_rows())

    @property
    def newest(self) -> Floats | None:
        """The newest row, None where nothing was ever asked."""
        return self.recent[-1] if len(self.recent) else None


def _column(name: str, values: Iterable[float], size: int) -> Floats:
    column = np.asarray(list(values), dtype=np.float64)
    if column.size != size:
        raise ValueError(f"{name} has {column.size} values for {size} times: give one for each")
    return np.where(np.isfinite(column) & (column >= 0), column, np.nan)


def _bounded(rows: Floats, older: Floats) -> Demand:
    surplus, recent = rows[:-RECENT], rows[-RECENT:]
    if len(surplus):
        first = int(_bin(older[:, AT]).searchsorted(_bin(surplus[0, AT])))
        older = np.concatenate([older[:first], _merged(np.concatenate([older[first:], surplus]))])
        older = older[older[:, AT].searchsorted(recent[-1, AT] - KEPT_S, side="right") :]
    return Demand(_frozen(recent), _frozen(older))


def _bin(at_s: Floats | float) -> Floats:
    return np.asarray(np.ceil(np.asarray(at_s) / BIN_S))


def _merged(rows: Floats) -> Floats:
    """Merge rows by bin: rates weighted by known time, lengths by requests. Gaps vanish."""
    known = rows[np.isfinite(rows[:, RATE])]
    if not len(known):
        return _no_rows()
    # Rows are in the order of time, and so are their bins.
    bins = _bin(known[:, AT])
    where = np.concatenate([[0], np.cumsum(bins[1:] > bins[:-1])])
    count = int(where[-1]) + 1
    window_s = np.bincount(where, known[:, WINDOW], count)
    at_s = np.full(count, -np.inf)
    np.maximum.at(at_s, where, known[:, AT])
    requests = known[:, WINDOW] * known[:, RATE]
    lengths = [_mean(known[:, column], requests, where, count) for column in (ISL, OSL)]
    rate_per_s = np.bincount(where, requests, count) / window_s
    return np.column_stack([at_s, window_s, rate_per_s, *lengths])


def _mean(values: Floats, weights: Floats, where: NDArray[np.intp], count: int) -> Floats:
    told = np.isfinite(values)
    total = np.bincount(where, np.where(told, weights * np.where(told, values, 0.0), 0.0), count)
    weight = np.bincount(where, np.where(told, weights, 0.0), count)
    return np.asarray(np.divide(total, weight, out=np.full(count, np.nan), where=weight > 0))


def _frozen(rows: Floats) -> Floats:
    kept = np.array(rows, dtype=np.float64)
    kept.setflags(write=False)
    return kept


Counts = NDArray[np.intp]


def warmed_up(
    arrival_s: Iterable[float],
    isl: Iterable[float],
    osl: Iterable[float],
    *,
    window_s: float,
    until_s: float,
) -> Demand:
    """Return the demand of a trace whose last whole window ends at ``until_s``.

    Arrivals are in seconds of any epoch, in any order; one length of each kind for each. Windows
    begin with the first arrival; one without an arrival was idle; the last, incomplete one is left
    out. The trace is moved in time so that it ends now.
    """
    at, ins, outs = (np.asarray(list(values), dtype=np.float64) for values in (arrival_s, isl, osl))
    _check_trace(at, ins, outs, window_s, until_s)
    at = at - at.min(initial=math.inf)
    whole = math.floor(at.max(initial=0.0) / window_s)
    place = np.floor(at / window_s).astype(np.int64)
    inside = place < whole
    count = np.bincount(place[inside], minlength=whole)
    ends = until_s - window_s * np.arange(whole - 1.0, -1.0, -1.0)
    means = [_window_means(values[inside], place[inside], count) for values in (ins, outs)]
    return Demand.from_series(ends, count / window_s, window_s, *means)


def _window_means(values: Floats, place: Counts, count: Counts) -> Floats:
    total = np.bincount(place, values, count.size)
    return np.asarray(np.divide(total, count, out=np.full(count.size, np.nan), where=count > 0))


def _check_trace(at: Floats, ins: Floats, outs: Floats, window_s: float, until_s: float) -> None:
    if not (math.isfinite(window_s) and window_s > 0):
        raise ValueError(f"window_s is {window_s}: give the seconds of a window, > 0")
    if not math.isfinite(until_s):
        raise ValueError(f"until_s is {until_s}: give the time at which the trace ends")
    for name, values in (("arrival_s", at), ("isl", ins), ("osl", outs)):
        if values.size != at.size:
            raise ValueError(f"{name} has {values.size} values for {at.size} arrivals")
        wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
        if wrong.size:
            raise ValueError(
                f"{name} of request {wrong[0]} is {values[wrong[0]]}: give a number >= 0"
            )
