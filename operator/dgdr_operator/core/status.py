"""The status after a pass: a pure function of the old one, what was seen, and what was done."""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from dgdr_api.conditions import Progress, find
from dgdr_api.doubts import doubts
from dgdr_api.models.base import Conditions
from dgdr_api.models.dgdr_v1beta1 import DeploymentInfo, DGDRStatus, Phase, ProfilingResults
from dgdr_api.names import Annotation, Label
from dgdr_operator.core import profiling_status as profiling
from dgdr_operator.core import steps
from dgdr_operator.core.column import in_a_column
from dgdr_operator.core.draft import Draft
from dgdr_operator.core.lacks import with_lacks
from dgdr_operator.core.lifecycle import change_is_rejected, phase_of
from dgdr_operator.core.observation import DgdSeen, Observation, Origin
from dgdr_operator.core.starting_over import asks_again
from dgdr_operator.core.steps import Aspect, LateStep, Step

RECONCILE_FAILED = "ReconcileFailed"

_PREFIXES = {
    Aspect.VALIDATION: "Validation failed: ",
    Aspect.PROFILING: "Profiling failed: ",
    Aspect.SPEC_GENERATED: "Spec generation failed: ",
    Aspect.DEPLOYMENT_READY: "Deployment failed: ",
}
# The aggregate condition repeats the phase, but for the one that says what there is to review.
_AGGREGATE_REASONS = {Phase.READY: "SpecGenerated"}
# What the aggregate condition says of these is not said again by the next pass.
_SETTLED = (Phase.READY, Phase.DEPLOYED, Phase.FAILED)
_DONE = (Phase.READY, Phase.DEPLOYED)


def status_after(seen: Observation, step: Step, now: datetime) -> DGDRStatus:
    """Return the status that describes the request once ``step`` was done."""
    rejected = change_is_rejected(seen)
    accepted = seen.accepted.generation if seen.accepted and rejected else seen.request.generation
    draft = Draft(status=seen.request.status, now=now, generation=accepted)
    if not isinstance(step, steps.Settled):
        draft = _summed_up(_after(draft, seen, step))
    if asks_again(seen.request):
        draft = draft.with_(last_handled_rerun_at=seen.request.rerun_requested_at)
    draft = _about_data_plane(_in_short(draft), seen)
    return _about_changes(draft, seen, rejected).status


def failed_pass_status(old: DGDRStatus, generation: int, message: str, now: datetime) -> DGDRStatus:
    """Return the status after a pass that failed without having decided anything."""
    draft = Draft(status=old, now=now, generation=generation)
    draft = draft.at(Progress.UNDER_WAY, RECONCILE_FAILED, message)
    if old.phase in _SETTLED:
        return draft.status
    draft = draft.with_(phase=old.phase or Phase.PENDING)
    return draft.saying(Aspect.SUCCEEDED, False, RECONCILE_FAILED, message).status


def _after(draft: Draft, seen: Observation, step: Step) -> Draft:
    match step:
        case steps.RejectSpec(message):
            draft = _unblocked(draft).saying(Aspect.VALIDATION, False, "ValidationFailed", message)
            return draft.with_(phase=Phase.FAILED)
        case steps.StartOver(why):
            return _started_over(draft, why)
        case steps.AwaitReferences(message=message):
            draft = _unblocked(draft).waiting(Aspect.VALIDATION, "ValidationFailed", message)
            return draft.with_(phase=Phase.PENDING)
        case steps.AwaitHardware(message):
            draft = _valid(draft, seen).with_(phase=Phase.PENDING)
            return draft.waiting(Aspect.PROFILING, "DiscoveringHardware", message)
        case steps.AwaitPredecessor(message):
            draft = _valid(draft, seen).with_(phase=phase_of(seen))
            return draft.waiting(Aspect.PROFILING, "Initializing", message)
        case steps.AwaitJobPermission(message):
            return _job_blocked(_valid(draft, seen).with_(phase=phase_of(seen)), message)
        case steps.StartProfiling() | steps.Suspend() | steps.AwaitJob() | steps.Resume():
            return _at_work(draft, seen, step)
        case steps.Fail():
            return profiling.over(_failed(draft, step))
        case _:
            return profiling.over(_after_profiling(_about_targets(draft, seen), seen, step))


def _at_work(draft: Draft, seen: Observation, step: steps.WorkStep) -> Draft:
    match step:
        case steps.StartProfiling(hardware):
            return profiling.started(_valid(draft, seen), seen, hardware)
        case steps.Suspend():
            return _suspended(draft, seen)
        case steps.AwaitJob() | steps.Resume():
            return profiling.progress(draft, seen)
        case _:
            assert_never(step)


def _after_profiling(draft: Draft, seen: Observation, step: LateStep) -> Draft:
    match step:
        case steps.RecordResult(deployment, deploys):
            return _result(draft, deployment.dgd, deploys, missed_targets(seen))
        case steps.Deploy(deployment):
            inherited = seen.dgd is not None and seen.dgd.origin is Origin.EARLIER
            what = "of an earlier request taken over" if inherited else "created"
            text = f"DGD {deployment.name} {what}, waiting for Ready"
            return _deploying(draft, "DeploymentCreated", text, seen.dgd)
        case steps.AwaitPermission(message=message, exists=exists):
            reason = "UpdateBlocked" if exists else steps.DEPLOYMENT_BLOCKED
            return _deploying(draft, reason, f"{message}; it is tried again", seen.dgd)
        case steps.AwaitRemoval(name):
            text = f"DGD {name} is being deleted; it is created again after that"
            return _deploying(draft, steps.DEPLOYMENT_BLOCKED, text, None)
        case steps.AwaitDeployment(message, degraded):
            reason = "DeploymentDegraded" if degraded else _reason_while_deploying(draft)
            text = "; ".join((message, *pull_problems(seen.dgd)))
            return _deploying(draft, reason, text, seen.dgd)
        case steps.ReportDeployed():
            return _deployed(draft, seen)
        case steps.Settled():
            return draft
        case _:
            assert_never(step)


def _started_over(draft: Draft, why: str) -> Draft:
    """Return the status of a request of which nothing is profiled yet."""
    kept = find(draft.status.conditions, Aspect.VALIDATION)
    status = DGDRStatus(
        phase=Phase.PENDING,
        conditions=() if kept is None else (kept,),
        last_handled_rerun_at=draft.status.last_handled_rerun_at,
    )
    draft = replace(draft, status=status)
    return draft.saying(Aspect.PROFILING, False, "Initializing", f"starting over: {why}")


def _valid(draft: Draft, seen: Observation) -> Draft:
    text = "the spec is valid"
    if seen.ignored_overrides:
        ignored = ", ".join(seen.ignored_overrides)
        text += f"; without effect in spec.overrides.profilingJob: {ignored}"
    text = "; ".join((text, *seen.ignored_keys))
    if seen.request.spec is not None:
        text = "; ".join((text, *doubts(seen.request.spec)))
    return draft.saying(Aspect.VALIDATION, True, "ValidationPassed", text)


def _suspended(draft: Draft, seen: Observation) -> Draft:
    cure = f"annotation {Annotation.SUSPEND} is true; remove it to go on"
    if phase_of(seen) in (Phase.PENDING, Phase.PROFILING):
        text = f"suspended: no pod profiles, candidates are removed, points are kept: {cure}"
        draft = profiling.over(draft).with_(phase=phase_of(seen))
        return draft.waiting(Aspect.PROFILING, steps.SUSPENDED, text)
    text = f"suspended: the deployment is not created: {cure}"
    return _deploying(draft, steps.DEPLOYMENT_BLOCKED, text, None)


def _job_blocked(draft: Draft, message: str) -> Draft:
    text = f"{message}; it is tried again"
    return profiling.over(draft).waiting(Aspect.PROFILING, steps.JOB_BLOCKED, text)


def _unblocked(draft: Draft) -> Draft:
    """Return the status without a Job that waits for a quota: nothing is tried again now."""
    known = find(draft.status.conditions, Aspect.PROFILING)
    blocked = known is not None and known.reason == steps.JOB_BLOCKED
    return draft.without(Aspect.PROFILING) if blocked else draft


def _failed(draft: Draft, step: steps.Fail) -> Draft:
    draft = draft.with_(phase=Phase.FAILED).saying(step.aspect, False, step.reason, step.message)
    if step.aspect is Aspect.SPEC_GENERATED:
        draft = profiling.completed(draft)
    if step.reason == "DeploymentDeleted":
        draft = draft.with_(dgd_name=None, deployment_info=None)
    return draft


def missed_targets(seen: Observation) -> str:
    """Say what a run has missed; empty when it has missed nothing."""
    verdict = seen.output.verdict if seen.output else None
    return "" if verdict is None or verdict.is_good else str(verdict)


def _about_targets(draft: Draft, seen: Observation) -> Draft:
    verdict = seen.output.verdict if seen.output else None
    if verdict is None:
        return draft
    if verdict.sla_reachable:
        reason = "LoadExceedsGpus" if verdict.shortage else "TargetsHold"
    else:
        reason = "TargetsNotReached"
    return draft.saying(Aspect.SLA_REACHABLE, verdict.is_good, reason, str(verdict))


def _result(draft: Draft, dgd: dict[str, object], deploys: bool, missed: str) -> Draft:
    name = dgd["metadata"]["name"]  # type: ignore[index]
    draft = profiling.completed(draft).with_(
        phase=Phase.DEPLOYING if deploys else Phase.READY,
        dgd_name=name,
        profiling_results=ProfilingResults(selected_config=dgd),
    )
    text = "DynamoGraphDeployment spec generated successfully"
    if not deploys:
        text += (
            "; it is in status.profilingResults.selectedConfig, set spec.autoApply to true to "
            "deploy it"
        )
    if missed:
        text += f"; {missed}"
    return draft.saying(Aspect.SPEC_GENERATED, True, "SpecGenerated", text)


def _deploying(draft: Draft, reason: str, text: str, dgd: DgdSeen | None) -> Draft:
    draft = draft.with_(phase=Phase.DEPLOYING, deployment_info=_info(dgd))
    return draft.waiting(Aspect.DEPLOYMENT_READY, reason, text)


def _reason_while_deploying(draft: Draft) -> str:
    known = find(draft.status.conditions, Aspect.DEPLOYMENT_READY)
    degraded = known is not None and known.reason == "DeploymentDegraded"
    return "DeploymentDegraded" if degraded else "DeploymentInProgress"


def _deployed(draft: Draft, seen: Observation) -> Draft:
    name = seen.dgd.name if seen.dgd else draft.status.dgd_name
    draft = draft.with_(phase=Phase.DEPLOYED, deployment_info=_info(seen.dgd))
    text = f"DGD {name} is ready"
    if seen.dgd is not None and seen.dgd.origin is Origin.RELEASED:
        text += f"; its label {Label.DGDR_NAME} is gone, so it is not brought up to date any more"
    return draft.saying(Aspect.DEPLOYMENT_READY, True, "DeploymentReady", text)


def _info(dgd: DgdSeen | None) -> DeploymentInfo | None:
    if dgd is None or not dgd.components:
        return None
    return DeploymentInfo(
        replicas=sum(component.replicas for component in dgd.components),
        available_replicas=sum(component.available for component in dgd.components),
    )


def pull_problems(dgd: DgdSeen | None) -> list[str]:
    """Return a sentence for each container whose image does not come.

    Without the kubelet's reason, which alternates between two words: the Event has it.
    """
    return [
        f"pod {failure.pod}, container {failure.container}: image {failure.image} cannot be pulled"
        for failure in (dgd.pull_failures if dgd else ())
    ]


def _summed_up(draft: Draft) -> Draft:
    """Add the aggregate condition, and say which generation all this is about."""
    phase = draft.status.phase or Phase.PENDING
    reason = _AGGREGATE_REASONS.get(phase, phase.value)
    text = _aggregate_message(draft.status.conditions, failed=phase is Phase.FAILED)
    targets = find(draft.status.conditions, Aspect.SLA_REACHABLE)
    if targets is not None and not targets.is_true and targets.message not in text:
        text = f"{text}; {targets.message}"
    draft = draft.saying(Aspect.SUCCEEDED, phase in _DONE, reason, text)
    return draft.with_(observed_generation=draft.generation)


def _in_short(draft: Draft) -> Draft:
    """Say it again for tools that know nothing of phases."""
    summary = find(draft.status.conditions, Aspect.SUCCEEDED)
    if summary is None:
        return draft
    if draft.status.phase is Phase.FAILED:
        unfit = (find(draft.status.conditions, aspect) for aspect in _PREFIXES)
        reason = next((c.reason for c in unfit if c is not None and not c.is_true), summary.reason)
        return draft.at(Progress.STUCK, reason, summary.message)
    progress = Progress.DONE if draft.status.phase in _DONE else Progress.UNDER_WAY
    return draft.at(progress, summary.reason, summary.message)


def _aggregate_message(conditions: Conditions, *, failed: bool) -> str:
    for aspect, prefix in _PREFIXES.items():
        known = find(conditions, aspect)
        if known is None or known.is_true:
            continue
        if failed and aspect is Aspect.PROFILING:
            return in_a_column(known.message, prefix)
        unfit = failed or aspect is Aspect.VALIDATION
        return f"{prefix}{known.message}" if unfit else known.message
    reached = [find(conditions, aspect) for aspect in _PREFIXES]
    return next((known.message for known in reversed(reached) if known is not None), "")


def _about_data_plane(draft: Draft, seen: Observation) -> Draft:
    if seen.lacks is None:
        return draft
    conditions = with_lacks(draft.status.conditions, seen.lacks, draft.now, draft.generation)
    return draft.with_(conditions=conditions)


def _about_changes(draft: Draft, seen: Observation, rejected: bool) -> Draft:
    """Say that an edit has no effect, as long as it stands; monitoring goes on."""
    if seen.request.status.phase is Phase.FAILED:
        return draft  # an edit starts it over
    known = find(draft.status.conditions, Aspect.SPEC_CHANGE_REJECTED)
    generation = seen.request.generation
    if rejected:
        return draft.saying(
            Aspect.SPEC_CHANGE_REJECTED,
            True,
            "SpecChangeRejected",
            change_rejected_message(phase_of(seen)),
            generation,
        )
    if known is not None:
        draft = draft.saying(
            Aspect.SPEC_CHANGE_REJECTED, False, "SpecUnchanged", "the edit was taken back"
        )
    if seen.accepted is not None and draft.status.observed_generation != generation:
        return draft.with_(observed_generation=generation)
    return draft


def change_rejected_message(phase: Phase) -> str:
    """Upstream's sentence about an edit that comes too late; its tests know it."""
    return (
        f"Cannot modify spec in state '{phase.value}'. DynamoGraphDeploymentRequest is immutable "
        "once profiling starts. Create a new resource with a different name instead."
    )
