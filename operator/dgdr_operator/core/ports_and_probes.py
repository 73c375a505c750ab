"""Ports and probes by role, as Dynamo's processes offer them."""

from collections.abc import Mapping, Sequence
from typing import Any

from dgdr_api.graph import Role

FRONTEND_PORT = 8000
SYSTEM_PORT = 9090
NIXL_PORT = 19090
METRICS_PORT = 9085
FORWARD_PASS_PORT = 20380

# A large model loads for an hour and more; a mocker is there in seconds. Asking every second
# serves both.
STARTUP_PATIENCE_S = 7200
# A Ready pod gets traffic and an unready one loses it, so Ready must be quick, and one slow answer
# of a busy engine must not take it away.
READY_PATIENCE_S = 30

Probe = dict[str, Any]
Port = dict[str, Any]


def container_ports(role: Role) -> list[Port]:
    """Ports that the main container of a role opens."""
    if role is Role.NONE:
        return []
    if role is Role.FRONTEND:
        return [_port("http", FRONTEND_PORT)]
    if role.serves_model:
        return [_port("system", SYSTEM_PORT), _port("nixl", NIXL_PORT)]
    return [_port("metrics", METRICS_PORT), _port("system", SYSTEM_PORT)]


def service_ports(role: Role, own: Sequence[Mapping[str, Any]] = ()) -> list[Port]:
    """Ports of a role's Service; requests between Dynamo's pods go to pod addresses, not here.

    A component without a role has those that its container names; without any it has no Service.
    """
    if role is Role.NONE:
        return [
            _service_port(port["name"], port["containerPort"]) for port in own if "name" in port
        ]
    name, number = ("http", FRONTEND_PORT) if role is Role.FRONTEND else ("system", SYSTEM_PORT)
    return [_service_port(name, number)]


def _service_port(name: str, number: int) -> Port:
    return {"name": name, "port": number, "targetPort": name, "protocol": "TCP"}


def probes(role: Role) -> dict[str, Probe]:
    """Probes of a role's main container; a probe that the user wrote replaces its namesake.

    A frontend gets a start-up probe too: on a busy node its imports take longer than any delay
    that a liveness probe could sensibly wait.
    """
    if role is Role.NONE:
        return {}
    if role is Role.FRONTEND:
        return {
            "startupProbe": _probe("/live", "http", timeout_s=5, failures=STARTUP_PATIENCE_S),
            "livenessProbe": _probe("/live", "http", period_s=10, timeout_s=4, failures=3),
            "readinessProbe": _probe("/health", "http", timeout_s=3, failures=READY_PATIENCE_S),
        }
    return {
        "startupProbe": _probe("/live", "system", timeout_s=5, failures=STARTUP_PATIENCE_S),
        # Three failures, not upstream's one: a single late answer would cost a loaded model.
        "livenessProbe": _probe("/live", "system", period_s=5, timeout_s=4, failures=3),
        "readinessProbe": _probe("/health", "system", timeout_s=4, failures=READY_PATIENCE_S),
    }


def _probe(path: str, port: str, *, timeout_s: int, failures: int, period_s: int = 1) -> Probe:
    return {
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "periodSeconds": period_s,
        "timeoutSeconds": timeout_s,
        "failureThreshold": failures,
        "successThreshold": 1,
    }


def _port(name: str, number: int) -> Port:
    return {"name": name, "containerPort": number, "protocol": "TCP"}
