"""Aggregated, prefill only, decode only; and targets that are none of these."""

from typing import Any

import pytest

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_perf.sizing import Workload, size_aggregated
from dgdr_planner.decide import decide
from dgdr_planner.observe.observation import Observation, TargetSeen
from dgdr_planner.observe.target import counts, target_of, writer_of
from dgdr_planner.observe.value import Trouble
from dgdr_planner.plan import Plan
from dgdr_planner.policy import Limits, Policy
from dgdr_planner.state import State
from support.planning import (
    EXACTLY,
    POLICY,
    PROFILE,
    at,
    graph_deployment,
    load,
    policy,
    sla_planner,
    worker,
)

ONE_TO_EIGHT = Limits(fewest=1, most=8)
NINE = Workload(rate_per_s=9.4, isl=2048, osl=128)
AGGREGATED = min(size_aggregated(PROFILE, NINE, POLICY.targets).replicas, 8)


def seen_with(roles: tuple[Role, ...], dgd: dict[str, Any]) -> TargetSeen:
    found = target_of(dgd, {}, roles)
    assert isinstance(found, TargetSeen)
    return found


def aggregated() -> dict[str, Any]:
    dgd = graph_deployment()
    dgd["spec"]["components"][1:] = [worker("worker", 2)]
    return dgd


@pytest.mark.parametrize(
    ("roles", "dgd", "expected"),
    [
        pytest.param((Role.PREFILL,), graph_deployment(), {Role.PREFILL: 3}, id="prefill only"),
        pytest.param((Role.DECODE,), graph_deployment(), {Role.DECODE: 2}, id="decode only"),
        pytest.param((Role.WORKER,), aggregated(), {Role.WORKER: AGGREGATED}, id="aggregated"),
    ],
)
def test_each_mode_plans_its_roles_and_no_other(
    roles: tuple[Role, ...], dgd: dict[str, Any], expected: dict[Role, int]
) -> None:
    how = policy(limits=dict.fromkeys(roles, ONE_TO_EIGHT))
    what = Observation(target=seen_with(roles, dgd), load=load(9.4))
    outcome = decide(what, PROFILE, how, State(), at(0), forecaster=EXACTLY).outcome
    assert isinstance(outcome, Plan)
    planned = {role.seen.role: role.replicas for role in outcome.roles}
    assert planned.keys() == expected.keys()
    assert planned == expected


def test_the_spec_says_which_roles_are_scaled() -> None:
    for roles in ({"worker": {"max": 4}}, {"prefill": {"max": 4}}, {"decode": {"max": 4}}):
        parsed = SLAPlanner.parse(sla_planner(roles=roles))
        assert [str(role) for role in Policy.of(parsed.spec).roles] == list(roles)


def test_two_components_of_one_role_are_a_clear_condition() -> None:
    dgd = graph_deployment()
    dgd["spec"]["components"].append(worker("decode", 1) | {"name": "decode-long"})
    found = target_of(dgd, {}, (Role.PREFILL, Role.DECODE))
    assert found == Trouble(
        "RolesAmbiguous",
        "DynamoGraphDeployment q-dgd has 2 of type decode (Frontend (frontend), prefill (prefill),"
        " decode (decode), decode-long (decode)); an SLAPlanner scales one component of each role",
    )


def pod(component: str, *, going: bool = False, phase: str = "Running") -> dict[str, Any]:
    meta: dict[str, Any] = {"labels": {"nvidia.com/dynamo-component": component}}
    if going:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": meta, "status": {"phase": phase}}


def test_pods_that_stop_are_counted_apart_and_those_that_ended_not_at_all() -> None:
    counted = counts([pod("decode"), pod("decode", going=True), pod("decode", phase="Failed")])
    assert (counted["decode"].present, counted["decode"].terminating) == (1, 1)


def test_a_replica_of_two_nodes_holds_its_gpus_until_the_last_pod_is_gone() -> None:
    dgd = graph_deployment()
    dgd["spec"]["components"][2]["multinode"] = {"nodeCount": 2}
    pods = [pod("decode"), pod("decode"), pod("decode", going=True)]
    found = target_of(dgd, {}, (Role.DECODE,), pods)
    assert isinstance(found, TargetSeen)
    decode = found.role(Role.DECODE)
    assert (decode.present, decode.terminating, decode.held) == (1, 1, 2)


def test_the_last_writer_of_a_number_counts() -> None:
    def entry(manager: str, time: str) -> dict[str, Any]:
        fields = {"f:spec": {"f:replicas": {}}}
        return {"manager": manager, "time": time, "fieldsV1": fields}

    meta = {"managedFields": [entry("kubectl", "2026-01-02"), entry("dgdr-planner", "2026-01-01")]}
    assert writer_of({"metadata": meta}, ("f:replicas",)) == "kubectl"
    assert writer_of({"metadata": {}}, ("f:replicas",)) is None
