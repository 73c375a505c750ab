"""A decision's replicas, before and after, as text."""

from dgdr_api.models.sla_planner_status import DecisionRecord


def changes_of(record: DecisionRecord) -> str:
    """Return ``prefill 5 → 6, decode 2 → 3``; "none" where nothing changed."""
    roles = (("prefill", record.prefill), ("decode", record.decode), ("worker", record.worker))
    told = [
        f"{role} {change.from_} → {change.to}"
        for role, change in roles
        if change is not None and change.from_ != change.to
    ]
    return ", ".join(told) or "none"
