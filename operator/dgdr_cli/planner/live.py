"""A planner's status with the ready replicas that its target has now.

A status is written when something is decided, and pods become ready in between. How many are
wanted it says itself: a deployment follows its adapters a moment later.
"""

from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.models.sla_planner_status import RoleStatus


def as_it_is(planner: SLAPlanner, target: DynamoGraphDeployment | None) -> SLAPlanner:
    """Return the planner with what of its target is ready; as it was where nobody can see it."""
    if target is None:
        return planner
    roles = tuple(_role(role, target) for role in planner.status.roles)
    status = planner.status.model_copy(update={"roles": roles})
    return planner.model_copy(update={"status": status})


def _role(role: RoleStatus, target: DynamoGraphDeployment) -> RoleStatus:
    seen = (target.status.components or {}).get(role.component or "")
    if seen is None or seen.ready is None:
        return role
    return role.model_copy(update={"ready_replicas": seen.ready})
