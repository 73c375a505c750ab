"""What all generated graphs share."""

from collections.abc import Sequence

from dgdr_api.graph import Component, Graph, Role
from dgdr_profiler.core.errors import InvalidRequest

FRONTEND = "frontend"
PREFILL = "prefill"
DECODE = "decode"


def workers(graph: Graph, role: Role) -> tuple[Component, ...]:
    """Return the components of a role; a graph without any cannot be mapped.

    Raises:
        InvalidRequest: an override took the role away.
    """
    found = graph.with_role(role)
    if not found:
        raise InvalidRequest(f"the deployment has no component of type {role}; check overrides.dgd")
    return found


def frontend(image: str, args: Sequence[str] = (), **more: object) -> Component:
    """Return Dynamo's frontend."""
    component = Component(
        name=FRONTEND,
        role=Role.FRONTEND,
        replicas=1,
        image=image,
        command=("python3", "-m", "dynamo.frontend"),
        args=tuple(args),
    )
    return component.with_(**more)
