"""What another target, budget, load or profile would need, beside what is needed now. Pure."""

from dataclasses import dataclass

from dgdr_api.graph import Role
from dgdr_cli.planner.case import Case
from dgdr_cli.planner.plan import Planned, RoleCount, plan


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """Two answers; ``replicas`` are those that are there now, by role."""

    now_case: Case
    then_case: Case
    now: Planned
    then: Planned

    def pairs(self) -> tuple[tuple[RoleCount, RoleCount], ...]:
        """Return each role now and then."""
        return tuple(zip(self.now.roles, self.then.roles, strict=True))

    def present(self, role: Role) -> int | None:
        """Replicas that are there; None where nobody knows."""
        return self.now_case.replicas.get(role)


def what_if(now: Case, then: Case) -> WhatIf:
    """Answer both."""
    return WhatIf(now_case=now, then_case=then, now=plan(now), then=plan(then))


def differences(now: Case, then: Case) -> tuple[str, ...]:
    """Say what is different, each as ``name now -> then``."""
    before, after = _settings(now), _settings(then)
    told = [
        f"{name} {before[name]} → {after[name]}" for name in before if before[name] != after[name]
    ]
    if now.profile is not then.profile:
        told.append("another profile")
    return tuple(told)


def _settings(case: Case) -> dict[str, str]:
    targets, load = case.policy.targets, case.load
    return {
        "TTFT": f"{targets.ttft_ms:g} ms",
        "ITL": f"{targets.itl_ms:g} ms",
        "percentile": str(targets.percentile),
        "budget": _budget(case),
        "rate": f"{load.rate_per_s:g} requests/s",
        "ISL": f"{load.isl:g}",
        "OSL": f"{load.osl:g}",
    }


def _budget(case: Case) -> str:
    if case.shared is not None:
        return f"{case.shared.name} ({case.shared.gpus} GPUs, shared)"
    gpus = case.policy.budget_gpus
    return "none" if gpus is None else f"{gpus} GPUs"
