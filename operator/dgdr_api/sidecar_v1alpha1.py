"""A frontend beside an engine, which v1alpha1 writes as a field and v1beta1 as a container."""

from collections.abc import Sequence
from typing import Any

from dgdr_api.graph import Component, Json
from dgdr_api.reading import Reader, plain, set_

FIELD = "frontendSidecar"
"""It describes the container in a v1alpha1 service, and names it in a v1beta1 component."""
NAME = "sidecar-frontend"
"""The name that upstream gives to the container."""

_SAME = frozenset({"name", "image", "command", "args"})


def secrets(name: str | None) -> list[Json]:
    """Return what ``envFromSecret`` stands for."""
    return [{"secretRef": {"name": name}}] if name else []


def only_secret(env_from: Sequence[Any]) -> str | None:
    """Return the secret's name, when it is all that an environment comes from."""
    try:
        name = env_from[0]["secretRef"]["name"]
    except (IndexError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) and plain(env_from) == secrets(name) else None


def read_sidecar(sidecar: Reader) -> Json | None:
    """Return the container of the field; None where there is none."""
    env, secret = sidecar.objects("envs"), sidecar.text("envFromSecret")
    container = sidecar.rest()
    set_(container, env=plain(env), envFrom=secrets(secret))
    return {"name": NAME, **container} if container else None


def write_sidecar(component: Component) -> tuple[Json | None, list[Json]]:
    """Return the field, and the containers that are not said by it."""
    containers = list(component.pod.get("containers", []))
    last = containers[-1] if containers else {}
    if component.extra.get(FIELD) != NAME or last.get("name") != NAME:
        return None, containers
    secret = only_secret(last.get("envFrom") or [])
    known = {*_SAME, "env", *(["envFrom"] if secret else [])}
    if not known.issuperset(last):
        return None, containers
    field = {key: value for key, value in last.items() if key in _SAME and key != "name"}
    set_(field, envs=last.get("env"), envFromSecret=secret)
    return field, containers[:-1]
