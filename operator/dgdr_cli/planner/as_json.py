"""The same answers for programs: one JSON object each, null where nobody knows."""

import json
from dataclasses import asdict
from typing import Any

from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_cli.planner.case import Case
from dgdr_cli.planner.explained import Explanation
from dgdr_cli.planner.plan import Planned, RoleCount
from dgdr_cli.planner.shares import Division
from dgdr_cli.planner.what_if import WhatIf, differences


def plan_object(case: Case, planned: Planned) -> dict[str, Any]:
    """Return a plan."""
    load, targets = case.load, case.policy.targets
    return {
        "load": {
            "rate_per_s": load.rate_per_s,
            "isl": load.isl,
            "osl": load.osl,
            "source": case.load_from,
        },
        "targets": {
            "ttft_ms": targets.ttft_ms,
            "itl_ms": targets.itl_ms,
            "percentile": str(targets.percentile),
        },
        "budget_gpus": case.policy.budget_gpus,
        "shared_budget": None
        if case.shared is None
        else {"name": case.shared.name, "gpus": case.shared.gpus, "share": planned.share_gpus},
        "roles": {str(role.role): _role(role) for role in planned.roles},
        "gpus": planned.gpus,
        "gpu_hours_per_day": planned.gpu_hours_per_day,
        "meets": planned.meets,
        "reachable": planned.reachable,
        "in_range": planned.in_range,
        "infeasible": planned.infeasible,
    }


def what_if_object(asked: WhatIf) -> dict[str, Any]:
    """Return both plans and what is different."""
    return {
        "differences": list(differences(asked.now_case, asked.then_case)),
        "replicas": {str(role): count for role, count in asked.now_case.replicas.items()},
        "now": plan_object(asked.now_case, asked.now),
        "then": plan_object(asked.then_case, asked.then),
    }


def explanation_object(planner: SLAPlanner, told: Explanation) -> dict[str, Any]:
    """Return a planner's status with its targets; the sentences are for people."""
    return {
        "namespace": planner.metadata.namespace,
        "name": planner.metadata.name,
        "mode": told.mode,
        "sla": planner.spec.sla.to_json(),
        "status": planner.status.to_json(),
        "budget": asdict(told.budget) if isinstance(told.budget, Division) else None,
        "held": told.outlook.held,
        "silent": told.outlook.silent,
        "why": [asdict(one) for one in told.outlook.roles],
        "coming": [
            {"at": None if one.at is None else f"{one.at:%Y-%m-%dT%H:%M:%SZ}", "text": one.text}
            for one in told.outlook.coming
        ],
        "troubles": [asdict(verdict) for verdict in told.verdicts if verdict.trouble],
    }


def text(answer: dict[str, Any]) -> str:
    """Return indented JSON."""
    return json.dumps(answer, indent=2, ensure_ascii=False, allow_nan=False)


def _role(role: RoleCount) -> dict[str, Any]:
    return {
        "replicas": role.replicas,
        "needed": role.needed,
        "chosen_by": str(role.chosen_by),
        "for_targets": role.for_targets,
        "needed_exact": round(role.exact, 4),
        "limited_by": role.limit,
        "gpus_per_replica": role.gpus_each,
        "gpus": role.gpus,
        "expected_ms": {
            one.name.lower(): None if role.is_short else one.expected_ms for one in role.latencies
        },
        "alone_ms": role.alone_ms,
        "correction": role.correction,
        "binding": str(role.binding),
        "reachable": role.reachable,
        "in_range": role.in_range,
        "source": None if role.source is None else str(role.source),
    }
