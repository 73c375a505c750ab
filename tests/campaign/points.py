"""One thing that goes wrong in one run of one scenario."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from .calls import Call, Fault, NoFault
from .oracle import Allowance, Ending, Violation
from .scenarios import Scenario, Story
from .world import World

Deed = Callable[[World], Awaitable[None]]
"""What is done beside the story, from the beginning of the world."""

Expected = Callable[[Ending], Sequence[Violation]]
"""Judges an end that is not the undisturbed one."""


@runtime_checkable
class Beside(Protocol):
    """A fault that does something to the world, beside the call that it begins at."""

    world: World | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A scenario, and one disturbance of it.

    ``fault`` makes what sits on the line of the processes, anew for each run. ``deed`` is run
    beside the story. ``story`` replaces the scenario's.
    """

    class_: str
    scenario: Scenario
    what: str
    fault: Callable[[], Fault] = NoFault
    deed: Deed | None = None
    story: Story | None = None
    allowed: Allowance = field(default_factory=Allowance)
    expected: Expected | None = None

    def __str__(self) -> str:
        return f"{self.class_} {self.scenario.name}: {self.what}"


class Points(Protocol):
    """Lists the points of a class, given a scenario and what it asks of the server by itself."""

    def __call__(self, scenario: Scenario, calls: Sequence[Call]) -> Sequence[Point]: ...


Classes = Mapping[str, Points]
