"""What a run works with, what it knows, and what it may do next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dgdr_api.graph import Role
from dgdr_api.planner_config import PlannerKeys, fewest_of_roles
from dgdr_api.points import Point
from dgdr_profiler.core.candidate import Candidate, EngineFacts, Fetched
from dgdr_profiler.core.cells import Call
from dgdr_profiler.core.demand import Demand
from dgdr_profiler.core.known_model import KnownModel
from dgdr_profiler.core.pick import Selection
from dgdr_profiler.core.point_key import Subject
from dgdr_profiler.core.search import Infeasible


class Stage(StrEnum):
    """What a measurement is for."""

    SELECTION = "selection"
    CURVES = "curves"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run works with; fixed from its start to its end.

    ``space`` says in a sentence how many shapes are possible, by what is known of the ``model``,
    and why others are not.
    Candidates together hold at most ``gpus_at_once``, the generated deployment ``total_gpus``.
    ``planner`` are the keys of the planner that will scale it, None without one.
    ``notes`` say what a reader of the report should know of the engines' arguments.
    ``transfer_gb_per_s`` is what is known of the link between prefill and decode engines.
    """

    demand: Demand
    candidates: tuple[Candidate, ...]
    subjects: Mapping[str, Subject]
    infeasible: tuple[Infeasible, ...] = ()
    model: KnownModel = field(default_factory=KnownModel)
    space: str = ""
    gpus_at_once: int | None = None
    total_gpus: int | None = None
    deadline_s: float | None = None
    planner: PlannerKeys | None = None
    transfer_gb_per_s: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def fewest(self) -> Mapping[Role, int]:
        """Replicas that each role has at least."""
        return {} if self.planner is None else fewest_of_roles(self.planner)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """What is known so far.

    ``reused`` says by key which points another request measured, and which request that was.
    ``failures`` holds what went wrong with a measurement, by candidate and prompt length.
    ``suspect`` are deployments that a measurement went wrong on and that do not answer: one that
    hangs goes on hanging. ``stuck`` are candidates whose pods do not end: they hold their GPUs.
    ``fetched`` is what decode engines said about the KV caches that they fetched, by candidate.
    ``elapsed_s`` counts from the start of the run's first pod.
    """

    points: tuple[Point, ...] = ()
    reused: Mapping[str, str] = field(default_factory=dict)
    deployed: Mapping[str, EngineFacts] = field(default_factory=dict)
    rejected: Mapping[str, str] = field(default_factory=dict)
    failures: Mapping[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)
    suspect: frozenset[str] = frozenset()
    stuck: frozenset[str] = frozenset()
    fetched: Mapping[str, Fetched] = field(default_factory=dict)
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deploy:
    """Bring a candidate up."""

    candidate: Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Make one call of the load tool against a candidate that is up."""

    candidate: Candidate
    call: Call
    stage: Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """Take a candidate down, and wait until its GPUs are free."""

    candidate: Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """Give a candidate up; for good, unless the next pod of the Job may have more luck."""

    candidate: Candidate
    reason: str
    lasting: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """Everything is measured."""

    selection: Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Nothing can be picked."""

    reason: str


Action = Deploy | Measure | Retire | Reject | Finish | Fail
