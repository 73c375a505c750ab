"""The life of a DGDR: from what was seen to the one thing to do next.

Pending -> Profiling -> Ready | Deploying <-> Deployed, and Failed. Decisions rest on the objects
that are there; the phase in the status only says how far the request has come, so a pass that was
killed before its status was written decides the same again.
"""

from dgdr_api import names
from dgdr_api.conditions import find
from dgdr_api.effective import effective
from dgdr_api.gpus import Claims, Uncountable, graph_gpus
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec, DGDRStatus, Phase
from dgdr_operator.core.final_config import BadResult, Deployment, read_deployment
from dgdr_operator.core.hardware import HardwareFound, HardwareUnknown
from dgdr_operator.core.observation import DgdSeen, JobState, Observation, Origin
from dgdr_operator.core.refusals import deployment_rejected
from dgdr_operator.core.starting_over import CURE, is_edited, why_start_over
from dgdr_operator.core.steps import (
    DEPLOYMENT_BLOCKED,
    Aspect,
    AwaitDeployment,
    AwaitHardware,
    AwaitJob,
    AwaitPredecessor,
    AwaitReferences,
    AwaitRemoval,
    Deploy,
    Fail,
    RecordResult,
    RejectSpec,
    ReportDeployed,
    Resume,
    Settled,
    StartOver,
    StartProfiling,
    Step,
    Suspend,
)


def next_step(seen: Observation) -> Step:
    """Decide what to do next."""
    if seen.request.deleting:
        return Settled()
    step = _wanted_step(seen)
    if seen.request.suspended and _starts_something(seen, step):
        return Suspend()
    # A pod that the Job's controller has not stopped yet would miss the candidate that went.
    stopped = seen.job.suspended and seen.job.idle is not None
    return Resume() if isinstance(step, AwaitJob) and stopped else step


def _starts_something(seen: Observation, step: Step) -> bool:
    match step:
        case StartProfiling() | AwaitJob():
            return True
        case Deploy():
            return seen.dgd is None
        case _:
            return False


def _wanted_step(seen: Observation) -> Step:
    match phase_of(seen):
        case Phase.PENDING:
            return _before_profiling(seen)
        case Phase.PROFILING:
            return _while_profiling(seen)
        case Phase.READY:
            return _deploying(seen) if wants_deployment(seen) else Settled()
        case Phase.DEPLOYING | Phase.DEPLOYED:
            return _deploying(seen)
        case Phase.FAILED:
            return _after_failure(seen)


def phase_of(seen: Observation) -> Phase:
    """Return how far the request has come."""
    return seen.request.status.phase or Phase.PENDING


def may_start_over(seen: Observation) -> bool:
    """Whether an invalid request was edited: nothing was started that would have to go."""
    validation = find(seen.request.status.conditions, Aspect.VALIDATION)
    invalid = validation is not None and not validation.is_true
    return invalid and is_edited(seen.request)


def change_is_rejected(seen: Observation) -> bool:
    """Whether the spec was edited after profiling had started.

    ``autoApply`` is no part of what was profiled: it may change as long as it has an effect.
    """
    if seen.accepted is None or phase_of(seen) in (Phase.PENDING, Phase.FAILED):
        return False
    spec = seen.request.spec
    return spec is None or _profiled_part(spec) != _profiled_part(seen.accepted.spec)


def _profiled_part(spec: DGDRSpec) -> DGDRSpec:
    return spec.model_copy(update={"auto_apply": None})


def wants_deployment(seen: Observation) -> bool:
    """Whether the result is to be deployed; the current spec decides, not the accepted one."""
    spec = seen.request.spec or (seen.accepted.spec if seen.accepted else None)
    return spec is not None and effective(spec).auto_apply


# -- Failed, Pending


def _after_failure(seen: Observation) -> Step:
    if may_start_over(seen):
        return _before_profiling(seen)
    why = why_start_over(seen.request)
    return Settled() if why is None else StartOver(why)


def _before_profiling(seen: Observation) -> Step:
    started = _hardware_of_run(seen)
    if seen.job.state is not JobState.ABSENT and not seen.job.going and started is not None:
        return StartProfiling(started)
    if seen.request.spec is None or seen.request.problems:
        return RejectSpec("; ".join(seen.request.problems))
    if seen.missing:
        return AwaitReferences("; ".join(seen.missing), is_watched=not seen.missing_unwatched)
    if seen.in_the_way is not None:
        return AwaitPredecessor(_in_the_way(seen))
    if seen.job.going:
        text = f"Job {names.job_name(seen.request.name)} of the earlier run is being deleted"
        return AwaitPredecessor(text)
    match seen.hardware:
        case HardwareFound() as found:
            return StartProfiling(found)
        case HardwareUnknown(message):
            return AwaitHardware(message)
        case None:
            return AwaitHardware("the nodes have not been looked at yet")


def _in_the_way(seen: Observation) -> str:
    text = (
        f"{seen.in_the_way} exists and belongs to another owner; profiling starts when it is gone"
    )
    is_dgd = (seen.in_the_way or "").startswith("DynamoGraphDeployment ")
    return f"{text}, or spec.overrides.dgd.metadata.name names another" if is_dgd else text


def _hardware_of_run(seen: Observation) -> HardwareFound | None:
    """Return the hardware that the Job was, or will be, told."""
    if seen.accepted is None:
        return None
    told = seen.accepted.hardware
    per_node = told.gpus_per_node or 1
    return HardwareFound(
        gpu_sku=told.gpu_sku,
        gpus_per_node=per_node,
        total_gpus=told.total_gpus or per_node,
        gpu_product=told.gpu_product,
        vram_mib=told.vram_mib,
        source=told.source,
    )


# -- Profiling


def _while_profiling(seen: Observation) -> Step:
    match seen.job.state:
        case JobState.RUNNING:
            return AwaitJob()
        case JobState.COMPLETE:
            return _result(seen)
        case JobState.FAILED:
            return _profiling_failed(seen)
        case JobState.ABSENT:
            # It gets no time to live before its end is on record, so somebody deleted it, and a
            # new one goes on with the points that were measured; but not of one that had failed.
            if seen.output is not None and seen.output.succeeded:
                return _result(seen)
            gone_after_failing = seen.output is not None and seen.output.failed
            return _profiling_failed(seen) if gone_after_failing else _start_again(seen)


def _start_again(seen: Observation) -> Step:
    if seen.in_the_way is not None:
        return AwaitPredecessor(_in_the_way(seen))
    hardware = _hardware_of_run(seen)
    if hardware is None:
        return Fail(
            aspect=Aspect.PROFILING,
            reason="ProfilingFailed",
            message=f"profiling job failed: Job and ConfigMap {names.job_name(seen.request.name)} "
            f"were deleted while profiling ran; {CURE} to profile again",
            event="ProfilingCheckFailed",
        )
    return StartProfiling(hardware)


def _profiling_failed(seen: Observation) -> Fail:
    phase = seen.output.phase if seen.output else ""
    return Fail(
        aspect=Aspect.PROFILING,
        reason=f"{phase}Failed" if phase else "ProfilingFailed",
        message=_failure_message(seen),
        event="ProfilingCheckFailed",
    )


def _failure_message(seen: Observation) -> str:
    """The cause in the program's own words, then upstream's sentence with the pod's end.

    The profiler's words say more than the end of its log, of which only the last line counts.
    """
    gone = f"Job {names.job_name(seen.request.name)} is gone and its last pod had failed"
    text = f"profiling job failed: {seen.job.message or gone}"
    end = seen.job.end
    error = seen.output.error if seen.output is not None else ""
    said = error or (_last_line(end.message) if end else "")
    if end is not None:
        text = (
            f"{text}. Details: Pod: {end.pod}, Container: {end.container}, "
            f"ExitCode: {end.exit_code}, Reason: {end.reason}"
        )
        if not error and end.message != said:
            text = f"{text}, Message: {end.message}"
    return f"{said.removesuffix('.')}. {text[0].upper()}{text[1:]}" if said else text


def _last_line(message: str) -> str:
    return message.strip().rpartition("\n")[2].strip()


def _result(seen: Observation) -> Step:
    deployment = _deployment(seen)
    if isinstance(deployment, Fail):
        return deployment
    budget = seen.accepted.hardware.total_gpus if seen.accepted else None
    if budget is not None and (why := _over(deployment, seen.claims, budget)):
        return _unusable(why)
    return RecordResult(deployment, deploys=wants_deployment(seen))


def _over(deployment: Deployment, claims: Claims, budget: int) -> str | None:
    """Say why a deployment does not keep to the GPUs that are allowed; None when it does."""
    gpus = graph_gpus(deployment.graph, claims)
    if isinstance(gpus, Uncountable):
        return (
            f"nobody can tell whether the generated deployment keeps to the {budget} GPUs that "
            f"hardware.totalGpus allows: {gpus.why}"
        )
    if gpus <= budget:
        return None
    return (
        f"the generated deployment needs {gpus} GPUs, more than the {budget} that "
        "hardware.totalGpus allows"
    )


def _deployment(seen: Observation) -> Deployment | Fail:
    request = seen.request
    if seen.output is None or not seen.output.succeeded:
        return _unusable(
            f"ConfigMap {names.output_config_map(request.name)} holds no result although the "
            "profiling job is complete"
        )
    try:
        return read_deployment(seen.output, request.name, request.namespace, request.uid)
    except BadResult as exc:
        return _unusable(str(exc))


def _unusable(message: str) -> Fail:
    return Fail(
        aspect=Aspect.SPEC_GENERATED,
        reason="GenerationFailed",
        message=message,
        event="GenerationFailed",
    )


# -- Ready, Deploying, Deployed


def _deploying(seen: Observation) -> Step:
    dgd = seen.dgd
    is_gone = dgd is None or dgd.going or dgd.origin is Origin.FOREIGN
    if was_created(seen.request.status):
        if is_gone:
            return _deployment_deleted(seen)
        if dgd is not None and dgd.origin is Origin.RELEASED:
            return _follow(seen, dgd)
    if dgd is not None and dgd.going:
        return AwaitRemoval(dgd.name)
    if dgd is not None and dgd.origin in (Origin.FOREIGN, Origin.RELEASED):
        return deployment_rejected(
            f"DynamoGraphDeployment {dgd.name} exists already and does not belong to this request "
            f"(label {names.Label.DGDR_NAME.value} differs); rename or delete it, then recreate "
            "the request"
        )
    deployment = _deployment(seen)
    if isinstance(deployment, Fail):
        # What runs goes on; without its result it just cannot be brought up to date.
        return deployment if dgd is None else _follow(seen, dgd)
    if dgd is None or _is_behind(dgd, deployment, seen):
        return Deploy(deployment)
    return _follow(seen, dgd)


def was_created(status: DGDRStatus) -> bool:
    """Whether the DGD has been there before."""
    known = find(status.conditions, Aspect.DEPLOYMENT_READY)
    return known is not None and known.reason != DEPLOYMENT_BLOCKED


def _is_behind(dgd: DgdSeen, deployment: Deployment, seen: Observation) -> bool:
    lacks_data = bool(deployment.data) and not dgd.has_data
    # Once all is deployed, a planner that is gone was deleted by somebody who wanted that.
    first_time = phase_of(seen) is not Phase.DEPLOYED
    changed = dgd.applied_hash != deployment.content_hash
    return changed or lacks_data or (first_time and not _planner_is_settled(dgd, deployment))


def _planner_is_settled(dgd: DgdSeen, deployment: Deployment) -> bool:
    """Whether the SLAPlanner is this request's; one of an earlier request has other curves."""
    match dgd.planner:
        case Origin.NOBODY:
            return deployment.planner is None
        case Origin.EARLIER:
            return False
        case Origin.OURS | Origin.FOREIGN | Origin.RELEASED:
            return True


def _follow(seen: Observation, dgd: DgdSeen) -> Step:
    if dgd.ready:
        return ReportDeployed()
    if phase_of(seen) is Phase.DEPLOYED and dgd.serves and dgd.state != "failed":
        # A scale-up makes a deployment unready that serves all the same.
        return ReportDeployed()
    return AwaitDeployment(
        f"DGD {dgd.name} is in {dgd.state} state", degraded=phase_of(seen) is Phase.DEPLOYED
    )


def _deployment_deleted(seen: Observation) -> Fail:
    name = seen.request.status.dgd_name or names.dgd_name(seen.request.name)
    return Fail(
        aspect=Aspect.DEPLOYMENT_READY,
        reason="DeploymentDeleted",
        message=f"DGD {name} was deleted. DGDR will not recreate it. Delete this DGDR and create "
        "a new one to redeploy.",
        event="DeploymentDeleted",
    )
