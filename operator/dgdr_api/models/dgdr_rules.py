"""CEL rules of DynamoGraphDeploymentRequest; texts are upstream's where upstream has one."""

from collections.abc import Iterable

from dgdr_api.models.cel import FORBIDDEN, CelRule
from dgdr_api.names import MAX_WORKLOAD_NAME_CHARS

THOROUGH_WITH_AUTO = (
    'is incompatible with spec.backend "auto"; set spec.backend to a specific backend '
    "(sglang, trtllm, or vllm)"
)
TTFT_WITHOUT_ITL = "ttft and itl belong together: give both in milliseconds, or none of them"
E2E_WITH_TTFT = "e2eLatency replaces ttft and itl: give either e2eLatency, or ttft with itl"
RATE_WITH_CONCURRENCY = (
    "requestRate and concurrency exclude each other: give requests per second or requests in flight"
)
VERSION_PATTERN = r"^(0|[1-9][0-9]{0,3})(\.(0|[1-9][0-9]{0,3})){2}$"
LOCKED_PHASES = ("Profiling", "Deploying", "Ready", "Deployed")

# The generated deployment is <name>-dgd and its longest component is the frontend.
MAX_NAME_CHARS = MAX_WORKLOAD_NAME_CHARS - len("-dgd-frontend")
# profile-<name> names the Job, and Kubernetes writes a Job's name into a label.
MAX_NAME_CHARS_OF_JOB = 63 - len("profile-")


def _set(field: str) -> str:
    """CEL for: the field is there and not null, which upstream's manifests write for "unset".

    A null reaches the rules through server-side apply; other writes have it pruned. ``dyn``,
    because CEL refuses to compare a number with null.
    """
    return f"(has(self.{field}) && dyn(self.{field}) != null)"


_TTFT, _ITL, _E2E = _set("ttft"), _set("itl"), _set("e2eLatency")

SLA: tuple[CelRule, ...] = (
    CelRule(
        expression=f"{_TTFT} == {_ITL}",
        message=TTFT_WITHOUT_ITL,
    ),
    CelRule(
        expression=f"!({_E2E} && ({_TTFT} || {_ITL}))",
        message=E2E_WITH_TTFT,
        at=".e2eLatency",
    ),
)

WORKLOAD: tuple[CelRule, ...] = (
    CelRule(
        expression=f"!({_set('requestRate')} && {_set('concurrency')})",
        message=RATE_WITH_CONCURRENCY,
        at=".requestRate",
    ),
)

DGDR_SPEC: tuple[CelRule, ...] = (
    CelRule(
        expression="!(has(self.searchStrategy) && self.searchStrategy == 'thorough')"
        " || (has(self.backend) && self.backend != 'auto')",
        message=THOROUGH_WITH_AUTO,
        at=".searchStrategy",
    ),
)


def locked(phase: str) -> str:
    """Return upstream's words for a spec that is in use."""
    return (
        f'updates are forbidden while the resource is in phase "{phase}"; delete and recreate the '
        "resource to change its spec"
    )


def root_rules(spec_fields: Iterable[str]) -> tuple[CelRule, ...]:
    """Return the rules that need the object's name, or its phase.

    Args:
        spec_fields: all fields of the spec, for the one that may change while the others may not.
    """
    locked = ", ".join(f"'{phase}'" for phase in LOCKED_PHASES)
    apply_only = " && ".join(
        f"has(self.spec.{field}) == has(oldSelf.spec.{field})"
        f" && (!has(self.spec.{field}) || self.spec.{field} == oldSelf.spec.{field})"
        for field in spec_fields
        if field != "autoApply"
    )
    return (
        CelRule(
            expression="!has(oldSelf.status) || !has(oldSelf.status.phase)"
            f" || !(oldSelf.status.phase in [{locked}]) || self.spec == oldSelf.spec"
            " || (oldSelf.status.phase == 'Ready' && has(oldSelf.spec.autoApply)"
            " && !oldSelf.spec.autoApply && has(self.spec.autoApply) && self.spec.autoApply"
            f" && {apply_only})",
            message="updates are forbidden while the resource is being profiled or is deployed; "
            "delete and recreate the resource to change its spec",
            at=".spec",
            reason=FORBIDDEN,
            message_expression=(
                "'updates are forbidden while the resource is in phase \"'"
                " + oldSelf.status.phase +"
                " '\"; delete and recreate the resource to change its spec'"
            ),
        ),
        CelRule(
            expression=f"size(self.metadata.name) <= {MAX_NAME_CHARS_OF_JOB}",
            message=f"at most {MAX_NAME_CHARS_OF_JOB} characters: the profiling "
            "Job is named profile-<name>",
            at=".metadata.name",
        ),
        CelRule(
            expression=f"size(self.metadata.name) <= {MAX_NAME_CHARS}"
            " || (has(self.spec.overrides) && has(self.spec.overrides.dgd)"
            " && has(self.spec.overrides.dgd.metadata)"
            " && has(self.spec.overrides.dgd.metadata.name))",
            message=f"at most {MAX_NAME_CHARS} characters: the deployment "
            f"<name>-dgd and its component frontend share {MAX_WORKLOAD_NAME_CHARS}; use a "
            "shorter name, or set overrides.dgd.metadata.name",
            at=".metadata.name",
        ),
    )
