"""Kubernetes' Pod Security Standard `restricted`, as far as a field can be set through us.

https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from collections.abc import Iterator, Mapping
from typing import Any

Json = Mapping[str, Any]
Breach = tuple[str, object]
"""Path below the pod's template or the container, and what is there."""

RESTRICTED_POD = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
RESTRICTED_CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}

_SAFE_VOLUMES = frozenset(
    {
        *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"),
        *("persistentVolumeClaim", "projected", "secret"),
    }
)
_IDS = ("runAsUser", "runAsGroup", "fsGroup")
_FREE = ("fsGroupChangePolicy", "supplementalGroups", "readOnlyRootFilesystem")
_UNCONFINED = ("container.apparmor.security.beta.kubernetes.io/", "seccomp.security.alpha.")


def pod_breaches(template: Json) -> Iterator[Breach]:
    """Return what a pod template asks for beyond the standard, containers aside."""
    for annotation in template["metadata"].get("annotations") or {}:
        if annotation.startswith(_UNCONFINED):
            yield f"template.metadata.annotations[{annotation}]", annotation
    pod = template["spec"]
    for field, given in _context_breaches(pod.get("securityContext") or {}):
        yield f"template.spec.securityContext.{field}", given
    for volume in pod.get("volumes") or ():
        kinds = {key for key in volume if key != "name"}
        if kinds - _SAFE_VOLUMES or _holds_token(volume):
            yield f"template.spec.volumes[{volume['name']}]", sorted(kinds)


def container_breaches(container: Json) -> Iterator[Breach]:
    """Return what a container asks for beyond the standard."""
    for field, given in _context_breaches(container.get("securityContext") or {}):
        yield f"securityContext.{field}", given
    if container.get("volumeDevices"):
        yield "volumeDevices", container["volumeDevices"]
    for port in container.get("ports") or ():
        if port.get("hostPort"):
            yield "ports.hostPort", port["hostPort"]


def _context_breaches(context: Json) -> Iterator[Breach]:
    for field, given in context.items():
        if not _is_harmless(field, given):
            yield field, given


def _is_harmless(field: str, given: object) -> bool:
    match field:
        case "runAsNonRoot":
            return given is True
        case "privileged" | "allowPrivilegeEscalation":
            return given is False
        case "seccompProfile":
            return given == RESTRICTED_POD["seccompProfile"]
        case "capabilities":
            return given == RESTRICTED_CONTAINER["capabilities"]
        case _ if field in _IDS:
            # Root's group is harmless, and what images of OpenShift run in.
            return isinstance(given, int) and (given > 0 or field != "runAsUser")
        case _:
            return field in _FREE


def _holds_token(volume: Json) -> bool:
    """Whether a volume brings the token of the pod's account, which init containers shall lack."""
    projected = volume.get("projected")
    sources = projected.get("sources") if isinstance(projected, Mapping) else None
    if not isinstance(sources, list | tuple):
        return False
    return any("serviceAccountToken" in source for source in sources if isinstance(source, Mapping))
