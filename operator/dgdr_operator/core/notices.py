"""Events of a pass: derived from what changed, so that a pass without a change is silent.

They are emitted before the status is written. A pass that is killed in between emits them again
under the same name, which the API server then counts or ignores. Lost is only what tells of a deed
that the next pass finds done, such as a deployment that was created: the status says the same.
"""

from dataclasses import dataclass

from dgdr_api.conditions import find
from dgdr_api.doubts import doubts
from dgdr_api.models.base import Condition
from dgdr_api.models.dgdr_v1beta1 import DGDRStatus, Phase
from dgdr_api.names import Annotation
from dgdr_operator.core import steps
from dgdr_operator.core.lifecycle import change_is_rejected, phase_of, was_created
from dgdr_operator.core.observation import CandidateSeen, Observation, Origin, PullFailure
from dgdr_operator.core.starting_over import asks_again, run_of
from dgdr_operator.core.status import RECONCILE_FAILED, change_rejected_message
from dgdr_operator.core.steps import Aspect, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """An Event to be; ``once`` names the occasion of which there is only one."""

    reason: str
    message: str
    warning: bool = False
    once: str | None = None


def notices(seen: Observation, step: Step, new: DGDRStatus) -> tuple[Notice, ...]:
    """Return the Events that belong to the way from the old status to the new one."""
    old = seen.request.status
    told = [
        *_about_validation(old, new, seen.request.generation),
        *_about_doubts(seen, new),
        *_about_step(seen, step, new),
        *_about_deployment(seen, step, old, new),
        *(_pull_failed(failure) for failure in (seen.dgd.pull_failures if seen.dgd else ())),
    ]
    told += [_warning("KeyIgnored", text, f"ignored-{text}") for text in seen.ignored_keys]
    if asks_again(seen.request) and not isinstance(step, steps.StartOver):
        text = f"the request is {phase_of(seen)}; only a failed one is run again"
        told.append(_warning("RerunIgnored", text, f"rerun-{seen.request.rerun_requested_at}"))
    if change_is_rejected(seen):
        text = change_rejected_message(phase_of(seen))
        told.append(_warning("SpecChangeRejected", text, f"generation-{seen.request.generation}"))
    return tuple(told)


def about_sweep(gone: tuple[CandidateSeen, ...]) -> Notice:
    """Return the Event about candidates that nobody looked after."""
    listed = ", ".join(candidate.name for candidate in gone)
    return Notice(reason="CandidatesDeleted", message=f"Deleted candidate deployments: {listed}")


def reconcile_failed(message: str, generation: int) -> Notice:
    """Return the Event about a failure that no step accounts for."""
    return _warning(RECONCILE_FAILED, message, f"generation-{generation}/{message}")


def _warning(reason: str, message: str, once: str | None = None) -> Notice:
    return Notice(reason=reason, message=message, warning=True, once=once)


def _is_news(seen: Observation, new: DGDRStatus, aspect: Aspect) -> bool:
    """Whether a condition says something else than before: what stands is not told again."""
    before, after = (find(s.conditions, aspect) for s in (seen.request.status, new))
    return before is None or after is None or not _says_the_same(before, after)


def _says_the_same(before: Condition, after: Condition) -> bool:
    return (before.reason, before.message) == (after.reason, after.message)


def _about_validation(old: DGDRStatus, new: DGDRStatus, generation: int) -> list[Notice]:
    before, after = (find(status.conditions, Aspect.VALIDATION) for status in (old, new))
    if after is None or _same(before, after):
        return []
    if after.is_true:
        return [Notice(reason="Initialized", message="DGDR initialized", once="initialized")]
    occasion = f"generation-{generation}/{after.message}"
    return [_warning("ValidationFailed", after.message, occasion)]


def _about_doubts(seen: Observation, new: DGDRStatus) -> list[Notice]:
    """Ask once about values that are possible and hardly meant."""
    after, spec = find(new.conditions, Aspect.VALIDATION), seen.request.spec
    asked = doubts(spec) if spec is not None and after is not None and after.is_true else ()
    if not asked or not _is_news(seen, new, Aspect.VALIDATION):
        return []
    text = "; ".join(asked)
    return [_warning("SuspiciousValue", text, f"generation-{seen.request.generation}/{text}")]


def _same(before: Condition | None, after: Condition) -> bool:
    if before is None or before.status is not after.status:
        return False
    return after.is_true or before.message == after.message


def _about_step(seen: Observation, step: Step, new: DGDRStatus) -> list[Notice]:
    run = run_of(seen.request, seen.accepted.generation if seen.accepted else None)
    match step:
        case steps.StartOver(why):
            text = f"Starting over: {why}; points that were measured are kept"
            return [Notice(reason="StartingOver", message=text, once=f"over-{run}")]
        case steps.Suspend() if _is_news(seen, new, Aspect.PROFILING):
            text = f"Suspended by annotation {Annotation.SUSPEND}"
            return [Notice(reason="Suspended", message=text)]
        case steps.Resume() | steps.AwaitJob() if _was_suspended(seen):
            return [Notice(reason="Resumed", message="Profiling goes on")]
        case steps.StartProfiling() if phase_of(seen) is Phase.PROFILING:
            text = "Profiling job created again; points that were measured are kept"
            return [Notice(reason="ProfilingJobCreated", message=text)]
        case steps.StartProfiling():
            text = "Profiling job created"
            return [Notice(reason="ProfilingJobCreated", message=text, once=f"first-{run}")]
        case steps.AwaitJobPermission(message) if _is_news(seen, new, Aspect.PROFILING):
            return [_warning("ProfilingJobFailed", message)]
        case steps.Fail(event=reason, message=message):
            return [_warning(reason, message, f"failed-{run}")]
        case steps.RecordResult():
            text = f"DGD {new.dgd_name} generated"
            generated = Notice(reason="SpecGenerated", message=text, once=f"generated-{run}")
            return [generated, *_about_targets(new, run)]
        case _:
            return []


def _was_suspended(seen: Observation) -> bool:
    """Whether the status says so still; the Job may go on already, by a pass that was killed."""
    before = find(seen.request.status.conditions, Aspect.PROFILING)
    return before is not None and before.reason == steps.SUSPENDED


def _about_targets(new: DGDRStatus, run: str) -> list[Notice]:
    targets = find(new.conditions, Aspect.SLA_REACHABLE)
    if targets is None or targets.is_true:
        return []
    return [_warning(targets.reason, targets.message, f"targets-{run}")]


def _about_deployment(
    seen: Observation, step: Step, old: DGDRStatus, new: DGDRStatus
) -> list[Notice]:
    run = run_of(seen.request, seen.accepted.generation if seen.accepted else None)
    match step:
        case steps.AwaitPermission(message=message) if _is_news(seen, new, Aspect.DEPLOYMENT_READY):
            return [_warning("DeploymentCreationFailed", message)]
        case steps.Deploy(deployment) if not was_created(old):
            if seen.dgd is not None and seen.dgd.origin is Origin.EARLIER:
                text = f"DGD {deployment.name} of an earlier request taken over, with its planner"
                return [Notice(reason="DeploymentTakenOver", message=text, once=f"created-{run}")]
            text = f"DGD {deployment.name} created"
            return [Notice(reason="DeploymentCreated", message=text, once=f"created-{run}")]
        case steps.ReportDeployed() if old.phase is not Phase.DEPLOYED:
            return [Notice(reason="DeploymentReady", message=f"DGD {new.dgd_name} is ready")]
        case steps.AwaitDeployment(message, degraded=True) if _is_news(
            seen, new, Aspect.DEPLOYMENT_READY
        ):
            return [_warning("DeploymentDegraded", message)]
        case _:
            return []


def _pull_failed(failure: PullFailure) -> Notice:
    text = (
        f"Pod {failure.pod}, container {failure.container}: image {failure.image}: "
        f"{failure.message}"
    )
    return _warning("ImagePullFailed", text, f"{failure.pod_uid}/{failure.container}")
