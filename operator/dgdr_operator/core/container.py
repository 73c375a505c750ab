"""The main container of a component: Dynamo's defaults below, the user's template on top."""

from typing import Any

from dgdr_api.graph import Component, Graph, Json, Role
from dgdr_api.pods import GPU, MAIN, read_main
from dgdr_operator.core.data_plane import DataPlane
from dgdr_operator.core.environment import environment
from dgdr_operator.core.overlay import overlay, overlay_list
from dgdr_operator.core.ports_and_probes import container_ports, probes

# Without a request a pod is BestEffort and gets next to no CPU beside other work of the node: a
# start of 6 s took 26 s beside a compiler. Dynamo's own processes need little more than this.
DEFAULT_REQUESTS = {"cpu": "200m", "memory": "256Mi"}

FRONTEND_COMMAND = ("python3",)
# One of them is what a probe asks.
_HANDLERS = frozenset({"httpGet", "exec", "tcpSocket", "grpc"})
FRONTEND_ARGS = ("-m", "dynamo.frontend")


def main_container(
    graph: Graph, component: Component, plane: DataPlane, mounts: tuple[Json, ...] = ()
) -> dict[str, Any]:
    """Return the container; ``mounts`` are ours, and give way to the user's at the same path."""
    user = {k: v for k, v in component.container.items() if k not in ("resources", "ports")}
    ours: dict[str, Any] = {
        "name": MAIN,
        **_program(component),
        "env": environment(graph, component, plane),
        "ports": overlay_list(
            container_ports(component.role), component.container.get("ports") or (), "name"
        ),
        "resources": resources(component),
        # A crashed process leaves its last words in the pod's status, where users and we see them.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **_security(plane),
        **_probes(component),
        **_pre_stop(component, plane),
    }
    if volume_mounts := overlay_list(mounts, component.volume_mounts, "mountPath"):
        ours["volumeMounts"] = volume_mounts
    if component.env_from:
        ours["envFrom"] = [dict(entry) for entry in component.env_from]
    return overlay(ours, user)


def frontend_sidecar(
    graph: Graph, component: Component, container: Json, plane: DataPlane
) -> dict[str, Any]:
    """Return the frontend that runs beside an engine: with all that a frontend's container gets."""
    name = str(container["name"])
    frontend = Component(
        name=component.name,
        role=Role.FRONTEND,
        pod=component.pod,
        **read_main(container, f"containers[{name}]"),
    )
    return {**main_container(graph, frontend, plane), "name": name}


def resources(component: Component) -> dict[str, Any]:
    """Return the user's resources, with requests where there are none and whole GPUs.

    Kubernetes wants limits and requests of an extended resource to be equal.
    """
    given = component.container.get("resources") or {}
    limits = dict(given.get("limits") or {})
    requests = dict(given.get("requests") or {})
    for name, amount in DEFAULT_REQUESTS.items():
        if name not in limits:
            requests.setdefault(name, amount)
    for amounts in (limits, requests):
        amounts.pop(GPU, None)
        if component.gpus:
            amounts[GPU] = str(component.gpus)
    return {
        **{key: value for key, value in given.items() if key not in ("limits", "requests")},
        **({"limits": limits} if limits else {}),
        **({"requests": requests} if requests else {}),
    }


def _program(component: Component) -> dict[str, Any]:
    command, args = component.command, component.args
    if component.role is Role.FRONTEND and not command:
        command, args = FRONTEND_COMMAND, args or FRONTEND_ARGS
    program: dict[str, Any] = {"image": component.image or ""}
    if command:
        program["command"] = list(command)
    if args:
        program["args"] = list(args)
    if component.working_dir:
        program["workingDir"] = component.working_dir
    return program


def _security(plane: DataPlane) -> dict[str, Any]:
    context = plane.pods.container_context()
    return {"securityContext": context} if context else {}


def _probes(component: Component) -> dict[str, Any]:
    """Return ours, and to a probe of the user's that asks nothing what ours asks.

    Its times are those of Kubernetes where the user gives none, as anywhere else.
    """
    found = {}
    for name, ours in probes(component.role).items():
        own = component.container.get(name)
        if own is None:
            found[name] = ours
        elif not _HANDLERS.intersection(own):
            found[name] = {"httpGet": ours["httpGet"], **own}
    return found


def _pre_stop(component: Component, plane: DataPlane) -> dict[str, Any]:
    """Delay the stop, but leave a pod whose user gave it less time a second to stop in.

    The API server refuses a pod whose delay does not fit into its grace period.
    """
    lifecycle = component.container.get("lifecycle") or {}
    grace_s = component.pod.get("terminationGracePeriodSeconds")
    delay_s = plane.pre_stop_s if grace_s is None else min(plane.pre_stop_s, int(grace_s) - 1)
    if delay_s <= 0 or "preStop" in lifecycle:
        return {}
    return {"lifecycle": {"preStop": {"sleep": {"seconds": delay_s}}}}
