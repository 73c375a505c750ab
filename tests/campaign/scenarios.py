"""What users do, from the beginning to the end that is compared."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from dgdr_kube.kinds import DGDR
from support.dgdr_world import NS, dgdr

from .world import Config, World

Story = Callable[[World], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story, and the world that it takes place in."""

    name: str
    story: Story
    config: Config = field(default_factory=Config)


async def deploy(world: World) -> None:
    """Create a request, and wait until what it asked for is deployed."""
    await world.server.create(dgdr(), "kubectl")
    await world.until("q is Deployed", lambda: world.phase() == "Deployed")
    await world.rest()
