"""GPUBudget, dgdr.dev/v1alpha1: several SLAPlanners share a number of GPUs."""

from typing import Annotated, ClassVar, Literal

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

MAX_MEMBERS = 64
MAX_STEPS = 64


class Member(ApiModel):
    """One planner that takes from the budget."""

    planner: str = Field(
        min_length=1, max_length=253, description="Name of an SLAPlanner in this namespace."
    )
    priority: Int32 | None = Field(
        default=None,
        description="Members of a higher priority are served first. Default: 0.",
    )
    min_gpus: Int32 | None = Field(
        default=None,
        ge=0,
        description="GPUs that no other member may take, whether or not they are used. At least "
        "what the planner's fewest replicas hold. Default: just that.",
    )

    @property
    def rank(self) -> int:
        """The priority, with the default applied."""
        return self.priority or 0

    @property
    def guaranteed(self) -> int:
        """The guaranteed GPUs, with the default applied."""
        return self.min_gpus or 0


class GPUBudgetSpec(ApiModel):
    """How many GPUs there are, and for whom."""

    gpus: Int32 = Field(
        ge=1, description="The most GPUs that the members may hold together at any moment."
    )
    members: Annotated[
        tuple[Member, ...],
        Field(
            min_length=1,
            max_length=MAX_MEMBERS,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["planner"],
            },
        ),
    ] = Field(description="Planners that take from the budget.")

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            expression="self.members.map(m, has(m.minGpus) ? m.minGpus : 0).sum() <= self.gpus",
            message="the members' minGpus add up to more than gpus; they cannot all be guaranteed",
            at=".members",
        ),
    )

    def member(self, planner: str) -> Member | None:
        """Return the member of that name."""
        return next((member for member in self.members if member.planner == planner), None)


class Step(LenientModel):
    """One more replica that a planner would like to have, or several of the same size."""

    gpus: Int32 = Field(description="GPUs that it takes.")
    replicas: Int32 | None = Field(
        default=None, description="Replicas that take them together. Default: 1."
    )
    gain: float = Field(
        description="SLA loss that it saves, in requests per second weighted by how far they miss,"
        " per GPU."
    )


class Holding(LenientModel):
    """What one planner holds and would like to hold. A planner writes its own, before it scales."""

    planner: str = Field(
        max_length=507,
        description="Name of the SLAPlanner; followed by a slash and the target, what it left "
        "there when it turned to another one.",
    )
    target: str | None = Field(
        default=None, max_length=253, description="Deployment that holds the GPUs."
    )
    reserved_gpus: Int32 = Field(
        description="GPUs that the planner may hold: those of its pods, stopping ones included, "
        "and those that it is about to ask for."
    )
    floor_gpus: Int32 = Field(description="GPUs of its fewest replicas.")
    fixed: bool | None = Field(
        default=None,
        description="True while its replicas may not be changed, for want of metrics for example.",
    )
    steps: Annotated[tuple[Step, ...], Field(max_length=MAX_STEPS)] = Field(
        default=(),
        description="Replicas above the fewest that its load needs, in order; many are told in "
        "runs.",
    )
    time: Timestamp | None = Field(default=None, description="When the planner wrote this.")


class GPUBudgetStatus(LenientModel):
    """Who holds what."""

    observed_generation: Int64 | None = Field(
        default=None, description="Generation of the spec that the conditions speak about."
    )
    reserved_gpus: Int32 | None = Field(default=None, description="GPUs that all members hold.")
    holdings: Annotated[
        tuple[Holding, ...],
        Field(
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["planner"],
            }
        ),
    ] = Field(default=(), description="What each planner holds.")
    conditions: Conditions = Field(
        default=(), description="Feasible, and Ready, with Reconciling or Stalled while it is not."
    )

    def holding(self, planner: str) -> Holding | None:
        """Return what a planner holds; None when it never said."""
        return next((one for one in self.holdings if one.planner == planner), None)


class GPUBudget(Resource):
    """A number of GPUs that several SLAPlanners share by priority and need."""

    api_version: Literal["dgdr.dev/v1alpha1"] = "dgdr.dev/v1alpha1"
    kind: Literal["GPUBudget"] = "GPUBudget"
    spec: GPUBudgetSpec = Field(description="How many GPUs there are, and for whom.")
    status: GPUBudgetStatus = Field(default=GPUBudgetStatus(), description="Who holds what.")
