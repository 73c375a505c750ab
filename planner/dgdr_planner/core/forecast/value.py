"""The load that the next interval is planned for."""

from dataclasses import dataclass

from dgdr_planner.core.observation import Idle, LoadSeen, Unknown, Value, first_unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Load to plan for. Lengths are None as long as no request ever finished.

    ``rate_per_s`` is the expected load of the window in which replicas that are ordered now
    start to serve; ``planned_rate_per_s`` is the quantile of it that is planned for, and
    ``hold_rate_per_s`` the same quantile of the highest window from now until then, never less:
    replicas that are there already must not fall below it. None: nothing but a last value is
    known, see ``planned`` and ``held``. ``model`` names who expects ``rate_per_s``, ``planned_by``
    whose quantile is planned for; None is that of what was seen. A plan may be below
    ``rate_per_s`` where that repeats a burst, and bursts have not lasted.
    """

    rate_per_s: float
    isl: float | None = None
    osl: float | None = None
    planned_rate_per_s: float | None = None
    hold_rate_per_s: float | None = None
    model: str = "LastValue"
    planned_by: str | None = None
    horizon_s: float = 0.0

    @property
    def planned(self) -> float:
        """Rate per second to grow to."""
        return self.rate_per_s if self.planned_rate_per_s is None else self.planned_rate_per_s

    @property
    def held(self) -> float:
        """Rate per second not to shrink below; never less than the planned one."""
        return self.planned if self.hold_rate_per_s is None else self.hold_rate_per_s


def last_value(load: LoadSeen, before: Forecast | None) -> Forecast | Unknown:
    """Plan for what was last seen.

    Where requests arrive but none has finished, the lengths of the last forecast still hold:
    arrivals must not wait for the first answer's end to be planned for.
    """
    match load.rate_per_s:
        case Unknown() as unknown:
            return unknown
        case Idle():
            rate_per_s = 0.0
        case Value(number):
            rate_per_s = number
    known = before or Forecast(rate_per_s=0.0)
    isl = load.isl.number if isinstance(load.isl, Value) else known.isl
    osl = load.osl.number if isinstance(load.osl, Value) else known.osl
    if rate_per_s > 0 and (isl is None or osl is None):
        return first_unknown((load.isl, load.osl)) or Unknown("NothingFinished", "no lengths known")
    return Forecast(rate_per_s=rate_per_s, isl=isl, osl=osl)
