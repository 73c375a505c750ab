"""What a pass may do about a DGDR: one of these, decided by ``lifecycle.next_step``."""

from dataclasses import dataclass
from enum import StrEnum

from dgdr_operator.core.final_config import Deployment
from dgdr_operator.core.hardware import HardwareFound

DEPLOYMENT_BLOCKED = "DeploymentBlocked"
"""Reason of DeploymentReady while the DGD cannot be created: it was never there."""
JOB_BLOCKED = "JobBlocked"
"""Reason of Profiling while the Job cannot be created."""
SUSPENDED = "Suspended"
"""Reason of Profiling while the request's annotation has stopped it."""


class Aspect(StrEnum):
    """Types of conditions, in the order in which a request passes them."""

    VALIDATION = "Validation"
    PROFILING = "Profiling"
    SPEC_GENERATED = "SpecGenerated"
    SLA_REACHABLE = "SLAReachable"
    """Whether what was measured holds the targets; absent where the run says nothing of it."""
    DEPLOYMENT_READY = "DeploymentReady"
    SUCCEEDED = "Succeeded"
    SPEC_CHANGE_REJECTED = "SpecChangeRejected"

    PROFILER_RUNNING = "ProfilerRunning"
    """Only while profiling: since when the Job's pod has, or has not, been at work."""


@dataclass(frozen=True, slots=True)
class RejectSpec:
    """The spec is wrong: an edit starts over."""

    message: str


@dataclass(frozen=True, slots=True)
class StartOver:
    """A failed request is run again: what is left of its run goes, its points stay."""

    why: str


@dataclass(frozen=True, slots=True)
class AwaitReferences:
    """Something that the spec names is not there yet; it is looked for again.

    ``is_watched``: a watch tells when it comes, all of it.
    """

    message: str
    is_watched: bool = False


@dataclass(frozen=True, slots=True)
class AwaitHardware:
    """No GPUs are known; nodes are looked at again."""

    message: str


@dataclass(frozen=True, slots=True)
class AwaitPredecessor:
    """An object of an earlier request, or somebody else's, has one of our names."""

    message: str


@dataclass(frozen=True, slots=True)
class StartProfiling:
    """Make what the Job needs, then the Job; what is there already is left alone."""

    hardware: HardwareFound


@dataclass(frozen=True, slots=True)
class Suspend:
    """Start nothing, and stop the Job that runs: its points stay."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Let the Job go on that was stopped."""


@dataclass(frozen=True, slots=True)
class AwaitJobPermission:
    """The API server refuses the Job, for a reason that can go away; it is tried again."""

    message: str


@dataclass(frozen=True, slots=True)
class AwaitJob:
    """The Job is at work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """The end: this aspect failed for good."""

    aspect: Aspect
    reason: str
    message: str
    event: str


@dataclass(frozen=True, slots=True)
class RecordResult:
    """The Job is done and its result can be used."""

    deployment: Deployment
    deploys: bool


@dataclass(frozen=True, slots=True)
class Deploy:
    """Create the DGD, or bring what is there up to date."""

    deployment: Deployment


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitPermission:
    """The API server refuses what is deployed, for a reason that can go away; it is tried again.

    ``exists`` tells whether the DGD is there, and only an update, or what goes with it, is not.
    """

    message: str
    exists: bool


@dataclass(frozen=True, slots=True)
class AwaitDeployment:
    """The DGD is not ready, or no longer; ``degraded`` tells which."""

    message: str
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class AwaitRemoval:
    """Another DGD of this name is being deleted; this request's is created after that."""

    name: str


@dataclass(frozen=True, slots=True)
class ReportDeployed:
    """The DGD serves."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Nothing to do until something changes."""


WorkStep = StartProfiling | Suspend | Resume | AwaitJob
"""What happens around the Job."""

LateStep = (
    RecordResult
    | Deploy
    | AwaitPermission
    | AwaitRemoval
    | AwaitDeployment
    | ReportDeployed
    | Settled
)
"""What follows a finished Job."""

Step = (
    RejectSpec
    | StartOver
    | AwaitReferences
    | AwaitHardware
    | AwaitPredecessor
    | WorkStep
    | AwaitJobPermission
    | Fail
    | LateStep
)
