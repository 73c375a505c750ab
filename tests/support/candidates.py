"""What stands around the candidates of a run."""

from typing import Any

from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_api.models.profiling_policy import ProfilingPolicySpec
from dgdr_api.request import OwnerReference, ProfilingRequest, RequestHardware
from dgdr_operator.core.job import render_request

OWNER = OwnerReference(
    api_version="nvidia.com/v1beta1", kind="DynamoGraphDeploymentRequest", name="q", uid="u-1"
)


def told(total_gpus: int | None, **policy: Any) -> dict[str, Any]:
    """The ConfigMap with what the run's Job was told."""
    return render_request(
        ProfilingRequest(
            dgdr_name="q",
            namespace="ns",
            uid="u-1",
            spec=DGDRSpec(model="m"),
            policy=ProfilingPolicySpec.model_validate(policy),
            hardware=RequestHardware(total_gpus=total_gpus),
            owner_reference=OWNER,
        )
    )
