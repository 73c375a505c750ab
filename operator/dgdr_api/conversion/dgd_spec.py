"""What both versions of a deployment's spec can say: services and components, and no more.

A service or component that cannot be read gives its name and type alone; all else of it is kept.
"""

from collections.abc import Callable, Mapping
from typing import Any

from dgdr_api import codec_v1beta1
from dgdr_api.claims_v1alpha1 import claim_volume
from dgdr_api.conversion import experimental
from dgdr_api.graph import Component, Role
from dgdr_api.graph_v1alpha1 import CLAIMS, claims_of
from dgdr_api.pods import pod_template
from dgdr_api.reading import Reader, name_of
from dgdr_api.roles_v1alpha1 import roles_of, types_of
from dgdr_api.service_v1alpha1 import read_service, write_service

Json = Mapping[str, Any]

_SAME = (
    *("annotations", "labels", "backendFramework", "priorityClassName", "restart"),
    *("experimental", "providerOverride"),
)
_RENAMED = (("envs", "env"),)
_TYPE, _SUB_TYPE = "componentType", "subComponentType"
_TOPOLOGY = "topologyConstraint"
_PROFILE, _CLUSTER = "topologyProfile", "clusterTopologyName"


def to_v1beta1(spec: Json) -> dict[str, Any]:
    """Return what v1beta1 can say of a v1alpha1 spec; components are in the order of names."""
    found = _moved(spec, lambda alpha, beta: (alpha, beta))
    services = spec.get("services")
    if isinstance(services, Mapping):
        objects = {name: one for name, one in services.items() if isinstance(one, Mapping)}
        roles = roles_of(objects)
        found["components"] = [
            _component(name, roles[name], objects[name]) for name in sorted(objects)
        ]
    return found


def to_v1alpha1(spec: Json) -> dict[str, Any]:
    """Return what v1alpha1 can say of a v1beta1 spec."""
    found = _moved(spec, lambda alpha, beta: (beta, alpha))
    components = spec.get("components")
    if isinstance(components, list):
        named = (one for one in components if isinstance(one, Mapping) and _name(one))
        found["services"] = {one["name"]: _service(one) for one in named}
        if claims := claims_of(found["services"]):
            found[CLAIMS] = claims
    return found


def completed(spec: Json, said: Json) -> Json:
    """Return a v1beta1 spec that upstream stored, with the volumes that its note implies.

    It stores mounts of claims alone, and adds their volumes to the pods as the note has them.
    """
    services = said.get("services")
    components = spec.get("components")
    if not isinstance(services, Mapping) or not isinstance(components, list):
        return spec
    return {**spec, "components": [_completed(one, services) for one in components]}


def _completed(component: Any, services: Json) -> Any:
    said = services.get(str(component.get("name"))) if isinstance(component, Mapping) else None
    try:
        found = _read(component)
        mounts = Reader(said, "").objects("volumeMounts")
    except Exception:
        return component
    taken = {name_of(volume) for volume in found.volumes}
    mounted = {name_of(mount) for mount in found.volume_mounts}
    wanted = dict.fromkeys(name for one in mounts if (name := name_of(one)) in mounted - taken)
    if not wanted:
        return component
    volumes = (*found.volumes, *(claim_volume(name) for name in wanted if name))
    return {**component, "podTemplate": pod_template(found.with_(volumes=volumes))}


def _moved(spec: Json, order: Callable[[str, str], tuple[str, str]]) -> dict[str, Any]:
    found = {key: spec[key] for key in _SAME if spec.get(key) is not None}
    for alpha, beta in _RENAMED:
        old, new = order(alpha, beta)
        if spec.get(old) is not None:
            found[new] = spec[old]
    topology = spec.get(_TOPOLOGY)
    if isinstance(topology, Mapping):
        old, new = order(_PROFILE, _CLUSTER)
        found[_TOPOLOGY] = {new if key == old else key: one for key, one in topology.items()}
    return found


def _component(name: str, role: Role, service: Json) -> dict[str, Any]:
    try:
        component, _ = read_service(name, role, service, f"spec.services.{name}")
        return {**codec_v1beta1.write_component(component), **experimental.to_v1beta1(service)}
    except Exception:
        # Whatever it is: it is kept whole, since an object that fails hides all others of a list.
        return {"name": name, "type": role.value}


def _service(component: Json) -> dict[str, Any]:
    role = _role(component)
    kind, sub = types_of(role) if role else (component.get("type"), None)
    types = {key: one for key, one in ((_TYPE, kind), (_SUB_TYPE, sub)) if one is not None}
    try:
        service = {**write_service(_read(component)), **experimental.to_v1alpha1(component)}
    except Exception:
        return types
    rest = {key: one for key, one in service.items() if key not in (_TYPE, _SUB_TYPE)}
    return {**types, **rest}


def _role(component: Json) -> Role | None:
    """Return a component's role; upstream also stores types of v1alpha1 that are none, or none."""
    kind = component.get("type")
    return Role(str(kind)) if kind in list(Role) else None


def _read(component: Json) -> Component:
    role = _role(component) or Role.WORKER
    return codec_v1beta1.read_component({**component, "type": role.value}, "spec.components")


def _name(component: Json) -> bool:
    name = component.get("name")
    return isinstance(name, str) and name != ""
