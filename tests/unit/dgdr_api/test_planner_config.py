from typing import Any

import pytest

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_policy import Bounds
from dgdr_api.planner_config import (
    BudgetTooSmall,
    PlannerConfig,
    parse_planner_config,
    role_bounds,
    sla_planner,
    wants_planner,
)


def rendered(config: dict[str, Any], **gpus: int) -> dict[str, Any]:
    return sla_planner(
        parse_planner_config(config),
        target="q-dgd",
        namespace="ns",
        profile_config_map="curves",
        ttft_ms=500,
        itl_ms=50,
        gpus={Role(role): each for role, each in (gpus or {"prefill": 1, "decode": 1}).items()},
    ).to_json()


def test_an_empty_configuration_is_upstreams_defaults() -> None:
    assert rendered({}) == {
        "apiVersion": "dgdr.dev/v1alpha1",
        "kind": "SLAPlanner",
        "metadata": {"name": "q-dgd", "namespace": "ns"},
        "spec": {
            "targetRef": {"kind": "DynamoGraphDeployment", "name": "q-dgd"},
            "mode": "Active",
            "sla": {"ttftMs": 500.0, "itlMs": 50.0},
            "profile": {"configMapRef": {"name": "curves"}},
            "roles": {"prefill": {"min": 1, "max": 7}, "decode": {"min": 1, "max": 7}},
            "budget": {"gpus": 8},
            "interval": "180s",
        },
    }


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"throughput_adjustment_interval_seconds": 15, "ttft_ms": 1}, id="1.6"),
        pytest.param({"throughput_adjustment_interval": 15, "ttft": 1}, id="1.0"),
        pytest.param({"--adjustment-interval": 15, "--ttft": "1"}, id="0.8 flags"),
        pytest.param({"adjustment_interval": "15", "ttft": 1.0}, id="0.8 in a blob"),
    ],
)
def test_keys_of_all_generations(config: dict[str, Any]) -> None:
    spec = rendered(config)["spec"]
    assert (spec["interval"], spec["sla"]["ttftMs"]) == ("15s", 1.0)
    assert parse_planner_config(config).unknown == ()


def test_advisory_is_shadow() -> None:
    assert rendered({"advisory": True})["spec"]["mode"] == "Shadow"
    assert rendered({"no_operation": True})["spec"]["mode"] == "Shadow"


def test_steps_and_prometheus_are_carried_over() -> None:
    spec = rendered(
        {
            "max_throughput_scaling_replicas": 4,
            "metric_pulling_prometheus_endpoint": "http://prometheus:9090",
        }
    )["spec"]
    assert spec["behavior"] == {"scaleUp": {"maxStep": 4}}
    assert spec["metrics"] == {"prometheus": {"url": "http://prometheus:9090"}}


def test_what_we_do_not_know_is_reported() -> None:
    config = parse_planner_config({"load_predictor": "arima", "made_up": 1, "mode": "disagg"})
    assert config.unknown == ("made_up",)
    assert config.without_effect == ("load_predictor",)


def test_upstreams_example_is_understood_whole() -> None:
    config = parse_planner_config(
        {
            "optimization_target": "sla",
            "enable_throughput_scaling": True,
            "enable_load_scaling": False,
            "pre_deployment_sweeping_mode": "rapid",
            "mode": "disagg",
            "backend": "vllm",
        }
    )
    assert (config.unknown, config.without_effect, config.problems) == ((), (), ())


def test_scaling_to_zero_is_read_as_one_and_reported() -> None:
    config = parse_planner_config({"min_endpoint": 0})
    bounds = role_bounds(config.keys, {Role.PREFILL: 1, Role.DECODE: 1})
    assert (bounds.prefill, bounds.decode) == (Bounds(min=1, max=7), Bounds(min=1, max=7))
    assert config.without_effect == ("min_endpoint",)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"ttft": -1}, "ttft"),
        ({"max_gpu_budget": 0}, "max_gpu_budget"),
        ({"throughput_adjustment_interval": 1}, "throughput_adjustment_interval"),
        ({"pre_deployment_sweeping_mode": "slow"}, "pre_deployment_sweeping_mode"),
        ({"metric_pulling_prometheus_endpoint": "p"}, "metric_pulling_prometheus_endpoint"),
        (
            {"metric_pulling_prometheus_endpoint": "http://u:p@prometheus:9090"},
            "metric_pulling_prometheus_endpoint",
        ),
        (
            {"metric_pulling_prometheus_endpoint": "http://prometheus/?a=b"},
            "metric_pulling_prometheus_endpoint",
        ),
    ],
)
def test_a_value_that_cannot_be_used_names_its_key(config: dict[str, Any], field: str) -> None:
    (problem,) = parse_planner_config(config).problems
    assert problem.field == f"spec.features.planner.{field}"


def test_a_planner_that_may_do_nothing_is_a_mistake() -> None:
    (problem,) = parse_planner_config({"enable_throughput_scaling": False}).problems
    assert problem.field == "spec.features.planner.enable_throughput_scaling"


def test_scaling_by_load_alone_is_reported_but_no_mistake() -> None:
    config = parse_planner_config({"enable_throughput_scaling": False, "enable_load_scaling": True})
    assert config.problems == ()
    assert config.without_effect == ("enable_throughput_scaling", "enable_load_scaling")


@pytest.mark.parametrize(
    ("budget", "prefill", "decode", "most"),
    [(8, 1, 1, (7, 7)), (8, 2, 2, (3, 3)), (8, 1, 2, (6, 3)), (9, 1, 2, (7, 4)), (2, 1, 1, (1, 1))],
)
def test_each_role_may_have_what_the_fewest_of_the_other_leaves(
    budget: int, prefill: int, decode: int, most: tuple[int, int]
) -> None:
    made = rendered({"max_gpu_budget": budget}, prefill=prefill, decode=decode)["spec"]
    assert (made["roles"]["prefill"]["max"], made["roles"]["decode"]["max"]) == most
    assert made["budget"] == {"gpus": budget}


def test_a_budget_below_the_floor_says_what_is_needed() -> None:
    with pytest.raises(BudgetTooSmall, match="3 GPUs do not hold 1 prefill of 2 and 1 decode of 2"):
        role_bounds(keys(max_gpu_budget=3), {Role.PREFILL: 2, Role.DECODE: 2})


def keys(**config: Any) -> Any:
    parsed: PlannerConfig = parse_planner_config(config)
    return parsed.keys


def test_an_aggregated_deployment_has_one_role_to_scale() -> None:
    roles = rendered({"mode": "agg", "max_gpu_budget": 9}, worker=2)["spec"]["roles"]
    assert roles == {"worker": {"min": 1, "max": 4}}


def test_a_mode_that_our_planner_has_not_is_reported() -> None:
    assert parse_planner_config({"mode": "prefill"}).without_effect == ("mode",)
    assert parse_planner_config({"mode": "agg"}).without_effect == ()


@pytest.mark.parametrize(
    "key", ["planner_min_endpoint", "--min-endpoint", "minEndpoint", "plannerMinEndpoint"]
)
def test_keys_of_the_first_releases_are_understood(key: str) -> None:
    config = parse_planner_config({key: 2})
    assert (config.keys.min_endpoint, config.unknown) == (2, ())


@pytest.mark.parametrize(
    ("config", "wanted"),
    [(None, False), ({}, True), ({"enabled": True}, True), ({"enabled": False}, False)],
)
def test_a_planner_that_is_switched_off_is_none(
    config: dict[str, bool] | None, wanted: bool
) -> None:
    assert wants_planner(config) is wanted
    assert parse_planner_config(config or {}).unknown == ()
