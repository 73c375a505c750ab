"""Environment of a component's main container."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from dgdr_api.graph import Component, Graph, Json, Role
from dgdr_api.releases import Feature, release_of
from dgdr_operator.core.data_plane import DataPlane
from dgdr_operator.core.ports_and_probes import (
    FORWARD_PASS_PORT,
    FRONTEND_PORT,
    METRICS_PORT,
    NIXL_PORT,
    SYSTEM_PORT,
)
from dgdr_operator.core.storage import vllm_cache
from dgdr_operator.core.workload_labels import runtime_namespace

EnvVar = dict[str, Any]


def environment(graph: Graph, component: Component, plane: DataPlane) -> list[EnvVar]:
    """Return all variables: ours, the graph's, the component's; the last of a name wins.

    A variable may refer only to those before it, so a replaced entry moves to its new owner's
    place instead of keeping the old one.
    """
    return last_of_each_name(chain(_defaults(graph, component, plane), graph.env, component.env))


def last_of_each_name(entries: Iterable[Json]) -> list[EnvVar]:
    """Keep the last entry of each name, in the order of the entries kept."""
    kept: dict[str, EnvVar] = {}
    for entry in entries:
        kept.pop(entry["name"], None)
        kept[entry["name"]] = dict(entry)
    return list(kept.values())


def _defaults(graph: Graph, component: Component, plane: DataPlane) -> Iterator[EnvVar]:
    namespace = graph.namespace or "default"
    yield _field("POD_NAME", "metadata.name")
    yield _field("POD_NAMESPACE", "metadata.namespace")
    yield _field("POD_UID", "metadata.uid")
    yield _value("DYN_NAMESPACE", runtime_namespace(graph, component))
    if component.role is not Role.NONE:
        yield _value("DYN_COMPONENT", component.role)
    yield _value("DYN_PARENT_DGD_K8S_NAME", graph.name)
    yield _value("DYN_PARENT_DGD_K8S_NAMESPACE", namespace)
    yield from _servers(plane)
    yield from (_value(name, value) for name, value in _role_values(component.role, plane).items())
    if component.role.serves_model or component.role is Role.PLANNER:
        yield from (_value(*entry) for entry in _health_values(component).items())
    if component.role.serves_model:
        yield from (_value(*entry) for entry in _engine_values(graph, component).items())


def _servers(plane: DataPlane) -> Iterator[EnvVar]:
    yield _value("DYN_DISCOVERY_BACKEND", plane.discovery)
    yield _value("DYN_REQUEST_PLANE", plane.request_plane)
    yield _value("DYN_EVENT_PLANE", plane.event_plane)
    servers = {
        "NATS_SERVER": plane.nats_url,
        "ETCD_ENDPOINTS": plane.etcd_endpoints,
        "MODEL_EXPRESS_URL": plane.model_express_url,
    }
    yield from (_value(name, url) for name, url in servers.items() if url)


def _role_values(role: Role, plane: DataPlane) -> dict[str, str]:
    """Variables of one role.

    DYN_SYSTEM_PORT opens the port of a worker's probes. Dynamo 1.0.2 calls
    DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS deprecated and unused, but a worker without it, and
    without a health check of its own, such as the mocker, stays "notready" for ever.

    A frontend that is told to end forgets its workers at once but goes on taking requests on
    open connections for DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS, and answers 500 (44 of 450 in a
    rolling update). With 0 it closes idle connections and finishes its streams (0 of 280).
    """
    if role is Role.NONE:
        return {}
    if role is Role.FRONTEND:
        return {
            "DYNAMO_PORT": str(FRONTEND_PORT),
            "DYN_HTTP_PORT": str(FRONTEND_PORT),
            "DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS": "0",
        }
    system = {"DYN_SYSTEM_PORT": str(SYSTEM_PORT)}
    if role.serves_model:
        return system | {
            "DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS": '["generate"]',
            "DYN_HEALTH_CHECK_ENABLED": "false",
            "NIXL_TELEMETRY_ENABLE": "n",
            "NIXL_TELEMETRY_EXPORTER": "prometheus",
            "NIXL_TELEMETRY_PROMETHEUS_PORT": str(NIXL_PORT),
        }
    url = {"PROMETHEUS_ENDPOINT": plane.prometheus_url} if plane.prometheus_url else {}
    return system | {"PLANNER_PROMETHEUS_PORT": str(METRICS_PORT)} | url


def _health_values(component: Component) -> dict[str, str]:
    """What a release needs for its answer to probes.

    A planner of 1.0 waits until its deployment is Ready, and is a part of it, but would itself
    become ready by an endpoint that it serves only when it ends.
    """
    found = {}
    release = release_of(component.extra.get("runtimeVersionOverride"), component.image)
    if not release.has(Feature.SYSTEM_PORT_ALONE):
        found["DYN_SYSTEM_ENABLED"] = "true"
    if component.role is Role.PLANNER and not release.has(Feature.PLANNER_TELLS_HEALTH):
        found["DYN_SYSTEM_STARTING_HEALTH_STATUS"] = "ready"
    return found


def _engine_values(graph: Graph, component: Component) -> dict[str, str]:
    """Variables that depend on who reads metrics, and on what is cached."""
    found = {}
    if graph.with_role(Role.PLANNER):
        # Upstream's own planner scales by what engines tell of each forward pass.
        found["DYN_FORWARDPASS_METRIC_PORT"] = str(FORWARD_PASS_PORT)
    if (path := vllm_cache(graph, component)) is not None:
        found["VLLM_CACHE_ROOT"] = path
    return found


def _value(name: str, value: str) -> EnvVar:
    return {"name": name, "value": str(value)}


def _field(name: str, path: str) -> EnvVar:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
