"""What an accepted manifest becomes: rendered by the operator's own functions, and tried.

Each object is created with ``dryRun=All``, so that a real API server judges pods that nobody runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from dgdr_api import codec_v1beta1
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_api.problem import from_validation
from dgdr_api.reading import CodecError
from dgdr_api.request import OwnerReference, ProfilingRequest
from dgdr_api.validate import problems
from dgdr_operator.core.data_plane import DataPlane
from dgdr_operator.core.job import JobImage, render_job, render_request
from dgdr_operator.core.workloads import render_workloads
from hack.rest import Rest

Json = Mapping[str, Any]

RUNS = "runs"
IN_PART = "runs in part, and a condition says what does not"
TOLD = "runs not, and a condition says why"
NOT_TAKEN = "Kubernetes refuses what it becomes"
RAISED = "RAISED"

GRAPH, REQUEST = "DynamoGraphDeployment", "DynamoGraphDeploymentRequest"
_GROUP = "LeaderWorkerSet"
_PLURALS = {
    "ConfigMap": "configmaps",
    "Deployment": "deployments",
    "Job": "jobs",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
}


@dataclass(frozen=True, slots=True)
class Becomes:
    """What it becomes in one word, and what is said about it."""

    result: str
    detail: str = ""


def becomes(stored: Json, rest: Rest) -> Becomes:
    """Return what becomes of an object of v1beta1 as it is stored."""
    try:
        if stored["kind"] == GRAPH:
            return _of_graph(stored, rest)
        if stored["kind"] == REQUEST:
            return _of_request(stored, rest)
    except Exception as exc:  # whatever it is, it is what is looked for
        return Becomes(RAISED, f"{type(exc).__name__}: {exc}")
    return Becomes(RUNS)


def _of_graph(stored: Json, rest: Rest) -> Becomes:
    try:
        graph = codec_v1beta1.decode(stored)
        made = render_workloads(graph, _owner(stored), DataPlane(groups=True))
    except CodecError as exc:
        return Becomes(TOLD, str(exc))
    if refused := [*_refusals(made.manifests, rest)]:
        return Becomes(NOT_TAKEN, "; ".join(refused))
    if not made.problems:
        return Becomes(RUNS)
    all_of_them = len(made.problems) == len(graph.components)
    return Becomes(TOLD if all_of_them else IN_PART, "; ".join(map(str, made.problems)))


def _of_request(stored: Json, rest: Rest) -> Becomes:
    metadata = stored["metadata"]
    try:
        spec = DGDRSpec.model_validate(stored.get("spec"))
    except ValidationError as exc:
        return Becomes(TOLD, "; ".join(map(str, from_validation(exc, "spec"))))
    if found := problems(spec, None, str(metadata["name"])):
        return Becomes(TOLD, "; ".join(map(str, found)))
    request = ProfilingRequest(
        dgdr_name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        spec=spec,
        owner_reference=OwnerReference.model_validate(_owner(stored)),
    )
    made = (render_request(request), render_job(request, JobImage(name="registry.test/profiler:1")))
    refused = [*_refusals(made, rest)]
    return Becomes(NOT_TAKEN, "; ".join(refused)) if refused else Becomes(RUNS)


def _owner(stored: Json) -> dict[str, Any]:
    metadata = stored["metadata"]
    same = {key: stored[key] for key in ("apiVersion", "kind")}
    return {**same, "name": metadata["name"], "uid": metadata["uid"]}


def _refusals(manifests: Any, rest: Rest) -> Iterator[str]:
    for manifest in (one for whole in manifests for one in _tried(whole)):
        answer = rest.call("POST", f"{_path(manifest)}?dryRun=All", manifest)
        if not answer.ok:
            yield f"{manifest['kind']} {manifest['metadata']['name']}: {answer.message}"


def _tried(manifest: Json) -> Iterator[Json]:
    """Yield an object, or for a group, whose kind may not be served, the pods of both its kinds."""
    if manifest["kind"] != _GROUP:
        yield manifest
        return
    group = manifest["spec"]["leaderWorkerTemplate"]
    for key in ("leaderTemplate", "workerTemplate"):
        labels = group[key]["metadata"]["labels"]
        spec = {"selector": {"matchLabels": labels}, "template": group[key]}
        yield {**manifest, "apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}


def _path(manifest: Json) -> str:
    version, namespace = manifest["apiVersion"], manifest["metadata"]["namespace"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    return f"{root}/namespaces/{namespace}/{_PLURALS[manifest['kind']]}"
