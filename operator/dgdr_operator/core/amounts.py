"""Amounts of resources that are none: the API server's own refusal would not say which."""

from collections.abc import Iterator, Mapping
from typing import Any

from dgdr_api.graph import Component
from dgdr_api.pods import MAIN
from dgdr_api.reading import objects_of
from dgdr_kube.quantities import amount


def bad_amount(component: Component) -> str | None:
    """Return what is wrong with the first amount that is no quantity; None when all are."""
    return next(_bad_amounts(component), None)


def _bad_amounts(component: Component) -> Iterator[str]:
    for name, container in _containers(component):
        resources = container.get("resources")
        for kind in ("limits", "requests"):
            amounts = resources.get(kind) if isinstance(resources, Mapping) else None
            if not isinstance(amounts, Mapping):
                continue
            for key, value in amounts.items():
                if amount(value) is None:
                    yield (
                        f"resources.{kind}.{key} of container {name} is {value!r}, which is no "
                        "quantity; write 2, 500m or 8Gi"
                    )


def _containers(component: Component) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    yield MAIN, component.container
    for key in ("containers", "initContainers"):
        for entry in objects_of(component.pod.get(key)):
            if entry.get("name") != MAIN:
                yield entry.get("name"), entry
