"""Whole passes against a cluster in memory and a Prometheus that shows what it is told."""

import copy
import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from dgdr_api.fingerprint import Fingerprint
from dgdr_api.graph import Role
from dgdr_api.provenance import Provenance
from dgdr_kube.errors import Conflict, Rejected, Unreachable
from dgdr_kube.kinds import CONFIG_MAP, DGD, DGDSA, SLA_PLANNER
from dgdr_planner.adapters.targets import ClusterTargets
from dgdr_planner.memory import HISTORY_TRIES
from dgdr_planner.observe.history import Sample
from dgdr_planner.observe.snapshot import NoSnapshot
from support.fake_cluster import Killed, Write
from support.planner_world import KEY, World
from support.planning import (
    DECODE,
    DGD_NAME,
    NAMESPACE,
    at,
    curves_config_map,
    graph_deployment,
    sla_planner,
)

DOWN = NoSnapshot("PrometheusUnreachable", "Prometheus cannot be reached")


async def test_load_scales_up_and_says_why() -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    delay_s = await world.run(KEY)
    assert world.replicas() == (3, 2)
    assert delay_s is not None
    assert 1 <= delay_s <= 16
    latest = world.status()["decisions"][0]
    assert latest["reason"] == "ScaledUp"
    assert (latest["prefill"], latest["decode"]) == ({"from": 1, "to": 3}, {"from": 1, "to": 2})
    assert re.match(
        r"Scaled prefill from 1 to 3: 9\.\d requests/s of ISL 2048 need 2\.\d\d replicas,",
        latest["message"],
    )
    assert world.events() == [("Normal", "ScaledUp")]
    assert world.cluster.events[0].message == latest["message"]
    assert world.condition("Ready") == ("True", "Planning", "decides every 15 s")
    assert {entry["type"]: entry["status"] for entry in world.status()["conditions"]} == {
        "Ready": "True",
        "Stalled": "False",
        "MetricsAvailable": "True",
        "ProfileValid": "True",
        "SLAReachable": "True",
        "ScalingLimited": "False",
        "Reconciling": "True",
        "BudgetFeasible": "True",
    }


async def test_the_number_is_ours_and_only_the_number() -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    await world.passes()
    name = f"{DGD_NAME}-prefill"
    assert world.cluster.managers(DGDSA, NAMESPACE, name, "spec", "replicas") == {"dgdr-planner"}
    assert world.cluster.writes == [
        Write("scale", "DynamoGraphDeploymentScalingAdapter", name, "dgdr-planner"),
        Write("scale", "DynamoGraphDeploymentScalingAdapter", f"{DGD_NAME}-decode", "dgdr-planner"),
        Write("patch_status", "SLAPlanner", DGD_NAME, "dgdr-planner"),
    ]


async def test_idle_goes_down_to_the_minimum_after_the_window() -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    await world.passes()
    world.metrics.rate_per_s = 0.0
    await world.passes(8)
    assert world.replicas() == (3, 2)
    await world.passes(3)
    assert world.replicas() == (1, 1)
    assert world.status()["decisions"][0]["message"] == (
        "Scaled prefill from 3 to 1: no requests for 60 s;"
        " Scaled decode from 2 to 1: no requests for 60 s"
    )


async def test_prometheus_down_changes_nothing_and_is_said_once() -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    await world.passes()
    world.metrics.rate_per_s = None
    await world.passes(8)
    assert world.replicas() == (3, 2)
    assert world.condition("MetricsAvailable") == (
        "False",
        "PrometheusUnreachable",
        "Prometheus cannot be reached",
    )
    assert world.condition("Ready")[:2] == ("False", "MetricsUnavailable")
    assert world.events().count(("Warning", "PrometheusUnreachable")) == 1
    world.metrics.rate_per_s = 9.4
    await world.passes()
    assert world.condition("MetricsAvailable")[0] == "True"
    assert world.condition("Ready")[0] == "True"
    assert world.events()[-1] == ("Normal", "MetricsAvailable")


async def test_series_that_stay_away_are_a_condition_at_once_and_a_warning_later() -> None:
    world = World()
    world.metrics.trouble = NoSnapshot("NoSeries", "No series for demo")
    await world.passes()
    assert world.condition("MetricsAvailable") == ("False", "NoSeries", "No series for demo")
    await world.passes(2)
    assert world.events() == []
    await world.passes(10)
    assert world.events() == [("Warning", "NoSeries")]


async def test_a_steady_state_is_not_written_but_every_five_minutes() -> None:
    world = World()
    world.metrics.rate_per_s = 0.5
    await world.passes()
    assert world.status_writes() == 1
    await world.passes(19)
    assert world.status_writes() == 1
    world.metrics.rate_per_s = 0.6
    await world.passes(2)
    assert world.status_writes() == 2


async def test_twice_changes_nothing() -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    await world.passes()
    before = copy.deepcopy(world.cluster.everything())
    await world.run(KEY)
    assert world.cluster.everything() == before


async def test_without_an_adapter_the_deployment_is_patched_once_for_both() -> None:
    world = World(adapters=False)
    world.metrics.rate_per_s = 9.4
    await world.passes()
    found = world.cluster.peek(DGD, NAMESPACE, DGD_NAME)
    assert found is not None
    components = {entry["name"]: entry for entry in found["spec"]["components"]}
    assert (components["prefill"]["replicas"], components["decode"]["replicas"]) == (3, 2)
    assert "replicas" not in components["Frontend"]
    assert [write.verb for write in world.cluster.writes] == ["patch", "patch_status"]
    managers = world.cluster.managers(DGD, NAMESPACE, DGD_NAME)
    assert managers == {"dgdr-planner"}


async def test_an_adapter_that_vanished_meanwhile_is_no_obstacle() -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    targets = ClusterTargets(world.cluster)
    seen = await targets.observe(NAMESPACE, DGD_NAME, (Role.PREFILL, Role.DECODE))
    await world.cluster.delete(DGDSA, NAMESPACE, f"{DGD_NAME}-prefill")
    await world.passes()
    assert seen.role  # type: ignore[union-attr]
    found = world.cluster.peek(DGD, NAMESPACE, DGD_NAME)
    assert found is not None
    assert found["spec"]["components"][1]["replicas"] == 3
    assert world.adapted("decode") == 2


async def test_somebody_else_was_first_so_look_again_soon() -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    world.cluster.refuse("scale", DGDSA, Conflict("the object has been modified"))
    delay_s = await world.run(KEY)
    assert delay_s == 2.0
    assert not world.status().get("decisions")
    assert world.condition("Ready")[0] == "True"
    world.cluster.refuse("scale", DGDSA, None)
    await world.passes()
    assert world.replicas() == (3, 2)


async def test_a_refused_write_is_said() -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    world.cluster.refuse("scale", DGDSA, Rejected(403, "scale is forbidden"))
    await world.passes(3)
    assert world.condition("Ready") == (
        "False",
        "ScaleFailed",
        "the replicas could not be written: 403: scale is forbidden",
    )
    assert world.events() == [("Warning", "ScaleFailed")]
    assert not world.status().get("decisions")


async def test_a_decision_is_told_although_the_status_could_not_be_written() -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    world.cluster.refuse("patch_status", SLA_PLANNER, Unreachable("it is away"))
    with pytest.raises(Unreachable):
        await world.run(KEY)
    world.cluster.refuse("patch_status", SLA_PLANNER, None)
    await world.passes()
    assert [decision["reason"] for decision in world.status()["decisions"]] == ["ScaledUp"]
    assert world.events() == [("Normal", "ScaledUp")]


@pytest.mark.parametrize("writes", [0, 1, 2, 3])
async def test_a_kill_at_any_write_ends_in_the_same_replicas(writes: int) -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    world.cluster.kill_after_writes = writes
    with suppress(Killed):
        await world.run(KEY)
    world.cluster.kill_after_writes = None
    world.restart()
    await world.passes(3)
    assert world.replicas() == (3, 2)


async def test_a_restart_goes_on_with_the_wait() -> None:
    patient = {"scaleDown": {"stabilizationWindowSeconds": 600, "maxStep": 1}}
    world = World(sla_planner(behavior=patient))
    world.metrics.rate_per_s = 9.4
    await world.passes()
    world.metrics.rate_per_s = 0.0
    # The wait, with a restart in the middle; the new process asks Prometheus for the past.
    await world.passes(30)
    world.metrics.past = tuple(
        Sample(at_s=at(15 * tick).timestamp(), window_s=15, rate_per_s=0.0 if tick else 9.4)
        for tick in range(30)
    )
    world.restart()
    passes = 30
    while world.replicas() == (3, 2) and passes < 120:
        await world.passes()
        passes += 1
    assert 51 <= passes <= 56
    assert world.replicas() == (2, 1)


async def test_restarts_all_the_time_never_shrink_early() -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    await world.passes()
    world.metrics.rate_per_s = 0.0
    for _ in range(4):
        world.restart()
        await world.passes()
        assert world.replicas() == (3, 2)


def hour() -> tuple[Sample, ...]:
    ends = (at(-15 * ago).timestamp() for ago in range(240, 0, -1))
    return tuple(Sample(at_s=end, window_s=15, rate_per_s=2, isl=2048, osl=128) for end in ends)


async def test_a_past_that_could_not_be_had_is_asked_for_when_prometheus_answers() -> None:
    world = World()
    world.metrics.rate_per_s, world.metrics.past = None, DOWN
    await world.passes(20)
    assert world.metrics.pasts_asked == 0
    world.metrics.rate_per_s = 2.0
    await world.passes(2)
    world.metrics.past = hour()
    await world.passes(3)
    assert world.metrics.pasts_asked == 3
    assert len(world.demand()) > 240


async def test_a_past_that_is_never_to_be_had_is_not_asked_for_for_ever() -> None:
    world = World()
    world.metrics.rate_per_s, world.metrics.past = 2.0, DOWN
    await world.passes(20)
    assert world.metrics.pasts_asked == HISTORY_TRIES


async def test_a_past_that_is_empty_is_known() -> None:
    world = World()
    world.metrics.rate_per_s = 2.0
    await world.passes(20)
    assert world.metrics.pasts_asked == 1


async def test_a_shadow_reports_and_writes_nothing() -> None:
    world = World(sla_planner(mode="Shadow"))
    world.metrics.rate_per_s = 9.4
    await world.passes(5)
    assert world.replicas() == (1, 1)
    assert {write.kind for write in world.cluster.writes} == {"SLAPlanner"}
    decisions = world.status()["decisions"]
    assert [decision["reason"] for decision in decisions] == ["WouldScaleUp"]
    assert decisions[0]["message"].startswith("Would scale prefill from 1 to 3")
    assert world.condition("Ready")[:2] == ("True", "Shadow")


async def test_a_suspended_planner_stands_still() -> None:
    world = World(sla_planner(suspend=True))
    world.metrics.rate_per_s = 300.0
    await world.passes(2)
    assert world.replicas() == (1, 1)
    assert world.condition("Ready")[:2] == ("False", "Suspended")


async def test_no_more_than_twenty_decisions_are_kept() -> None:
    world = World(
        sla_planner(behavior={"scaleDown": {"stabilizationWindowSeconds": 0, "maxStep": 8}})
    )
    for _ in range(11):
        world.metrics.rate_per_s = 9.4
        await world.passes(1)
        world.metrics.rate_per_s = 0.0
        await world.passes(14)
    decisions = world.status()["decisions"]
    assert len(decisions) == 20
    assert decisions[0]["time"] > decisions[-1]["time"]


@pytest.mark.parametrize(
    ("gone", "reason", "message"),
    [
        (
            (DGD, DGD_NAME),
            "TargetNotFound",
            "there is no DynamoGraphDeployment q-dgd in namespace demo; create it, or change "
            "spec.targetRef",
        ),
        (
            (CONFIG_MAP, "curves"),
            "ProfileInvalid",
            "there is no ConfigMap curves in namespace demo",
        ),
    ],
)
async def test_what_is_missing_is_said(gone: Any, reason: str, message: str) -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    await world.cluster.delete(gone[0], NAMESPACE, gone[1])
    await world.passes(2)
    assert world.replicas() == (1, 1)
    assert world.condition("Ready") == ("False", reason, f"nothing is changed: {message}")
    assert world.events()[0][0] == "Warning"
    assert len(world.events()) == 1


async def test_a_broken_profile_is_said_by_its_point() -> None:
    world = World()
    broken = curves_config_map()
    broken["data"]["prefill_raw_data.json"] = (
        '{"prefill_isl": [100, 200], "prefill_ttft": [30, 0], "prefill_thpt_per_gpu": [1, 1]}'
    )
    world.cluster.seed(broken)
    await world.passes()
    status, reason, message = world.condition("ProfileValid")
    assert (status, reason) == ("False", "ProfileUnreadable")
    assert message == (
        "ConfigMap curves: prefill point 1: ttft_ms is 0.0; it must be finite and above 0;"
        " remove the point or measure it again"
    )
    world.cluster.seed(curves_config_map())
    await world.passes()
    assert world.condition("ProfileValid")[0] == "True"


def profiled_with(**engine: Any) -> dict[str, Any]:
    curves = curves_config_map()
    known = Provenance(fingerprint=Fingerprint(**engine))
    curves["data"]["decode_raw_data.json"] = replace(DECODE, provenance=known).to_json()
    return curves


async def test_a_profile_of_another_image_is_said_and_used_all_the_same() -> None:
    world = World()
    world.cluster.seed(profiled_with(image="registry.test/dynamo-mocker:1.0.2"))
    world.metrics.rate_per_s = 9.4
    await world.passes(3)
    assert world.replicas() == (3, 2)
    assert world.condition("ProfileValid") == (
        "False",
        "EngineChanged",
        "decode: image: profiled registry.test/dynamo-mocker:1.0.2, runs"
        " registry.test/dynamo-mocker:dev; planned with this profile all the same: profile again",
    )
    assert world.condition("Ready")[0] == "True"
    assert world.events().count(("Warning", "EngineChanged")) == 1


@pytest.mark.parametrize("engine", [{}, {"image": "registry.test/dynamo-mocker:dev"}])
async def test_a_profile_of_this_engine_or_of_an_unknown_one_is_valid(engine: Any) -> None:
    world = World()
    world.cluster.seed(profiled_with(**engine))
    await world.passes()
    assert world.condition("ProfileValid")[:2] == ("True", "ProfileUsed")


async def test_an_unreachable_target_and_a_limit_are_said() -> None:
    world = World(sla_planner(sla={"ttftMs": 50, "itlMs": 25}))
    world.metrics.rate_per_s = 100.0
    await world.passes()
    status, reason, message = world.condition("SLAReachable")
    assert (status, reason) == ("False", "Unreachable")
    assert message.startswith(
        "mean TTFT <= 50 ms cannot be met: a request of ISL 2048 alone takes 198 ms;"
    )
    status, reason, message = world.condition("ScalingLimited")
    assert (status, reason) == ("True", "LimitedByPolicy")
    assert message.startswith("prefill needs ")
    assert "spec.roles allows 8" in message


async def test_a_planner_that_is_gone_ends() -> None:
    world = World()
    await world.passes()
    await world.cluster.delete(SLA_PLANNER, NAMESPACE, DGD_NAME)
    assert world.run._targets._known
    assert await world.run(KEY) is None
    assert not world.run._targets._known
    assert (
        world.telemetry.registry.get_sample_value(
            "dynamo_planner_observed_requests_per_second",
            {
                "dynamo_namespace": "demo-q-dgd",
                "target_namespace": NAMESPACE,
                "planner": DGD_NAME,
            },
        )
        is None
    )


async def test_an_own_prometheus_is_asked() -> None:
    own = {"prometheus": {"url": "http://mine:9090"}}
    world = World(sla_planner(metrics=own, interval="60s"))
    await world.passes()
    assert world.metrics.asked == [("http://mine:9090", 60)]


async def test_numbers_are_metrics_and_unknown_ones_are_absent() -> None:
    world = World()
    labels = {"dynamo_namespace": "demo-q-dgd", "target_namespace": NAMESPACE, "planner": DGD_NAME}

    def sample(name: str, **more: str) -> float | None:
        return world.telemetry.registry.get_sample_value(name, labels | more)

    world.metrics.rate_per_s = 9.4
    await world.passes(2)
    assert sample("dynamo_planner_observed_requests_per_second") == pytest.approx(9.4)
    assert sample("dynamo_planner_observed_ttft_ms") == pytest.approx(250)
    assert sample("dynamo_planner_predicted_num_prefill_replicas") == 3
    assert sample("dynamo_planner_num_prefill_replicas") == 3
    assert sample("dynamo_planner_sla_target_ttft_ms") == 300
    assert sample("dgdr_planner_passes_total", outcome="changed") == 1
    assert sample("dgdr_planner_condition", type="MetricsAvailable", status="True") == 1
    world.metrics.rate_per_s = None
    await world.passes()
    assert sample("dynamo_planner_observed_requests_per_second") is None
    assert sample("dynamo_planner_predicted_num_prefill_replicas") is None
    assert sample("dgdr_planner_condition", type="MetricsAvailable", status="True") == 0
    assert sample("dgdr_planner_passes_total", outcome="held") == 1


def claiming() -> dict[str, Any]:
    """The deployment, with workers whose GPUs a claim hands out."""
    dgd = graph_deployment()
    for component in dgd["spec"]["components"][1:]:
        spec = component["podTemplate"]["spec"]
        spec["containers"][0].pop("resources")
        spec["resourceClaims"] = [{"name": "gpu", "resourceClaimTemplateName": "any"}]
    return dgd


async def test_gpus_that_nobody_can_count_do_not_grow_under_a_budget() -> None:
    world = World(sla_planner(budget={"gpus": 64}))
    world.cluster.seed(claiming())
    world.metrics.rate_per_s = 9.4
    await world.passes()
    assert world.replicas() == (1, 1)
    status, reason, message = world.condition("Ready")
    assert (status, reason) == ("False", "GpusUncountable")
    assert "component prefill: resourceClaims[gpu] of template any" in message


async def test_gpus_that_nobody_can_count_are_scaled_where_nothing_limits_them() -> None:
    world = World(sla_planner())
    world.cluster.seed(claiming())
    world.metrics.rate_per_s = 9.4
    await world.passes()
    assert world.replicas() == (3, 2)


def in_sidecars() -> dict[str, Any]:
    """The deployment, with engines that are native sidecars of four GPUs each."""
    dgd = graph_deployment()
    for component in dgd["spec"]["components"][1:]:
        spec = component["podTemplate"]["spec"]
        spec["containers"][0].pop("resources")
        resources = {"limits": {"nvidia.com/gpu": "4"}}
        spec["initContainers"] = [
            {"name": "engine", "restartPolicy": "Always", "resources": resources}
        ]
    return dgd


async def test_a_budget_holds_for_engines_in_native_sidecars() -> None:
    roles = {"prefill": {"max": 100}, "decode": {"max": 100}}
    world = World(sla_planner(budget={"gpus": 16}, roles=roles))
    world.cluster.seed(in_sidecars())
    world.metrics.rate_per_s = 200.0
    await world.passes(6)
    assert sum(world.replicas()) == 4
    assert [role["gpusPerReplica"] for role in world.status()["roles"]] == [4, 4]


async def test_silence_without_workers_is_no_idleness() -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    await world.passes(20)
    before = world.replicas()
    world.metrics.rate_per_s = 0.0
    down = copy.deepcopy(world.cluster.peek(DGD, NAMESPACE, DGD_NAME))
    assert down is not None
    down["status"]["components"]["decode"]["readyReplicas"] = 0
    world.cluster.seed(down)
    await world.passes(60)
    assert world.replicas() == before
    assert world.condition("MetricsAvailable") == (
        "False",
        "NoWorkerReady",
        "no decode replica is ready: frontends refuse requests uncounted",
    )
    down["status"]["components"]["decode"]["readyReplicas"] = 2
    world.cluster.seed(down)
    await world.passes(60)
    assert world.replicas() == (1, 1)


def reported(world: World, **decode: Any) -> None:
    """Have the deployment's operator report this, and no more, about decode."""
    dgd = copy.deepcopy(world.cluster.peek(DGD, NAMESPACE, DGD_NAME))
    assert dgd is not None
    dgd["status"]["components"]["decode"] = decode
    world.cluster.seed(dgd)


@pytest.mark.parametrize(
    ("decode", "shown", "settled"),
    [
        (
            {"componentKind": "PodCliqueScalingGroup", "replicas": 1, "availableReplicas": 1},
            "1/1",
            "all replicas are ready",
        ),
        ({}, "?/1", "nobody reports how many replicas of decode are ready"),
    ],
)
async def test_ready_replicas_that_nobody_reports_are_not_missing(
    decode: dict[str, Any], shown: str, settled: str
) -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    await world.passes(20)
    assert world.replicas()[1] > 1
    reported(world, **decode)
    world.metrics.rate_per_s = 0.0
    await world.passes(60)
    assert world.replicas() == (1, 1)
    assert world.condition("Reconciling") == ("False", "Settled", settled)
    assert world.status()["summary"]["decode"] == shown
