"""What follows when the API server refuses a write: another try later, or the end.

A full quota (403) empties, and a policy changes, whatever status its webhook or its
ValidatingAdmissionPolicy (422 unless it says otherwise) answers, so the request waits. An object
that is invalid stays so.
"""

from dgdr_operator.core.final_config import Deployment
from dgdr_operator.core.steps import Aspect, AwaitJobPermission, AwaitPermission, Fail, Step

FORBIDDEN = 403
OVER_QUOTA = "exceeded quota"
POLICIES = ("admission webhook", "ValidatingAdmissionPolicy")


def deployment_refused(deployment: Deployment, status: int, message: str, exists: bool) -> Step:
    """Return the step after the API server refused to deploy a result."""
    if _may_go_away(status, message):
        return AwaitPermission(message=_refusal(message), exists=exists)
    return deployment_rejected(f"DGD {deployment.name} was refused: {message}")


def deployment_rejected(message: str) -> Fail:
    """Return the step after a refusal of the DGD for good."""
    return Fail(
        aspect=Aspect.DEPLOYMENT_READY,
        reason="DeploymentRejected",
        message=message,
        event="DeploymentCreationFailed",
    )


def job_refused(status: int, message: str) -> Step:
    """Return the step after the API server refused the Job or what it needs."""
    if _may_go_away(status, message):
        return AwaitJobPermission(_refusal(message))
    return Fail(
        aspect=Aspect.PROFILING,
        reason="JobCreationFailed",
        message=f"profiling job could not be created: {message}",
        event="ProfilingJobFailed",
    )


def _may_go_away(status: int, message: str) -> bool:
    return status == FORBIDDEN or any(policy in message for policy in POLICIES)


def _refusal(message: str) -> str:
    cure = "; raise the quota or free what it counts" if OVER_QUOTA in message else ""
    return f"the API server refused: {message}{cure}"
