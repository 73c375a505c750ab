"""The pod template of a component."""

from collections.abc import Mapping
from typing import Any

from dgdr_api.graph import Component, Graph, Json, Role
from dgdr_api.pods import MAIN, PROBES
from dgdr_operator.core.container import frontend_sidecar, main_container
from dgdr_operator.core.data_plane import DataPlane
from dgdr_operator.core.discovery_rbac import planner_account_name, service_account_name
from dgdr_operator.core.overlay import overlay, overlay_list
from dgdr_operator.core.storage import storage
from dgdr_operator.core.workload_labels import pod_labels

# How long requests that a pod has already accepted may take after its preStop delay.
DRAIN_S = 60

_MERGED = frozenset(
    {
        *("containers", "volumes", "tolerations", "imagePullSecrets", "securityContext"),
        "serviceAccountName",
    }
)
# Its chart makes it in each namespace, with rights to every deployment there.
UPSTREAMS_PLANNER_ACCOUNT = "planner-serviceaccount"


def pod_template(graph: Graph, component: Component, plane: DataPlane) -> dict[str, Any]:
    """Return the template: defaults, then the user's podTemplate, then labels that we select by."""
    metadata: dict[str, Any] = {**component.pod_meta, "labels": pod_labels(graph, component)}
    if annotations := {**graph.pod_annotations, **component.annotations}:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": _pod_spec(graph, component, plane)}


def without_probes(template: dict[str, Any]) -> None:
    """Take the probes of the main container away: a pod that follows a leader serves no port."""
    main = template["spec"]["containers"][0]
    for probe in PROBES:
        main.pop(probe, None)


def service_account(graph: Graph, component: Component, plane: DataPlane) -> str | None:
    """Return the account that the pods run as: the user's, else one with the rights they need."""
    own = component.pod.get("serviceAccountName")
    if component.role is Role.PLANNER and own in (None, "", UPSTREAMS_PLANNER_ACCOUNT):
        return planner_account_name(graph.name)
    if own:
        return str(own)
    return service_account_name(graph.name) if plane.needs_rights else None


def _is_frontend(component: Component, container: Json) -> bool:
    name = component.extra.get("frontendSidecar")
    return name is not None and container.get("name") == name


def _pod_spec(graph: Graph, component: Component, plane: DataPlane) -> dict[str, Any]:
    added = storage(graph, component)
    main = main_container(graph, component, plane, added.mounts)
    beside = [
        frontend_sidecar(graph, component, c, plane) if _is_frontend(component, c) else dict(c)
        for c in component.pod.get("containers", ())
        if c.get("name") != MAIN
    ]
    ours: dict[str, Any] = {
        "terminationGracePeriodSeconds": plane.pre_stop_s + DRAIN_S,
        "securityContext": component.pod.get("securityContext") or plane.pods.pod_context(),
        "containers": [main, *beside],
    }
    if priority := graph.extra.get("spec", {}).get("priorityClassName"):
        ours["priorityClassName"] = priority
    if account := service_account(graph, component, plane):
        ours["serviceAccountName"] = account
    lists: Mapping[str, list[dict[str, Any]]] = {
        "volumes": overlay_list(added.volumes, component.volumes, "name"),
        "tolerations": [dict(entry) for entry in component.tolerations],
        "imagePullSecrets": overlay_list(
            [{"name": name} for name in plane.pull_secrets],
            component.pod.get("imagePullSecrets") or (),
            "name",
        ),
    }
    ours |= {name: entries for name, entries in lists.items() if entries}
    return overlay(ours, {k: v for k, v in component.pod.items() if k not in _MERGED})
