"""What one decision leaves for the next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dgdr_api.graph import Role
from dgdr_planner.core.attainment import Window
from dgdr_planner.core.edits import Edit, Known
from dgdr_planner.core.forecast import Demand, Forecast
from dgdr_planner.core.guards import History
from dgdr_planner.core.startup import Starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """GPU-hours since a moment: those of the decisions, and those that the target held."""

    since: datetime
    until: datetime
    planned: float = 0.0
    held: float = 0.0
    replicas: Mapping[Role, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What one decision leaves for the next.

    ``known`` are the replicas that each role had, or was asked to have, at the end of the last
    pass; ``ratios`` how much slower its engines are than their curves; ``carried`` the roles that
    by their curves carried the last window, which ended at ``taught_at``; ``hovering`` the needs
    around the number that is there. ``costs`` is counted in Shadow only.
    """

    histories: Mapping[Role, History] = field(default_factory=dict)
    demand: Demand = field(default_factory=Demand)
    forecast: Forecast | None = None
    starts: Starts = field(default_factory=Starts)
    known: Mapping[Role, Known] = field(default_factory=dict)
    edits: Mapping[Role, Edit] = field(default_factory=dict)
    ratios: Mapping[Role, float] = field(default_factory=dict)
    carried: frozenset[Role] = frozenset()
    taught_at: datetime | None = None
    hovering: Mapping[Role, tuple[float, ...]] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    costs: Costs | None = None
