import pytest
from pydantic import ValidationError

from dgdr_api.models.profiling_policy import ProfilingPolicySpec
from dgdr_api.request import OwnerReference, ProfilingRequest

REQUEST = ProfilingRequest.model_validate(
    {
        "dgdrName": "q",
        "namespace": "ns",
        "uid": "u",
        "generation": 3,
        "spec": {"model": "m", "sla": {"ttft": 500, "itl": 50}, "features": {"planner": {}}},
        "policy": {"candidateEngine": "mocker", "candidateTimeout": "5m"},
        "hardware": {"gpuSku": "h200_sxm", "gpusPerNode": 8, "totalGpus": 16, "source": "spec"},
        "images": {"dynamoMocker": "registry.test/dgdr/dynamo-mocker:dev"},
        "dataPlane": {"preStopSeconds": 7},
        "ownerReference": {
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeploymentRequest",
            "name": "q",
            "uid": "u",
        },
    }
)


def test_a_request_survives() -> None:
    assert ProfilingRequest.from_text(REQUEST.to_text()) == REQUEST


def test_an_empty_planner_is_still_a_planner() -> None:
    features = ProfilingRequest.from_text(REQUEST.to_text()).spec.features
    assert features is not None
    assert features.planner == {}


def test_the_spec_travels_without_defaults() -> None:
    assert REQUEST.to_json()["spec"] == {
        "model": "m",
        "sla": {"ttft": 500.0, "itl": 50.0},
        "features": {"planner": {}},
    }


def test_an_owner_of_candidates_neither_controls_nor_waits() -> None:
    owner = OwnerReference(api_version="v", kind="k", name="n", uid="u")
    assert owner.to_json()["controller"] is False
    assert owner.to_json()["blockOwnerDeletion"] is False


def test_a_policy_says_how_long_a_candidate_may_take() -> None:
    unsaid, said = ProfilingPolicySpec(), ProfilingPolicySpec(schedule_timeout="90s")
    assert (unsaid.candidate_timeout_s, unsaid.schedule_timeout_s) == (1800, 600)
    assert said.schedule_timeout_s == 90


def test_a_broken_file_names_the_field() -> None:
    with pytest.raises(ValidationError, match="dgdrName"):
        ProfilingRequest.from_text('{"namespace": "ns"}')
