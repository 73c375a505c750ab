"""What is shown about one request, as values: nothing here reads a cluster or draws.

Units are in the names: ``_ms`` milliseconds, ``_per_s`` per second.
"""

from dataclasses import dataclass
from datetime import datetime

from dgdr_api import cluster_words
from dgdr_api.effective import EffectiveSpec, effective
from dgdr_api.models.base import Condition, ConditionStatus
from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_api.models.dgdr_v1beta1 import DGDRStatus, Phase
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.models.sla_planner_status import DecisionRecord
from dgdr_cli.candidates import Candidate, candidates_of
from dgdr_cli.changes import changes_of
from dgdr_cli.found import Found

# In the order in which a request passes them.
STEPS = ("Validation", "Profiling", "SpecGenerated", "DeploymentReady")
SHOWN_DECISIONS = 5
# Conditions quote whole error messages; the first lines tell what it is about.
SHOWN_CHARS = 480


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """Replicas of one component of the deployment."""

    name: str
    ready: int | None
    wanted: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The generated deployment."""

    name: str
    state: str
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One decision of the planner."""

    time: datetime
    reason: str
    message: str
    changes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """The planner of the deployment, and what keeps it from working."""

    name: str
    mode: str
    load: str
    troubles: tuple[str, ...]
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that is shown about one request."""

    name: str
    namespace: str
    phase: str
    profiling_phase: str | None
    message: str
    wanted: str
    targets: str
    candidates: tuple[Candidate, ...] = ()
    remarks: tuple[str, ...] = ()
    deployment: Deployment | None = None
    planner: Planner | None = None

    @property
    def is_measuring(self) -> bool:
        """Whether what was not measured so far may still be."""
        return self.phase in (Phase.PENDING, Phase.PROFILING)

    @property
    def failed(self) -> bool:
        """Whether the request has come to an end without a result."""
        return self.phase == Phase.FAILED


def view_of(found: Found) -> View:
    """Put together what is shown."""
    request, status = found.request, found.request.status
    wanted = effective(request.spec)
    return View(
        name=request.metadata.name,
        namespace=request.metadata.namespace or "",
        phase=phase_text(status, found.phase),
        profiling_phase=status.profiling_phase if status.phase is Phase.PROFILING else None,
        message=shortened(message_of(status)),
        wanted=f"{wanted.model} on {wanted.backend}, "
        f"prompts of {wanted.isl} and answers of {wanted.osl} tokens",
        targets=targets_of(wanted),
        candidates=candidates_of(found.points, wanted, found.report),
        remarks=(*found.report.remarks(), *found.remarks),
        deployment=deployment_of(found.deployment),
        planner=planner_of(found.planner),
    )


def phase_text(status: DGDRStatus, said: str | None = None) -> str:
    """Return the phase, as ``said`` if it is; a request that nobody has looked at is Pending."""
    return said or str(status.phase or Phase.PENDING)


def message_of(status: DGDRStatus) -> str:
    """Return the sentence that matters now: what is wrong, or how far profiling is."""
    conditions = {condition.type: condition for condition in status.conditions}
    if status.phase is Phase.PROFILING and "Profiling" in conditions:
        return conditions["Profiling"].message
    if "Succeeded" in conditions and conditions["Succeeded"].message:
        return conditions["Succeeded"].message
    steps = (conditions[step] for step in STEPS if step in conditions)
    return next((step.message for step in steps if not step.is_true), "")


def shortened(text: str) -> str:
    """Cut what would fill the screen, and say where the rest is."""
    if len(text) <= SHOWN_CHARS:
        return text
    return f"{cluster_words.shortened(text, SHOWN_CHARS)} (`kubectl describe dgdr` has all of it)"


def targets_of(wanted: EffectiveSpec) -> str:
    """Say the latency targets."""
    if wanted.e2e_latency_ms is not None:
        return f"a whole request within {wanted.e2e_latency_ms:g} ms"
    return f"first token within {wanted.ttft_ms:g} ms, then one every {wanted.itl_ms:g} ms"


def deployment_of(deployment: DynamoGraphDeployment | None) -> Deployment | None:
    """Return the deployment's components with their replicas."""
    if deployment is None:
        return None
    seen = deployment.status.components or {}
    return Deployment(
        name=deployment.metadata.name,
        state=deployment.status.state or "unknown",
        roles=tuple(
            Role(
                name=component.name,
                ready=status.ready if status else None,
                wanted=component.replicas if component.replicas is not None else 1,
            )
            for component in deployment.spec.components
            for status in (seen.get(component.name),)
        ),
    )


def planner_of(planner: SLAPlanner | None) -> Planner | None:
    """Return the planner's state and its last decisions."""
    if planner is None:
        return None
    spec, status = planner.spec, planner.status
    mode = "suspended" if spec.is_suspended else str(spec.mode or "Active")
    return Planner(
        name=planner.metadata.name,
        mode=mode,
        load=_load(planner),
        troubles=tuple(_trouble(c) for c in status.conditions if _is_trouble(c)),
        decisions=tuple(_decision(record) for record in status.decisions[:SHOWN_DECISIONS]),
    )


def _load(planner: SLAPlanner) -> str:
    """Say the observed load; unknown is not zero."""
    seen = planner.status.observed
    if seen is None or seen.knowledge is None:
        return "no observation yet"
    if seen.requests_per_second is None:
        return f"load {seen.knowledge.lower()}"
    parts = [f"{seen.requests_per_second:.2f} requests/s"]
    if seen.isl is not None and seen.osl is not None:
        parts.append(f"{seen.isl:.0f} tokens in, {seen.osl:.0f} out")
    if seen.ttft_ms is not None and seen.itl_ms is not None:
        parts.append(f"TTFT {seen.ttft_ms:.0f} ms, ITL {seen.itl_ms:.1f} ms")
    return "; ".join(parts)


# Conditions whose "True" is the trouble; of all others "False" is.
_BAD_WHEN_TRUE = {"Stalled", "ScalingLimited"}


def _is_trouble(condition: Condition) -> bool:
    """Whether it says that something is wrong; Unknown says only that nobody knows yet."""
    if condition.type == "Reconciling":
        return False
    bad = ConditionStatus.TRUE if condition.type in _BAD_WHEN_TRUE else ConditionStatus.FALSE
    return condition.status is bad


def _trouble(condition: Condition) -> str:
    return f"{condition.type}={condition.status} ({condition.reason}): {condition.message}"


def _decision(record: DecisionRecord) -> Decision:
    return Decision(
        time=record.time,
        reason=record.reason,
        message=record.message,
        changes=changes_of(record),
    )
