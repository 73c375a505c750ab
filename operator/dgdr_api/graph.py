"""The Graph: one frozen value for a DynamoGraphDeployment of any version.

``codec_v1beta1`` and ``graph_v1alpha1`` read and write it; engine modifiers are
pure functions from Graph to Graph. Nothing else in the repository edits a raw DGD.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

Json = Mapping[str, Any]
"""A JSON object that passes through unread, such as a volume or a toleration."""


class Role(StrEnum):
    """What a component is for; the ``type`` of a v1beta1 component."""

    FRONTEND = "frontend"
    WORKER = "worker"
    PREFILL = "prefill"
    DECODE = "decode"
    PLANNER = "planner"
    EPP = "epp"
    NONE = ""
    """Of a component without a type, such as a router between graphs: it gets no ports, no probes
    and no variables of a role."""

    @property
    def serves_model(self) -> bool:
        """Whether the component runs an engine."""
        return self in (Role.WORKER, Role.PREFILL, Role.DECODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One component of a graph.

    ``gpus`` are the ``nvidia.com/gpu`` of the main container; ``dgdr_api.gpus`` counts all that a
    pod holds. ``env`` and ``env_from`` are the container's entries as Kubernetes writes
    them; ``labels`` and ``annotations`` are the pods'. ``container``, ``pod`` (spec), ``pod_meta``
    and ``extra`` (the component) hold what no other field names, so that a decoded manifest
    encodes to itself. ``container["resources"]`` is kept whole: where it disagrees with ``gpus``,
    ``gpus`` decides.
    """

    name: str
    role: Role
    replicas: int | None = None
    image: str | None = None
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str | None = None
    gpus: int = 0
    nodes: int = 1
    env: tuple[Json, ...] = ()
    env_from: tuple[Json, ...] = ()
    volumes: tuple[Json, ...] = ()
    volume_mounts: tuple[Json, ...] = ()
    tolerations: tuple[Json, ...] = ()
    shared_memory_size: str | None = None
    scaling_adapter: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    container: Json = field(default_factory=dict)
    pod: Json = field(default_factory=dict)
    pod_meta: Json = field(default_factory=dict)
    extra: Json = field(default_factory=dict)

    def with_(self, **changes: Any) -> "Component":
        """Return a copy with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A DynamoGraphDeployment, whichever version it came from.

    ``labels`` and ``annotations`` are the object's own; ``pod_labels`` and ``pod_annotations`` go
    to every pod, where a component's win. ``extra`` has the keys ``metadata`` and ``spec`` for
    what no field names.
    """

    name: str
    namespace: str | None = None
    components: tuple[Component, ...] = ()
    env: tuple[Json, ...] = ()
    backend: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    pod_annotations: Mapping[str, str] = field(default_factory=dict)
    extra: Json = field(default_factory=dict)

    def with_(self, **changes: Any) -> "Graph":
        """Return a copy with some fields changed."""
        return replace(self, **changes)

    def component(self, name: str) -> Component | None:
        """Return the component of that name, ignoring case as Dynamo does."""
        return next((c for c in self.components if c.name.lower() == name.lower()), None)

    def with_role(self, role: Role) -> tuple[Component, ...]:
        """Return the components of one role, in the order of the manifest."""
        return tuple(c for c in self.components if c.role is role)

    def with_component(self, changed: Component) -> "Graph":
        """Return a copy in which the component of the same name is replaced."""
        if self.component(changed.name) is None:
            raise KeyError(changed.name)
        return replace(
            self,
            components=tuple(
                changed if c.name.lower() == changed.name.lower() else c for c in self.components
            ),
        )
