"""What both versions of a status can say: of a request, a deployment and an adapter."""

from collections.abc import Mapping
from typing import Any

from dgdr_api.reading import object_of

Json = Mapping[str, Any]

_PENDING = "Pending"
_PHASES = (_PENDING, "Profiling", "Deploying", "Deployed", "Ready", "Failed")
_SHARED = ("conditions", "observedGeneration")
_DEPLOYMENT_SAME = (*_SHARED, "state", "restart", "checkpoints", "placement")


def request_to_v1beta1(status: Json) -> dict[str, Any]:
    """Return the phase for the state, the deployment's name, and the generated deployment."""
    found = _same(status, _SHARED)
    deployment = object_of(status.get("deployment"))
    if state := status.get("state"):
        created = deployment.get("created") is True
        found["phase"] = _phase(state, created=created)
    _set(found, "dgdName", deployment.get("name"))
    if (generated := status.get("generatedDeployment")) is not None:
        found["profilingResults"] = {"selectedConfig": generated}
    return found


def _phase(state: Any, *, created: bool) -> str:
    if state == "Ready":
        return "Deployed" if created else "Ready"
    if state == "DeploymentDeleted":
        return "Ready"
    return state if state in _PHASES else _PENDING


def request_to_v1alpha1(status: Json) -> dict[str, Any]:
    """Return the state for the phase; a deployment is created once its phase is Deployed."""
    found = _same(status, _SHARED)
    phase = status.get("phase")
    if phase:
        found["state"] = "Ready" if phase == "Deployed" else phase if phase in _PHASES else _PENDING
    if name := status.get("dgdName"):
        found["deployment"] = {"name": name, "created": phase == "Deployed"}
    selected = object_of(status.get("profilingResults")).get("selectedConfig")
    _set(found, "generatedDeployment", selected)
    return found


def deployment_to_v1beta1(status: Json) -> dict[str, Any]:
    """Return services as components, each with the names of its workloads."""
    found = _same(status, _DEPLOYMENT_SAME)
    if isinstance(services := status.get("services"), Mapping):
        found["components"] = {name: _component(one) for name, one in services.items()}
    _move(found, "rollingUpdate", status, "updatedServices", "updatedComponents")
    return found


def _component(service: Any) -> Any:
    if not isinstance(service, Mapping) or not service.get("componentName"):
        return service
    rest = {key: one for key, one in service.items() if key != "componentName"}
    return {"componentNames": [service["componentName"]], **rest}


def deployment_to_v1alpha1(status: Json) -> dict[str, Any]:
    """Return components as services; v1alpha1 requires the name of a workload, the last one."""
    found = _same(status, _DEPLOYMENT_SAME)
    if isinstance(components := status.get("components"), Mapping):
        found["services"] = {name: _service(one) for name, one in components.items()}
    _move(found, "rollingUpdate", status, "updatedComponents", "updatedServices")
    return found


def _service(component: Any) -> Any:
    if not isinstance(component, Mapping) or component.get("componentName"):
        return component
    names = component.get("componentNames")
    last = names[-1] if isinstance(names, list) and names else ""
    return {"componentName": last, **component}


def _move(into: dict[str, Any], field: str, status: Json, old: str, new: str) -> None:
    if isinstance(value := status.get(field), Mapping):
        into[field] = {new if key == old else key: one for key, one in value.items()}


def _same(status: Json, fields: tuple[str, ...]) -> dict[str, Any]:
    return {key: status[key] for key in fields if status.get(key) is not None}


def _set(into: dict[str, Any], key: str, value: Any) -> None:
    if value is not None:
        into[key] = value
