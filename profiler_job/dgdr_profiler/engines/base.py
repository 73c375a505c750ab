"""What an engine must know how to do, and what all generated graphs share."""

from collections.abc import Sequence
from typing import Protocol

from dgdr_api.graph import Component, Graph, Json, Role
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.errors import InvalidRequest

FRONTEND = "frontend"
PREFILL = "prefill"
DECODE = "decode"


class Engine(Protocol):
    """Writes graphs for one inference engine; pure."""

    @property
    def served_model(self) -> str:
        """Name under which the model is served."""
        ...

    def template(self, name: str) -> Graph:
        """Return a frontend, a prefill and a decode engine on one GPU each."""
        ...

    def with_mapping(self, graph: Graph, role: Role, mapping: Candidate) -> Graph:
        """Spread the engines of one role over the mapping's GPUs."""
        ...


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


def with_router(graph: Graph, kv_router: bool) -> Graph:
    """Make the frontend route by cached prefixes, when that is wanted."""
    if not kv_router:
        return graph
    for component in graph.with_role(Role.FRONTEND):
        mode = {"name": "DYN_ROUTER_MODE", "value": "kv"}
        graph = graph.with_component(component.with_(env=(*component.env, mode)))
    return graph


def with_pods(graph: Graph, tolerations: Sequence[Json], pull_secrets: Sequence[str]) -> Graph:
    """Let every pod go where the profiling Job may go, and pull its image."""
    secrets = [{"name": name} for name in pull_secrets]
    for component in graph.components:
        pod = {**component.pod, **({"imagePullSecrets": secrets} if secrets else {})}
        graph = graph.with_component(
            component.with_(tolerations=(*component.tolerations, *tolerations), pod=pod)
        )
    return graph
