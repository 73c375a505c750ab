"""Upstream's manifests, and those that must be refused, read by the models."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from dgdr_api.catalog import CRDS
from dgdr_api.codec_v1beta1 import decode, encode
from dgdr_api.effective import effective
from dgdr_api.models.base import Resource
from dgdr_api.models.dgdr_v1beta1 import DynamoGraphDeploymentRequest
from dgdr_api.problem import from_validation
from dgdr_api.validate import problems

MANIFESTS = Path(__file__).parents[2] / "golden" / "api" / "manifests"
MODELS = {
    (f"{crd.group}/{version.name}", crd.kind): version.model
    for crd in CRDS
    for version in crd.versions
}
# What an object says outside of its spec, which only the API server checks.
SERVER_ONLY = {"name-too-long-for-the-job"}


def manifests(folder: str, kind: str | None = None) -> list[Any]:
    found = sorted((MANIFESTS / folder).glob("*.yaml"))
    loaded = {path.stem: yaml.safe_load(path.read_text()) for path in found}
    return [
        pytest.param(content, id=name)
        for name, content in loaded.items()
        if (kind is None or content["kind"] == kind) and name not in SERVER_ONLY
    ]


@pytest.mark.parametrize("manifest", manifests("valid"))
def test_a_valid_manifest_is_read_and_written_back(manifest: dict[str, Any]) -> None:
    model = MODELS[manifest["apiVersion"], manifest["kind"]]
    assert issubclass(model, Resource)
    assert model.parse(manifest).to_json() == _without_nulls(manifest)


def _without_nulls(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_nulls(value) for key, value in node.items() if value is not None}
    return [_without_nulls(value) for value in node] if isinstance(node, list) else node


@pytest.mark.parametrize("manifest", manifests("valid", "DynamoGraphDeploymentRequest"))
def test_a_valid_request_has_no_problem(manifest: dict[str, Any]) -> None:
    request = DynamoGraphDeploymentRequest.parse(manifest)
    assert problems(request.spec, None, request.metadata.name) == ()
    assert effective(request.spec).model == request.spec.model


@pytest.mark.parametrize("manifest", manifests("valid", "DynamoGraphDeployment"))
def test_a_valid_deployment_is_a_graph(manifest: dict[str, Any]) -> None:
    assert encode(decode(manifest)) == manifest


@pytest.mark.parametrize("manifest", manifests("invalid", "DynamoGraphDeploymentRequest"))
def test_what_the_server_refuses_is_refused_here_too(manifest: dict[str, Any]) -> None:
    try:
        request = DynamoGraphDeploymentRequest.parse(manifest)
    except ValidationError as exc:
        found = from_validation(exc)
    else:
        found = problems(request.spec, None, request.metadata.name)
    assert found
    assert all(problem.field and problem.message for problem in found)


def test_an_error_of_a_model_names_the_field_as_the_manifest_does() -> None:
    manifest = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeploymentRequest",
        "spec": {"model": "m", "modelCache": {"pvcName": 5}, "hardware": {"numGpusPerNode": 0}},
    }
    with pytest.raises(ValidationError) as caught:
        DynamoGraphDeploymentRequest.parse(manifest)
    assert [str(problem) for problem in from_validation(caught.value)] == [
        "spec.modelCache.pvcName: Invalid value: 5: input should be a valid string",
        "spec.hardware.numGpusPerNode: Invalid value: 0: input should be greater than or equal "
        "to 1",
    ]
