"""When a graph is looked at again, if no event starts a pass before."""

from datetime import datetime

from dgdr_api.conditions import READY, find
from dgdr_api.models.dgd_v1beta1 import DgdState, DGDStatus
from dgdr_api.names import Label
from dgdr_kube.kinds import LEADER_WORKER_SET
from dgdr_kube.ports import Manifests
from dgdr_operator.core.graph_status import is_ready
from dgdr_operator.core.observed_workloads import workload_seen
from dgdr_operator.core.upgrades import Verdict
from dgdr_operator.core.workload import all_run
from dgdr_operator.passes.graph_children import Children
from dgdr_operator.passes.graph_restart import of_component

# Events start a pass; these only bound how long a lost one goes unnoticed.
LOOK_AGAIN_S = 15.0
LOOK_AGAIN_WHEN_READY_S = 600.0
# LeaderWorkerSets are not watched: their pods are, which tells of most that happens to them.
LOOK_AGAIN_AT_GROUPS_S = 60.0
# They report a moment after the last event of a pod.
GROUPS_REPORT_S = 1.0
# Garbage collection of an earlier graph of the same name takes about this long.
LEAVING_S = 1.0
# What the API server refuses, or somebody else has, is tried again ever more rarely.
LONGEST_REFUSED_S = 600.0
# Nobody calls the next one when a turn is given back; engines load for longer than this.
LOOK_AGAIN_FOR_TURN_S = 60.0


def again_s(
    status: DGDStatus,
    verdict: Verdict,
    children: Children,
    now: datetime,
    group_pods: Manifests | None,
) -> float:
    """Return the seconds after which to look again; a graph without groups has no pods of them."""
    if children.must_wait:
        return _patience_s(status, now, LEAVING_S, LOOK_AGAIN_S)
    if children.problems:
        return _patience_s(status, now, LOOK_AGAIN_S, LONGEST_REFUSED_S)
    after_s = _look_again_s(status, verdict)
    if group_pods is None:
        return after_s
    return min(after_s, _groups_again_s(children, group_pods, now))


def _patience_s(status: DGDStatus, now: datetime, least_s: float, most_s: float) -> float:
    """Return how long to wait for what is in the way: ever longer, the longer it lasts."""
    ready = find(status.conditions, READY)
    lasted_s = (now - ready.last_transition_time).total_seconds() if ready else 0.0
    return min(max(lasted_s, least_s), most_s)


def _groups_again_s(children: Children, pods: Manifests, now: datetime) -> float:
    """Return when to look at groups again: soon where one runs and has not said so yet."""
    for group in children.of(LEADER_WORKER_SET):
        of_group = of_component(pods, group["metadata"]["labels"].get(Label.COMPONENT, ""))
        if all_run(group, of_group) and not is_ready(workload_seen(group, now)):
            return GROUPS_REPORT_S
    return LOOK_AGAIN_AT_GROUPS_S


def _look_again_s(status: DGDStatus, verdict: Verdict) -> float:
    if verdict in (Verdict.WAITS_FOR_TURN, Verdict.MEASURED):
        return LOOK_AGAIN_FOR_TURN_S
    return LOOK_AGAIN_WHEN_READY_S if status.state is DgdState.SUCCESSFUL else LOOK_AGAIN_S
