"""DynamoGraphDeploymentScalingAdapter: the scale subresource of one component.

v1alpha1 and v1beta1 have one schema; each has its own name for the component. The adapter is the
source of truth for the component's replicas; whoever scales (the planner, an autoscaler, ``kubectl
scale``) writes here.
"""

from typing import ClassVar, Literal

from pydantic import Field

from dgdr_api.models.base import (
    ApiModel,
    Conditions,
    Int32,
    Int64,
    LenientModel,
    Resource,
    Timestamp,
)
from dgdr_api.models.cel import CelRule

WARNING = (
    "nvidia.com/v1alpha1 DynamoGraphDeploymentScalingAdapter is deprecated; use nvidia.com/v1beta1 "
    "DynamoGraphDeploymentScalingAdapter"
)
_REFERENCES = ("serviceName", "componentGroupName", "componentName")


class DgdRef(ApiModel):
    """The component that is scaled."""

    name: str = Field(
        min_length=1, max_length=253, description="DynamoGraphDeployment, in this namespace."
    )
    service_name: str | None = Field(
        default=None, max_length=253, description="Component, by its v1alpha1 service name."
    )
    component_group_name: str | None = Field(
        default=None, max_length=253, description="Group of components."
    )
    component_name: str | None = Field(
        default=None, max_length=253, description="Component, by its v1beta1 name."
    )

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            expression="["
            + ", ".join(f"has(self.{field})" for field in _REFERENCES)
            + "].exists_one(given, given)",
            message="give exactly one of serviceName, componentGroupName and componentName",
        ),
    )

    @property
    def component(self) -> str:
        """Name of the component, whichever field holds it."""
        return self.service_name or self.component_name or self.component_group_name or ""


class DgdsaSpec(ApiModel):
    """How many replicas a component shall have."""

    replicas: Int32 = Field(ge=0, description="Replicas that the component shall have.")
    dgd_ref: DgdRef = Field(description="The component that is scaled.")


class DgdsaStatus(LenientModel):
    """How many replicas the component has."""

    replicas: Int32 | None = Field(default=None, description="Replicas that the component has.")
    selector: str | None = Field(
        default=None, description="Label selector of the component's pods."
    )
    last_scale_time: Timestamp | None = Field(
        default=None, description="When the component's replicas last changed."
    )
    conditions: Conditions = Field(
        default=(),
        description="Ready: whether the component has the replicas of the adapter. Reconciling or "
        "Stalled beside it while it has not.",
    )
    observed_generation: Int64 | None = Field(
        default=None, description="Generation of the spec that this status speaks about."
    )


class DynamoGraphDeploymentScalingAdapter(Resource):
    """The replicas of one component of a DynamoGraphDeployment, behind a scale subresource."""

    api_version: Literal["nvidia.com/v1beta1", "nvidia.com/v1alpha1"] = "nvidia.com/v1beta1"
    kind: Literal["DynamoGraphDeploymentScalingAdapter"] = "DynamoGraphDeploymentScalingAdapter"
    spec: DgdsaSpec = Field(description="How many replicas the component shall have.")
    status: DgdsaStatus = Field(
        default=DgdsaStatus(), description="How many replicas the component has."
    )
