"""A planner's status with the replicas that its target has now.

A status is written when something is decided, and pods become ready in between.
"""

from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.models.sla_planner_status import RoleStatus


def as_it_is(planner: SLAPlanner, target: DynamoGraphDeployment | None) -> SLAPlanner:
    """Return the planner with the replicas of its target; as it was where nobody can see them."""
    if target is None:
        return planner
    roles = tuple(_role(role, target) for role in planner.status.roles)
    status = planner.status.model_copy(update={"roles": roles})
    return planner.model_copy(update={"status": status})


def _role(role: RoleStatus, target: DynamoGraphDeployment) -> RoleStatus:
    wanted = {one.name: one.replicas for one in target.spec.components}
    seen = (target.status.components or {}).get(role.component or "")
    now = {
        "replicas": wanted.get(role.component or ""),
        "ready_replicas": seen.ready_replicas if seen else None,
    }
    return role.model_copy(update={key: n for key, n in now.items() if n is not None})
