"""Reading the target: which components are scaled, how many replicas they have and want."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from pydantic import ValidationError

from dgdr_api.codec_v1beta1 import decode
from dgdr_api.fingerprint import fingerprint_of
from dgdr_api.gpus import Count, Uncountable, least, replica_gpus
from dgdr_api.graph import Component, Graph, Role
from dgdr_api.models.dgd_v1beta1 import ComponentStatus, DGDStatus
from dgdr_api.names import Label, component_name
from dgdr_api.planner_component import scaling_planner
from dgdr_api.reading import CodecError
from dgdr_planner.observe.observation import RoleSeen, TargetSeen
from dgdr_planner.observe.value import Trouble
from dgdr_planner.policy import SCALED_ROLES

Json = Mapping[str, Any]

# Flags that name the model, the one that wins first.
MODEL_FLAGS = ("--served-model-name", "--model-name", "--model", "--model-path")

ABSENT = "TargetNotFound"


def is_absent(target: TargetSeen | Trouble) -> bool:
    """Whether there is no such deployment."""
    return isinstance(target, Trouble) and target.reason == ABSENT


def adapter_names(dgd: Json, roles: Iterable[Role]) -> tuple[str, ...]:
    """Return the names that the scaling adapters of the scaled components have."""
    components = dgd.get("spec", {}).get("components") or ()
    wanted = frozenset(roles)
    scaled = [entry for entry in components if entry.get("type") in wanted]
    return tuple(component_name(dgd["metadata"]["name"], entry["name"]) for entry in scaled)


def scaled_roles(dgd: Json) -> tuple[Role, ...]:
    """Return the roles of a deployment that some planner may scale."""
    types = [entry.get("type") for entry in dgd.get("spec", {}).get("components") or ()]
    return tuple(role for role in SCALED_ROLES if role in types)


def target_of(
    dgd: Json,
    adapters: Mapping[str, Json],
    roles: tuple[Role, ...],
    pods: Iterable[Json] | None = None,
) -> TargetSeen | Trouble:
    """Read a deployment, the adapters of its components by name, and its pods.

    ``roles`` are those that are scaled; ``pods`` is None where nobody looked.
    """
    name = dgd["metadata"]["name"]
    if dgd["metadata"].get("deletionTimestamp"):
        return Trouble("TargetDeleted", f"DynamoGraphDeployment {name} is being deleted")
    try:
        graph = decode(dgd)
    except CodecError as exc:
        return Trouble("TargetUnreadable", f"DynamoGraphDeployment {name}: {exc}")
    found = {role: graph.with_role(role) for role in roles}
    if any(len(components) != 1 for components in found.values()):
        return _wrong_roles(graph, found)
    states, another = _states(dgd.get("status") or {}), scaling_planner(graph)
    components = [found[role][0] for role in roles]
    counted = None if pods is None else counts(pods)
    gpus = {c.name: _gpus(c, states, is_current=_is_current(dgd)) for c in components}
    unknown = (f"{c}: {n.why}" for c, n in gpus.items() if isinstance(n, Uncountable))
    return TargetSeen(
        namespace=dgd["metadata"].get("namespace") or "",
        name=name,
        model=_model(components, states),
        roles=tuple(
            _role(
                component,
                states,
                counted,
                least(gpus[component.name]),
                *_number(dgd, name, component, adapters),
            )
            for component in components
        ),
        frontends=_ready_frontends(graph, states),
        other_planner=None if another is None else another.name,
        uncountable=next(unknown, None),
    )


def replicas_of(dgd: Json, components: Iterable[str]) -> dict[str, int]:
    """Return the replicas that a deployment's own components want, by component name."""
    wanted = frozenset(components)
    return {
        entry["name"]: 1 if entry.get("replicas") is None else entry["replicas"]
        for entry in dgd["spec"]["components"]
        if entry["name"] in wanted
    }


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


def _wrong_roles(graph: Graph, found: Mapping[Role, tuple[Component, ...]]) -> Trouble:
    """Say which role is not there exactly once; two of one kind would be sized as one."""
    held = ", ".join(f"{component.name} ({component.role})" for component in graph.components)
    twice = [f"{len(many)} of type {role}" for role, many in found.items() if len(many) > 1]
    if twice:
        return Trouble(
            "RolesAmbiguous",
            f"DynamoGraphDeployment {graph.name} has {' and '.join(twice)} ({held}); an SLAPlanner"
            " scales one component of each role",
        )
    wanted = " and ".join(f"one of type {role}" for role in found)
    return Trouble(
        "RolesMissing",
        f"DynamoGraphDeployment {graph.name} needs components, {wanted}, to be scaled;"
        f" it has {held or 'none'}",
    )


@dataclass(frozen=True, slots=True)
class _Pods:
    """Pods of one component: those that stay, and those that stop."""

    present: int = 0
    terminating: int = 0


def counts(pods: Iterable[Json]) -> dict[str, _Pods]:
    """Count pods by component; one that has ended holds no GPU."""
    counted: dict[str, _Pods] = {}
    for pod in pods:
        meta = pod["metadata"]
        name = (meta.get("labels") or {}).get(Label.COMPONENT, "").lower()
        if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            continue
        known, going = counted.get(name, _Pods()), int(bool(meta.get("deletionTimestamp")))
        counted[name] = _Pods(known.present + 1 - going, known.terminating + going)
    return counted


def _number(
    dgd: Json, graph: str, component: Component, adapters: Mapping[str, Json]
) -> tuple[int, str | None, str | None]:
    """Return the replicas that are wanted, who wrote that, and the adapter's version."""
    adapter = adapters.get(component_name(graph, component.name))
    wanted = 1 if component.replicas is None else component.replicas
    if adapter is None:
        # A manager is told with the fields of the version that it wrote.
        beta = ("f:components", f'k:{{"name":"{component.name}"}}', "f:replicas")
        alpha = ("f:services", f"f:{component.name}", "f:replicas")
        return wanted, writer_of(dgd, beta, alpha), None
    version = adapter["metadata"].get("resourceVersion")
    wanted = adapter.get("spec", {}).get("replicas", wanted)
    return wanted, writer_of(adapter, ("f:replicas",)), version


def writer_of(manifest: Json, *paths: tuple[str, ...]) -> str | None:
    """Return the manager that wrote a field of the spec last; None where nobody says."""
    wrote = [
        (entry.get("time", ""), entry.get("manager", ""))
        for entry in manifest["metadata"].get("managedFields") or ()
        if any(_owns(entry.get("fieldsV1", {}).get("f:spec", {}), path) for path in paths)
    ]
    return max(wrote)[1] if wrote else None


def _owns(fields: Json, path: tuple[str, ...]) -> bool:
    for part in path:
        if part not in fields:
            return False
        fields = fields[part]
    return True


def _role(
    component: Component,
    states: Mapping[str, ComponentStatus],
    counted: Mapping[str, _Pods] | None,
    gpus: int,
    wanted: int,
    writer: str | None,
    version: str | None,
) -> RoleSeen:
    state = states.get(component.name.lower(), ComponentStatus())
    pods = (counted or {}).get(component.name.lower(), _Pods())
    return RoleSeen(
        role=component.role,
        component=component.name,
        replicas=wanted,
        ready=state.ready,
        gpus_per_replica=gpus,
        adapter_version=version,
        # A replica of several nodes holds its GPUs until the last of its pods is gone.
        terminating=-(-pods.terminating // component.nodes),
        present=-(-pods.present // component.nodes),
        writer=writer,
        engine=fingerprint_of(component),
    )


def _gpus(
    component: Component, states: Mapping[str, ComponentStatus], *, is_current: bool
) -> Count:
    """Count from the manifest; of claims the operator knows more, if it has seen this one."""
    counted = replica_gpus(component)
    if not isinstance(counted, Uncountable):
        return counted
    state = states.get(component.name.lower())
    reported = state.gpus_per_replica if state else None
    return reported if reported is not None and is_current else counted


def _is_current(dgd: Json) -> bool:
    seen = (dgd.get("status") or {}).get("observedGeneration")
    return seen is not None and seen == dgd["metadata"].get("generation")


def _ready_frontends(graph: Graph, states: Mapping[str, ComponentStatus]) -> int | None:
    known = [states.get(frontend.name.lower()) for frontend in graph.with_role(Role.FRONTEND)]
    counts = [state.ready for state in known if state and state.ready is not None]
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
