"""Reading the target: which components are scaled, how many replicas they have and want."""

import shlex
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from pydantic import ValidationError

from dgdr_api.codec_v1beta1 import decode
from dgdr_api.graph import Component, Graph, Role
from dgdr_api.models.dgd_v1beta1 import ComponentStatus, DGDStatus
from dgdr_api.names import component_name
from dgdr_api.reading import CodecError
from dgdr_planner.core.observation import RoleSeen, TargetSeen, Trouble
from dgdr_planner.core.policy import SCALED_ROLES

Json = Mapping[str, Any]

# Flags that name the model, the one that wins first.
MODEL_FLAGS = ("--served-model-name", "--model-name", "--model", "--model-path")


def adapter_names(dgd: Json) -> tuple[str, ...]:
    """Return the names that the scaling adapters of the scaled components have."""
    components = dgd.get("spec", {}).get("components") or ()
    scaled = [entry for entry in components if entry.get("type") in SCALED_ROLES]
    return tuple(component_name(dgd["metadata"]["name"], entry["name"]) for entry in scaled)


def target_of(dgd: Json, adapters: Mapping[str, Json]) -> TargetSeen | Trouble:
    """Read a deployment and the adapters of its components, by name."""
    name = dgd["metadata"]["name"]
    if dgd["metadata"].get("deletionTimestamp"):
        return Trouble("TargetDeleted", f"DynamoGraphDeployment {name} is being deleted")
    try:
        graph = decode(dgd)
    except CodecError as exc:
        return Trouble("TargetUnreadable", f"DynamoGraphDeployment {name}: {exc}")
    found = {role: graph.with_role(role) for role in SCALED_ROLES}
    if any(len(components) != 1 for components in found.values()):
        return _wrong_roles(graph)
    states = _states(dgd.get("status") or {})
    components = [found[role][0] for role in SCALED_ROLES]
    return TargetSeen(
        namespace=dgd["metadata"].get("namespace") or "",
        name=name,
        model=_model(components, states),
        roles=tuple(
            _role(component, states, adapters.get(component_name(name, component.name)))
            for component in components
        ),
        frontends=_ready_frontends(graph, states),
    )


def with_replicas(dgd: Json, replicas: Mapping[str, int]) -> list[Any]:
    """Return the components of a deployment with other replicas, by component name."""
    return [
        {**entry, "replicas": replicas[entry["name"]]} if entry["name"] in replicas else entry
        for entry in dgd["spec"]["components"]
    ]


def _states(status: Json) -> dict[str, ComponentStatus]:
    """Read what is reported; another operator's report that we cannot read says nothing."""
    try:
        components = DGDStatus.model_validate(status).components or {}
    except ValidationError:
        return {}
    return {name.lower(): state for name, state in components.items()}


def _wrong_roles(graph: Graph) -> Trouble:
    held = ", ".join(f"{component.name} ({component.role})" for component in graph.components)
    return Trouble(
        "RolesMissing",
        f"DynamoGraphDeployment {graph.name} needs one component of type prefill and one of type"
        f" decode to be scaled; it has {held or 'none'}",
    )


def _role(
    component: Component, states: Mapping[str, ComponentStatus], adapter: Json | None
) -> RoleSeen:
    state = states.get(component.name.lower(), ComponentStatus())
    wanted = 1 if component.replicas is None else component.replicas
    version = None
    if adapter is not None:
        version = adapter["metadata"].get("resourceVersion")
        wanted = adapter.get("spec", {}).get("replicas", wanted)
    return RoleSeen(
        role=component.role,
        component=component.name,
        replicas=wanted,
        ready=state.ready_replicas or 0,
        gpus_per_replica=component.gpus * component.nodes,
        adapter_version=version,
    )


def _ready_frontends(graph: Graph, states: Mapping[str, ComponentStatus]) -> int | None:
    known = [states.get(frontend.name.lower()) for frontend in graph.with_role(Role.FRONTEND)]
    counts = [state.ready_replicas for state in known if state and state.ready_replicas is not None]
    return sum(counts) if counts else None


def _model(components: list[Component], states: Mapping[str, ComponentStatus]) -> str | None:
    """Return the name under which the frontend knows the model, if the manifest says it."""
    for component in reversed(components):
        state = states.get(component.name.lower())
        if state and state.served_model_name:
            return state.served_model_name
        words = [*component.command, *component.args]
        # A shell's command line is one word that holds the flags.
        flat = [part for word in words for part in _split(word)]
        for flag in MODEL_FLAGS:
            if value := _value_of(flag, flat):
                return value
    return None


def _split(word: str) -> list[str]:
    try:
        return shlex.split(word) if " " in word else [word]
    except ValueError:
        return word.split()


def _value_of(flag: str, words: list[str]) -> str | None:
    for word, following in zip_longest(words, words[1:], fillvalue=""):
        if word == flag and following and not following.startswith("-"):
            return following
        if word.startswith(f"{flag}="):
            return word.removeprefix(f"{flag}=")
    return None
