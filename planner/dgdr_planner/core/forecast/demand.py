"""What was asked of a deployment so far: a bounded, frozen history of windows.

The newest ``RECENT`` windows are kept as they came; older ones are merged into bins of a quarter
of an hour and dropped after a week. 512 windows and 672 bins of five numbers are 47 KB, so that
1,000 planners hold 47 MB.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dgdr_planner.core.observation import Idle, LoadSeen, Value, number

Floats = NDArray[np.float64]

RECENT = 512
BIN_S = 900.0
KEPT_S = 7 * 86_400.0
#: Columns of a row: end of the window, its length, rate, input and output length; NaN: unknown.
AT, WINDOW, RATE, ISL, OSL = range(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One window: it ends at ``at_s`` (seconds, any epoch) and is ``window_s`` long.

    ``rate_per_s`` None: unknown, which is a gap and never zero. Lengths are means over requests;
    None where no request finished.
    """

    at_s: float
    window_s: float
    rate_per_s: float | None
    isl: float | None = None
    osl: float | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.at_s):
            raise ValueError(f"at_s is {self.at_s}: give seconds since an epoch")
        if not (math.isfinite(self.window_s) and self.window_s > 0):
            raise ValueError(f"window_s is {self.window_s}: give the seconds of the window, > 0")
        if self.rate_per_s is not None:
            _check("rate_per_s", self.rate_per_s)
        for name, length in (("isl", self.isl), ("osl", self.osl)):
            if length is not None:
                _check(name, length)

    @classmethod
    def of(cls, load: LoadSeen, at_s: float) -> Self:
        """Return the window that was seen: idle is zero, unknown stays unknown."""
        rate_per_s = 0.0 if isinstance(load.rate_per_s, Idle) else number(load.rate_per_s)
        return cls(
            at_s=at_s,
            window_s=load.window_s,
            rate_per_s=rate_per_s,
            isl=load.isl.number if isinstance(load.isl, Value) else None,
            osl=load.osl.number if isinstance(load.osl, Value) else None,
        )

    @property
    def row(self) -> Floats:
        """The sample as the five columns."""
        nan = math.nan
        values = (self.rate_per_s, self.isl, self.osl)
        return np.array(
            [self.at_s, self.window_s, *(nan if v is None else v for v in values)], dtype=np.float64
        )


def _check(name: str, number_: float) -> None:
    if not (math.isfinite(number_) and number_ >= 0):
        raise ValueError(f"{name} is {number_}: give a number >= 0, or None where it is unknown")


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

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Demand) and all(
            np.array_equal(mine, theirs, equal_nan=True)
            for mine, theirs in ((self.recent, other.recent), (self.older, other.older))
        )

    def __hash__(self) -> int:
        return hash((self.recent.tobytes(), self.older.tobytes()))

    def with_sample(self, sample: Sample) -> "Demand":
        """Return the history with one window more.

        The newest word wins: windows that end at the same time or later are dropped, so that a
        repeated pass counts once and a clock that was set back does not stop the history.
        """
        before = self.recent[self.recent[:, AT] < sample.at_s]
        older = self.older[self.older[:, AT] < sample.at_s]
        return _bounded(np.vstack([before, sample.row]), older)

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
        joined = np.vstack([older, surplus])
        first = int(np.searchsorted(_bin(older[:, AT]), _bin(surplus[0, AT])))
        older = np.vstack([older[:first], _merged(joined[first:])])
        older = older[older[:, AT] > recent[-1, AT] - KEPT_S]
    return Demand(_frozen(recent), _frozen(older))


def _bin(at_s: Floats | float) -> Floats:
    return np.asarray(np.ceil(np.asarray(at_s) / BIN_S))


def _merged(rows: Floats) -> Floats:
    """Merge rows by bin: rates weighted by known time, lengths by requests. Gaps vanish."""
    known = rows[np.isfinite(rows[:, RATE])]
    if not len(known):
        return _no_rows()
    _, where = np.unique(_bin(known[:, AT]), return_inverse=True)
    count = int(where.max()) + 1
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
