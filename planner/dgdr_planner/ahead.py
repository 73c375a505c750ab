"""What a decision is made for: the load that the replicas which are ordered now will serve.

Or why it cannot be known, and so nothing may change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_policy import SizingPolicy
from dgdr_perf.engine_profile import EngineProfile
from dgdr_planner.forecast import Demand, Forecast, forecaster_for
from dgdr_planner.observe.looks import Look, lately
from dgdr_planner.observe.observation import LoadSeen, Observation, TargetSeen
from dgdr_planner.observe.value import Idle, Trouble, Unknown, number
from dgdr_planner.policy import Policy
from dgdr_planner.size.classic import classic_needs
from dgdr_planner.state import State


class Forecasts(Protocol):
    """What looks ahead; see ``forecast.forecaster.Forecaster``."""

    def forecast(
        self, demand: Demand, horizon_s: float, quantile: float, model: str
    ) -> Forecast | Unknown:
        """Return the load that starts to be served in ``horizon_s`` seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Ahead:
    """All that the roles are sized by; ``classic`` has their replicas where that policy sizes."""

    target: TargetSeen
    profile: EngineProfile
    forecast: Forecast
    classic: Mapping[Role, int] | None = None


def ahead(
    seen: Observation,
    profile: EngineProfile | Trouble,
    policy: Policy,
    state: State,
    now: datetime,
    forecaster: Forecasts | None,
) -> Ahead | Trouble:
    """Return what to plan for at this tick or fast pass; of all that holds the first thing."""
    if seen.hold is not None:
        return seen.hold
    if policy.suspended:
        return Trouble("Suspended", "spec.suspend is true: replicas stay as they are")
    if isinstance(seen.target, Trouble):
        return seen.target
    if isinstance(profile, Trouble):
        return profile
    if isinstance(seen.budget, Trouble):
        return seen.budget
    if isinstance(seen.load.rate_per_s, Unknown):
        return Trouble(seen.load.rate_per_s.reason, seen.load.rate_per_s.cause)
    forecast = _forecast(seen, policy, state, now, forecaster)
    if isinstance(forecast, Unknown):
        return Trouble(forecast.reason, forecast.cause)
    if policy.sizing is not SizingPolicy.CLASSIC or forecast.planned <= 0:
        return Ahead(seen.target, profile, forecast)
    classic = classic_needs(profile, forecast, seen.target, seen.load, policy)
    if isinstance(classic, Trouble):
        return classic
    return Ahead(seen.target, profile, forecast, classic)


def _forecast(
    seen: Observation,
    policy: Policy,
    state: State,
    now: datetime,
    forecaster: Forecasts | None,
) -> Forecast | Unknown:
    """Return what this tick, or the last one, plans for, raised by what fast looks show."""
    found = state.forecast if seen.is_fast else _ticked(seen, policy, state, forecaster)
    if found is None:
        return Unknown("NoForecast", "nothing was planned for yet")
    if isinstance(found, Unknown) or policy.sizing is SizingPolicy.CLASSIC or _is_quiet(seen):
        return found
    return found.raised_by(lately(seen.looks, now.timestamp()), policy.quantile)


def _is_quiet(seen: Observation) -> bool:
    """Whether nothing comes: neither in the tick's window nor in the last look."""
    looked = seen.looks[-1].rate_per_s if seen.looks else 0.0
    return isinstance(seen.load.rate_per_s, Idle) and looked <= 0.0


def _ticked(
    seen: Observation, policy: Policy, state: State, forecaster: Forecasts | None
) -> Forecast | Unknown:
    """Look ahead by the time to start a replica: what is ordered now serves from then on.

    While the target is idle nothing is planned for, whatever may come: quiet shrinks. And nobody
    has to know how long requests are of which there is none.
    """
    able = forecaster or forecaster_for(policy.forecast_model)
    if isinstance(able, Unknown):
        return able
    horizon_s = state.starts.seconds
    found = able.forecast(state.demand, horizon_s, policy.quantile, policy.forecast_model)
    rate = seen.load.rate_per_s
    if isinstance(found, Unknown):
        return found if number(rate) else Forecast(rate_per_s=0.0, horizon_s=horizon_s)
    if isinstance(rate, Idle):
        return replace(found, planned_rate_per_s=0.0, hold_rate_per_s=0.0)
    return found


def begins(load: LoadSeen, state: State, looks: Sequence[Look], policy: Policy) -> bool:
    """Whether fast looks show load where the last pass read none, or not how long requests are.

    A whole tick is needed then: a look tells no lengths.
    """
    if policy.suspended or not looks or looks[-1].rate_per_s <= 0.0:
        return False
    if isinstance(load.rate_per_s, Unknown):
        return True
    return state.forecast is not None and state.forecast.isl is None


def rises(state: State, looks: Sequence[Look], policy: Policy, now: datetime) -> bool:
    """Whether fast looks show more than is planned for: whether to decide before the next tick.

    What holds a planner, holds it until the tick.
    """
    forecast = state.forecast
    if forecast is None or state.is_held or policy.suspended:
        return False
    if policy.sizing is SizingPolicy.CLASSIC:
        return False
    found = forecast.raised_by(lately(looks, now.timestamp()), policy.quantile)
    return found.planned > forecast.planned
