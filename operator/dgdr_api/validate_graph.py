"""What is wrong with a DynamoGraphDeployment, as far as its manifest says: both versions.

The CRD of v1beta1 holds most of it; an object that comes as v1alpha1 is checked by that CRD's model
here, because the API server checks each object by the schema of its own version.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from dgdr_api import codec_v1beta1, graph_v1alpha1
from dgdr_api.conversion import ALPHA, BETA, converted
from dgdr_api.graph import Component, Graph, Json, Role
from dgdr_api.models.dgd_v1beta1 import DGDSpec
from dgdr_api.names import MAX_WORKLOAD_NAME_CHARS, component_name
from dgdr_api.pods import MAIN
from dgdr_api.problem import Problem, from_validation
from dgdr_api.reading import CodecError

NO_COMPONENT = "must have at least one component"
NO_IMAGE = "is required"


def graph_problems(manifest: Json) -> tuple[Problem, ...]:
    """Return what is wrong with a deployment, in the words of v1beta1 where both have some.

    A part that cannot be read is named by the version that it was written in.
    """
    try:
        if manifest.get("apiVersion") == ALPHA:
            graph_v1alpha1.read_graph(manifest)
        hub = converted(manifest, BETA)
        if breaches := _breaches(hub.get("spec")):
            return breaches
        graph = codec_v1beta1.decode(hub)
    except CodecError as exc:
        return (Problem(exc.field, exc.value, f"must be {exc.wanted}"),)
    return (*_without_image(graph), *_names(graph))


def _breaches(spec: Any) -> tuple[Problem, ...]:
    """Return what the schema of v1beta1 refuses."""
    if not (isinstance(spec, Mapping) and spec.get("components")):
        return (Problem("spec.components", None, NO_COMPONENT),)
    try:
        DGDSpec.model_validate(spec)
    except ValidationError as exc:
        return from_validation(exc, "spec")
    return ()


def _without_image(graph: Graph) -> Iterator[Problem]:
    for index, component in enumerate(graph.components):
        if not component.image:
            yield Problem(_image_path(index, component), None, NO_IMAGE)


def _image_path(index: int, component: Component) -> str:
    names = [one.get("name") for one in component.pod.get("containers", ())]
    place = names.index(MAIN) if MAIN in names else 0
    return f"spec.components[{index}].podTemplate.spec.containers[{place}].image"


def _names(graph: Graph) -> Iterator[Problem]:
    alike = Counter(component.name.lower() for component in graph.components)
    for index, component in enumerate(graph.components):
        path = f"spec.components[{index}]"
        if alike[component.name.lower()] > 1:
            text = "names of components must differ in more than upper and lower case"
            yield Problem(f"{path}.name", component.name, text)
        long = too_long(graph.name, component.name) if graph.name else None
        if long is not None:
            yield Problem("metadata.name", graph.name, long)
    pickers = [component for component in graph.components if component.role is Role.EPP]
    if len(pickers) > 1:
        yield Problem("spec.components", len(pickers), "only one component may have the type epp")


def not_run(component: Component) -> str | None:
    """Say why nothing runs a component of this type; None where something does."""
    if component.role is not Role.EPP:
        return None
    return (
        "type epp (endpoint picker of the Gateway API) is not run in standalone mode yet; "
        "remove the component and send requests to the frontend"
    )


def too_long(graph: str, component: str) -> str | None:
    """Say that a workload's name would be too long for a Service; None when it is not."""
    name = component_name(graph, component)
    if len(name) <= MAX_WORKLOAD_NAME_CHARS:
        return None
    return (
        f"the workload {name} of component {component} has {len(name)} characters; names of "
        f"Services have at most {MAX_WORKLOAD_NAME_CHARS}, so shorten either by "
        f"{len(name) - MAX_WORKLOAD_NAME_CHARS}"
    )
