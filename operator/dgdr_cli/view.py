"""What is shown about one request, as values: nothing here reads a cluster or draws.

Units are in the names: ``_ms`` milliseconds, ``_per_s`` per second.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from dgdr_api.effective import EffectiveSpec, effective
from dgdr_api.models.base import Condition, ConditionStatus
from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_api.models.dgdr_v1beta1 import DynamoGraphDeploymentRequest, Phase
from dgdr_api.models.sla_planner import DecisionRecord, SLAPlanner
from dgdr_api.points import Point, PointKind, Source
from dgdr_cli.found import Found

# In the order in which a request passes them.
STEPS = ("Validation", "Profiling", "SpecGenerated", "DeploymentReady")
SHOWN_DECISIONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One candidate at the operating point that counts; ``None`` is not measured."""

    name: str
    gpus: int
    ttft_ms: float | None
    itl_ms: float | None
    output_tokens_per_s_per_gpu: float | None
    points: int
    estimated: bool
    missed: tuple[str, ...]
    selected: bool


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
    deployment: Deployment | None = None
    planner: Planner | None = None

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
        phase=status.phase or Phase.PENDING,
        profiling_phase=status.profiling_phase if status.phase is Phase.PROFILING else None,
        message=message_of(request),
        wanted=f"{wanted.model} on {wanted.backend}, "
        f"prompts of {wanted.isl} and answers of {wanted.osl} tokens",
        targets=targets_of(wanted),
        candidates=candidates_of(found.points, wanted, found.selected),
        deployment=deployment_of(found.deployment),
        planner=planner_of(found.planner),
    )


def message_of(request: DynamoGraphDeploymentRequest) -> str:
    """Return the sentence that matters now: what is wrong, or how far profiling is."""
    conditions = {condition.type: condition for condition in request.status.conditions}
    if request.status.phase is Phase.PROFILING and "Profiling" in conditions:
        return conditions["Profiling"].message
    if "Succeeded" in conditions and conditions["Succeeded"].message:
        return conditions["Succeeded"].message
    steps = (conditions[step] for step in STEPS if step in conditions)
    return next((step.message for step in steps if not step.is_true), "")


def targets_of(wanted: EffectiveSpec) -> str:
    """Say the latency targets."""
    if wanted.e2e_latency_ms is not None:
        return f"a whole request within {wanted.e2e_latency_ms:g} ms"
    return f"first token within {wanted.ttft_ms:g} ms, then one every {wanted.itl_ms:g} ms"


def candidates_of(
    points: Sequence[Point], wanted: EffectiveSpec, selected: str | None
) -> tuple[Candidate, ...]:
    """Return one row per candidate, in the order in which they were first measured."""
    names = dict.fromkeys(point.candidate for point in sorted(points, key=_started))
    return tuple(
        _candidate(name, [p for p in points if p.candidate == name], wanted, name == selected)
        for name in names
    )


def _candidate(
    name: str, points: Sequence[Point], wanted: EffectiveSpec, selected: bool
) -> Candidate:
    prefill = _prefill_point(points, wanted.isl)
    decode = _decode_point(points, wanted.itl_ms)
    ttft_ms = prefill.ttft_ms if prefill else None
    itl_ms = decode.itl_ms if decode else None
    return Candidate(
        name=name,
        gpus=sum(point.gpus for point in (prefill, decode) if point),
        ttft_ms=ttft_ms,
        itl_ms=itl_ms,
        output_tokens_per_s_per_gpu=_per_gpu(decode),
        points=len(points),
        estimated=any(point.source is Source.ESTIMATED for point in points),
        missed=_missed(("TTFT", ttft_ms, wanted.ttft_ms), ("ITL", itl_ms, wanted.itl_ms)),
        selected=selected,
    )


def _prefill_point(points: Iterable[Point], isl: int) -> Point | None:
    """Return the prompt length nearest to the workload's: what the target speaks about."""
    prefill = [p for p in points if p.kind is PointKind.PREFILL and p.ttft_ms is not None]
    return min(prefill, key=lambda point: abs(point.isl - isl), default=None)


def _decode_point(points: Iterable[Point], itl_target_ms: float | None) -> Point | None:
    """Return the most productive point within the target, else the fastest one."""
    decode = [p for p in points if p.kind is PointKind.DECODE and p.itl_ms is not None]
    within = [p for p in decode if itl_target_ms is None or (p.itl_ms or 0) <= itl_target_ms]
    if within:
        return max(within, key=lambda point: _per_gpu(point) or 0)
    return min(decode, key=lambda point: point.itl_ms or 0, default=None)


def _per_gpu(point: Point | None) -> float | None:
    if point is None or point.output_tokens_per_s is None or not point.gpus:
        return None
    return point.output_tokens_per_s / point.gpus


def _missed(*measures: tuple[str, float | None, float | None]) -> tuple[str, ...]:
    return tuple(
        name
        for name, value, target in measures
        if value is not None and target is not None and value > target
    )


def _started(point: Point) -> datetime:
    return point.started_at


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
                ready=status.ready_replicas if status else None,
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
    changes = [
        f"{role} {change.from_} → {change.to}"
        for role, change in (("prefill", record.prefill), ("decode", record.decode))
        if change is not None and change.from_ != change.to
    ]
    return Decision(
        time=record.time,
        reason=record.reason,
        message=record.message,
        changes=", ".join(changes) or "none",
    )
