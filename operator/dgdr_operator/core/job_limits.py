"""What a request may ask of its profiling Job: an allow-list, and the rest by ProfilingPolicy.

The Job holds rights in the namespace and keeps the policy's limits, so an override that runs other
code in it, or has it live longer than the policy says, would undo both. What is refused here is
said at Validation, with what cures it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dgdr_api.models.job_freedom import JobFreedom
from dgdr_api.problem import Problem
from dgdr_operator.core.job_overrides import PATH
from dgdr_operator.core.pod_security import container_breaches, pod_breaches

Json = Mapping[str, Any]

POLICY_FIELD = "spec.overrides"
# Their values decide which code runs, or to whom the account's token is shown.
_CODE_VARIABLES = ("LD_", "PYTHON", "GLIBC_", "KUBERNETES_", "KUBECONFIG", "PATH")
# Programs, and the files that the Job and its account are told by.
_PROGRAM_FOLDERS = (
    *("/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/run", "/var/run"),
    *("/proc", "/sys", "/dev", "/opt/venv", "/opt/aiperf", "/opt/numeric"),
)
_RESOURCES = ("cpu", "memory", "ephemeral-storage")


def breaches(
    spec: Json, freedom: JobFreedom, deadline_s: int | None, volumes: frozenset[str]
) -> Iterator[Problem]:
    """Return what an override sets without being allowed to.

    Args:
        spec: the JobSpec of the override alone, as far as it has an effect.
        freedom: what the policy allows.
        deadline_s: seconds that the policy gives the Job; None: any number.
        volumes: names of the Job's own volumes that no other may replace.
    """
    yield from _tries_and_time(spec, freedom, deadline_s)
    template = spec["template"]
    pod = template["spec"]
    yield from _chosen_by_name(pod, freedom)
    yield from _images(pod, freedom)
    yield from _volumes(pod, volumes)
    if not freedom.unrestricted:
        yield from _pod_security(template)
        yield from _code(pod)


def _tries_and_time(spec: Json, freedom: JobFreedom, deadline_s: int | None) -> Iterator[Problem]:
    limits = {
        "backoffLimit": (freedom.largest_backoff_limit, f"{POLICY_FIELD}.maxBackoffLimit"),
        "activeDeadlineSeconds": (deadline_s, "spec.deadline"),
    }
    for key, (most, owner) in limits.items():
        given = spec.get(key)
        if given is None:
            continue
        if not _is_whole(given):
            yield Problem(f"{PATH}.{key}", given, "use a whole number from 0")
        elif most is not None and given > most:
            text = f"use at most {most}, or raise {owner} of the ProfilingPolicy"
            yield Problem(f"{PATH}.{key}", given, text)


def _is_whole(given: object) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and given >= 0


def _chosen_by_name(pod: Json, freedom: JobFreedom) -> Iterator[Problem]:
    allowed = {
        "serviceAccountName": ("serviceAccounts", freedom.service_accounts),
        "priorityClassName": ("priorityClasses", freedom.priority_classes),
        "runtimeClassName": ("runtimeClasses", freedom.runtime_classes),
    }
    for key, (owner, names) in allowed.items():
        given = pod.get(key)
        if given is not None and given not in names:
            yield _refused(f"template.spec.{key}", given, owner)


def _images(pod: Json, freedom: JobFreedom) -> Iterator[Problem]:
    for path, container in _containers(pod):
        image = container.get("image")
        if image is not None and not freedom.allows_image(str(image)):
            yield _refused(f"{path}.image", image, "images")


def _volumes(pod: Json, kept: frozenset[str]) -> Iterator[Problem]:
    for volume in pod.get("volumes") or ():
        if volume["name"] in kept:
            path = f"{PATH}.template.spec.volumes[{volume['name']}]"
            yield Problem(path, volume["name"], "this volume is the Job's own; use another name")


def _pod_security(template: Json) -> Iterator[Problem]:
    for path, given in pod_breaches(template):
        yield _refused(path, given, "unrestricted")
    for path, container in _containers(template["spec"]):
        for field, given in container_breaches(container):
            yield _refused(f"{path}.{field}", given, "unrestricted")


def _code(pod: Json) -> Iterator[Problem]:
    """Find what changes the Job's program, or has it hold GPUs that no candidate gets."""
    for path, container in _containers(pod):
        if container.get("envFrom"):
            yield _refused(f"{path}.envFrom", container["envFrom"], "unrestricted")
        for entry in container.get("env") or ():
            if entry["name"].startswith(_CODE_VARIABLES):
                yield _refused(f"{path}.env[{entry['name']}]", entry["name"], "unrestricted")
        for mount in container.get("volumeMounts") or ():
            if _hides_program(str(mount.get("mountPath", ""))):
                where = f"{path}.volumeMounts[{mount['name']}].mountPath"
                yield _refused(where, mount.get("mountPath"), "unrestricted")
        yield from _special_resources(path, container)


def _special_resources(path: str, container: Json) -> Iterator[Problem]:
    resources = container.get("resources")
    for kind in ("limits", "requests", "claims"):
        wanted = resources.get(kind) if isinstance(resources, Mapping) else None
        for name in wanted or ():
            if kind == "claims" or name not in _RESOURCES:
                yield _refused(f"{path}.resources.{kind}", name, "unrestricted")


def _hides_program(mount: str) -> bool:
    at = _parts(mount)
    if ".." in at:
        return True
    programs = [_parts(folder) for folder in _PROGRAM_FOLDERS]
    # Inside of a folder of programs, or above one.
    return any(at[: len(of)] == of or of[: len(at)] == at for of in programs)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _containers(pod: Json) -> Iterator[tuple[str, Json]]:
    yield "template.spec.containers[profiler]", pod["containers"][0]
    for container in pod.get("initContainers") or ():
        yield f"template.spec.initContainers[{container['name']}]", container


def _refused(path: str, given: object, owner: str) -> Problem:
    cure = f"remove it, or have {POLICY_FIELD}.{owner} of the ProfilingPolicy allow it"
    return Problem(f"{PATH}.{path}", given, f"a request may not set this; {cure}")
