"""Objects as JSON over one open connection: what is asked each second must not cost a process.

A call of kubectl takes 90 ms of CPU, a read here 5, and end-to-end tests read thousands of times.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from kubernetes.client import ApiException
from kubernetes.config import new_client_from_config
from kubernetes.dynamic import DynamicClient, Resource
from kubernetes.dynamic.exceptions import NotFoundError, ResourceNotFoundError
from kubernetes.dynamic.resource import ResourceList
from urllib3.exceptions import HTTPError

Manifest = dict[str, Any]

FAILURES = (ApiException, HTTPError, ResourceNotFoundError)
"""What a read raises when the API server answers with no objects, or with nothing."""


def get(kubeconfig: Path, kind: str, name: str, namespace: str) -> Manifest | None:
    """Return one object, or None when there is none; raise one of FAILURES."""
    try:
        return _read(_resource(kubeconfig, kind), namespace, name=name)
    except NotFoundError:
        return None


def of_kinds(kubeconfig: Path, kinds: str, namespace: str, selector: str) -> list[Manifest]:
    """Return the objects of kinds, parted by commas, that carry labels; raise one of FAILURES.

    An empty namespace stands for all. Each object says its kind, which a list's items do not.
    """
    found = []
    for kind in kinds.split(","):
        resource = _resource(kubeconfig, kind)
        about = {"apiVersion": resource.group_version, "kind": resource.kind}
        listed = _read(resource, namespace, label_selector=selector)["items"]
        found += [about | item for item in listed]
    return found


def post(kubeconfig: Path, path: str, body: Manifest) -> Manifest:
    """Return what a path, such as a proxy's, answers to JSON; raise one of FAILURES."""
    answered = _client(kubeconfig).request(
        "post", path, body=body, serialize=False, _request_timeout=60
    )
    told: Manifest = json.loads(answered.data)
    return told


def _read(resource: Resource, namespace: str, **query: str) -> Manifest:
    where = {"namespace": namespace} if namespace and resource.namespaced else {}
    answered: Manifest = json.loads(
        resource.get(**where, **query, serialize=False, _request_timeout=60).data
    )
    return answered


@cache
def _client(kubeconfig: Path) -> DynamicClient:
    # What a cluster serves is otherwise kept below the temporary folder, by address alone.
    return DynamicClient(
        new_client_from_config(str(kubeconfig)),
        cache_file=str(kubeconfig.parent / "served-kinds.json"),
    )


def _resource(kubeconfig: Path, kind: str) -> Resource:
    """The kind by any name that kubectl knows, where it can be in the version of its group."""
    served = _client(kubeconfig).resources
    for _ in range(2):
        named = [one for one in served.search() if kind in _names(one)]
        if named:
            return max(named, key=lambda one: bool(one.preferred))
        served.invalidate_cache()
    raise ResourceNotFoundError(f"no kind {kind} is served")


def _names(resource: Resource) -> tuple[str, ...]:
    if isinstance(resource, ResourceList):
        return ()
    short = resource.short_names or ()
    return (resource.name, f"{resource.name}.{resource.group}", resource.singular_name, *short)
