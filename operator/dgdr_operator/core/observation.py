"""What a pass over a DGDR saw: one frozen value, from which everything else is decided."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from dgdr_api.gpus import Claims
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec, DGDRStatus
from dgdr_api.models.profiling_policy import ProfilingPolicySpec
from dgdr_api.request import ProfilingRequest
from dgdr_api.run_verdict import RunVerdict
from dgdr_kube.kinds import DGDR, Kind
from dgdr_operator.core.hardware import HardwareFound, HardwareUnknown
from dgdr_operator.core.lacks import Lack


class JobState(StrEnum):
    """Where the profiling Job stands; a suspended Job counts as running."""

    ABSENT = "absent"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEnd:
    """How the last profiler container ended, as the kubelet reports it."""

    pod: str
    container: str
    exit_code: int
    reason: str
    message: str


class IdleReason(StrEnum):
    """Why no profiler is at work although the Job is not over."""

    SUSPENDED = "JobSuspended"
    NO_POD = "NoPod"
    POD_TERMINATING = "PodTerminating"
    POD_ENDED = "PodEnded"
    POD_UNSCHEDULABLE = "PodUnschedulable"
    POD_STUCK = "PodStuck"
    POD_STARTING = "PodStarting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """No profiler is at work, and why; the message quotes scheduler and kubelet."""

    reason: IdleReason
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSeen:
    """The profiling Job; ``message`` is that of its Failed condition.

    ``expires`` tells whether it has a time to live, which it gets when its end is on record.
    ``idle`` says why a Job that runs does nothing; None when its profiler is at work.
    ``suspended`` tells whether it is because its request is.
    """

    state: JobState = JobState.ABSENT
    uid: str = ""
    version: str | None = None
    going: bool = False
    expires: bool = False
    message: str = ""
    end: ContainerEnd | None = None
    idle: Idle | None = None
    suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What the Job has written so far; the texts are empty where a key is missing.

    ``verdict`` is None until the run is done, and where it says nothing about its targets.
    ``mocker_npz`` is base64, as it is stored.
    """

    phase: str = ""
    message: str = ""
    status: str = ""
    version: str | None = None
    error: str = ""
    final_config: str = ""
    prefill_json: str = ""
    decode_json: str = ""
    verdict: RunVerdict | None = None
    mocker_npz: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the Job wrote its result; one write brings status and result together."""
        return self.status == "success"

    @property
    def failed(self) -> bool:
        """Whether the last pod of the Job had to give up."""
        return self.status == "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentSeen:
    """Pods of one component of the generated DGD."""

    name: str
    replicas: int
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PullFailure:
    """A container whose image does not come."""

    pod: str
    pod_uid: str
    container: str
    image: str
    message: str


class Origin(StrEnum):
    """For whom an object was generated that has the name of one of ours."""

    NOBODY = "nobody"
    """There is no such object."""
    FOREIGN = "foreign"
    """A user, or a request of another name."""
    EARLIER = "earlier"
    """A request of this name that is gone: its labels name ours, its uid is another, or none."""
    OURS = "ours"
    RELEASED = "released"
    """Ours until somebody took its labels away: followed, never written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DgdSeen:
    """The generated DGD as it is, with the SLAPlanner of its name.

    ``applied_hash`` is that of the content that we applied last, None when we never did.
    """

    name: str
    origin: Origin
    going: bool = False
    state: str = "initializing"
    ready: bool = False
    applied_hash: str | None = None
    components: tuple[ComponentSeen, ...] = ()
    pull_failures: tuple[PullFailure, ...] = ()
    has_data: bool = False
    planner: Origin = Origin.NOBODY

    @property
    def serves(self) -> bool:
        """Whether each component that should have pods has one; scaling up does not hide this."""
        wanted = [c for c in self.components if c.replicas > 0]
        return bool(wanted) and all(c.available > 0 for c in wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateSeen:
    """A deployment that the profiling Job made to measure it."""

    name: str
    uid: str
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The DGDR itself; ``spec`` is None when it cannot be read, and ``problems`` says why."""

    name: str
    namespace: str
    uid: str
    generation: int = 1
    deleting: bool = False
    spec: DGDRSpec | None = None
    problems: tuple[str, ...] = ()
    rerun_requested_at: str | None = None
    suspended: bool = False
    status: DGDRStatus = field(default_factory=DGDRStatus)
    api_version: str = DGDR.api_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything that a pass over one DGDR looks at.

    ``accepted`` is what the Job was, or will be, started with: from then on it is the spec that
    counts, whatever is edited. ``missing`` and ``hardware`` are looked up before that only;
    ``missing_unwatched`` where nobody would hear of some of it.
    ``lacks`` is None where nobody looked at what the data plane lacks. ``referred`` are the kinds
    and names of what the request needs of its namespace. ``ignored_keys`` are sentences about keys
    of the planner, and fields, that come to nothing.
    ``claims`` are those of a result that nothing has been made of yet.
    ``in_the_way`` names an object that has one of our names and belongs to somebody else.
    """

    request: Request
    accepted: ProfilingRequest | None = None
    missing: tuple[str, ...] = ()
    missing_unwatched: bool = False
    ignored_overrides: tuple[str, ...] = ()
    ignored_keys: tuple[str, ...] = ()
    in_the_way: str | None = None
    policy: ProfilingPolicySpec = field(default_factory=ProfilingPolicySpec)
    hardware: HardwareFound | HardwareUnknown | None = None
    job: JobSeen = JobSeen()
    output: Output | None = None
    claims: Claims = field(default_factory=dict)
    dgd: DgdSeen | None = None
    candidates: tuple[CandidateSeen, ...] = ()
    lacks: tuple[Lack, ...] | None = None
    referred: frozenset[tuple[Kind, str]] = frozenset()
