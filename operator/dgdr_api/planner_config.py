"""Upstream's planner configuration, as far as our planner has the same behaviour.

``features.planner`` holds the keys of upstream's PlannerConfig (1.0, 1.6), or the flags of 0.8
with dashes or underscores. What has a counterpart becomes an SLAPlanner; what has none is
reported, never dropped in silence.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from dgdr_api.graph import Json, Role
from dgdr_api.models.base import ObjectMeta
from dgdr_api.models.sla_planner import (
    ConfigMapRef,
    PlannerMode,
    ProfileSource,
    SLAPlanner,
    SLAPlannerSpec,
    TargetRef,
)
from dgdr_api.models.sla_planner_metrics import PROMETHEUS_URL, MetricsSource, PrometheusSource
from dgdr_api.models.sla_planner_policy import (
    Behavior,
    Bounds,
    Budget,
    PlannerSla,
    RoleBounds,
    ScaleUp,
)
from dgdr_api.problem import Problem, from_validation

FIELD = "spec.features.planner"
_THROUGHPUT = "enable_throughput_scaling"
MODES = ("disagg", "agg")
_MINIMA = ("min_endpoint", "prefill_min_endpoint", "decode_min_endpoint")

# Upstream's keys that ask for what our planner does anyway, when they have this value.
_SAME_ANYWAY: Mapping[str, object] = {
    "environment": "kubernetes",
    "optimization_target": "sla",
    "load_predictor": "constant",
    _THROUGHPUT: True,
    "enable_load_scaling": False,
    "no_correction": True,
    "min_gpu_budget": -1,
}
# Upstream's keys that our planner has nothing for.
WITHOUT_EFFECT = frozenset(
    {
        *_SAME_ANYWAY,
        "load_adjustment_interval",
        "load_adjustment_interval_seconds",
        "load_prediction_window_size",
        "global_planner_namespace",
        "live_dashboard_port",
        "control_api_port",
        "report_interval_hours",
    }
)
# Upstream's keys that the profiler, the deployment or the installation answers for.
ANSWERED_ELSEWHERE = frozenset(
    {
        "backend",
        "namespace",
        "model_name",
        "profile_results_dir",
        "prefill_engine_num_gpu",
        "decode_engine_num_gpu",
        "enabled",
        "log_dir",
        "metric_reporting_prometheus_port",
    }
)


def _prometheus_url(url: str) -> str:
    """Return a URL that the SLAPlanner's own rules will take, once hours of profiling are over."""
    if not re.fullmatch(PROMETHEUS_URL, url):
        raise PydanticCustomError(
            "prometheus_url",
            "begin the URL with http:// or https:// and leave user, query (?) and fragment (#) out",
        )
    return url


class PlannerKeys(BaseModel):
    """The keys that have an effect here, with upstream's defaults; others stay in model_extra."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)

    mode: str = "disagg"
    interval_s: float = Field(
        default=180.0,
        ge=5,
        validation_alias=AliasChoices(
            "throughput_adjustment_interval_seconds",
            "throughput_adjustment_interval",
            "adjustment_interval",
        ),
    )
    ttft_ms: float | None = Field(
        default=None, gt=0, validation_alias=AliasChoices("ttft_ms", "ttft")
    )
    itl_ms: float | None = Field(default=None, gt=0, validation_alias=AliasChoices("itl_ms", "itl"))
    advisory: bool = Field(default=False, validation_alias=AliasChoices("advisory", "no_operation"))
    min_endpoint: int = Field(default=1, ge=0)
    prefill_min_endpoint: int | None = Field(default=None, ge=0)
    decode_min_endpoint: int | None = Field(default=None, ge=0)
    max_gpu_budget: int = Field(default=8, ge=1)
    max_throughput_scaling_replicas: int | None = Field(default=None, ge=1)
    metric_pulling_prometheus_endpoint: (
        Annotated[str, Field(max_length=2048), AfterValidator(_prometheus_url)] | None
    ) = None
    pre_deployment_sweeping_mode: Literal["none", "rapid", "thorough"] = "rapid"

    @property
    def aggregated(self) -> bool:
        """Whether the deployment shall have engines that do both, prefill and decode."""
        return self.mode == "agg"

    @property
    def roles(self) -> tuple[Role, ...]:
        """Roles of the deployment's engines."""
        return (Role.WORKER,) if self.aggregated else (Role.PREFILL, Role.DECODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerConfig:
    """What a planner configuration asks for.

    Attributes:
        keys: what has an effect; upstream's defaults where the configuration is in error.
        unknown: keys that upstream has not either.
        without_effect: upstream's keys that our planner does not act on as given.
        problems: values that cannot be used.
    """

    keys: PlannerKeys
    unknown: tuple[str, ...] = ()
    without_effect: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


class BudgetTooSmall(ValueError):
    """The GPU budget does not hold the smallest deployment; ``why`` leaves the field out."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{FIELD}.max_gpu_budget: {why}")
        self.why = why


def parse_planner_config(config: Json) -> PlannerConfig:
    """Read a planner configuration; whatever it holds, nothing is raised."""
    named = {_plain(key): value for key, value in config.items()}
    try:
        keys = PlannerKeys.model_validate(named)
    except ValidationError as exc:
        return PlannerConfig(keys=PlannerKeys(), problems=from_validation(exc, FIELD))
    extra = keys.model_extra or {}
    if extra.get(_THROUGHPUT) is False and extra.get("enable_load_scaling") is not True:
        return PlannerConfig(
            keys=keys,
            problems=(
                Problem(
                    f"{FIELD}.{_THROUGHPUT}",
                    False,
                    "nothing would be scaled; set it to true, or advisory to true to only watch",
                ),
            ),
        )
    known = WITHOUT_EFFECT | ANSWERED_ELSEWHERE
    return PlannerConfig(
        keys=keys,
        unknown=tuple(key for key in extra if key not in known),
        without_effect=(
            *(("mode",) if keys.mode not in MODES else ()),
            *(key for key in _MINIMA if getattr(keys, key) == 0),
            *(key for key, value in extra.items() if _is_ignored(key, value)),
        ),
    )


def _plain(key: str) -> str:
    """Return a key as releases from 1.0 write it; before, there were prefixes and capitals."""
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", key.lstrip("-").replace("-", "_")).lower()
    return snake.removeprefix("planner_")


def wants_planner(config: Json | None) -> bool:
    """Whether there is to be a planner: where one is configured, and not switched off."""
    return config is not None and config.get("enabled") is not False


def _is_ignored(key: str, value: object) -> bool:
    return key in WITHOUT_EFFECT and (key, value) not in _SAME_ANYWAY.items()


def sla_planner(
    config: PlannerConfig,
    *,
    target: str,
    namespace: str,
    profile_config_map: str,
    ttft_ms: float,
    itl_ms: float,
    gpus: Mapping[Role, int],
) -> SLAPlanner:
    """Return the SLAPlanner of a deployment, named like it.

    Args:
        config: what ``features.planner`` asks for.
        target: name of the DynamoGraphDeployment.
        namespace: its namespace.
        profile_config_map: ConfigMap with the curves.
        ttft_ms: target where the configuration has none of its own.
        itl_ms: likewise.
        gpus: GPUs of one replica of each role that the deployment has.

    Raises:
        BudgetTooSmall: the GPU budget does not hold the fewest replicas.
    """
    keys = config.keys
    step, url = keys.max_throughput_scaling_replicas, keys.metric_pulling_prometheus_endpoint
    spec = SLAPlannerSpec(
        target_ref=TargetRef(name=target),
        mode=PlannerMode.SHADOW if keys.advisory else PlannerMode.ACTIVE,
        sla=PlannerSla(ttft_ms=keys.ttft_ms or ttft_ms, itl_ms=keys.itl_ms or itl_ms),
        profile=ProfileSource(config_map_ref=ConfigMapRef(name=profile_config_map)),
        roles=role_bounds(keys, gpus),
        budget=Budget(gpus=keys.max_gpu_budget) if len(gpus) > 1 else None,
        interval=f"{keys.interval_s:g}s",
        behavior=Behavior(scale_up=ScaleUp(max_step=step)) if step else None,
        metrics=MetricsSource(prometheus=PrometheusSource(url=url)) if url else None,
    )
    return SLAPlanner(metadata=ObjectMeta(name=target, namespace=namespace), spec=spec)


def role_bounds(keys: PlannerKeys, gpus: Mapping[Role, int]) -> RoleBounds:
    """Let each role grow to what the GPU budget leaves it beside the fewest replicas of the others.

    All roles at their most together are above the budget, which the SLAPlanner carries, too.
    """
    least = {role: fewest_replicas(keys, role) for role in gpus}
    needed = sum(least[role] * each for role, each in gpus.items())
    spare = keys.max_gpu_budget - needed
    if spare < 0:
        engines = " and ".join(f"{least[role]} {role} of {each}" for role, each in gpus.items())
        raise BudgetTooSmall(
            f"{keys.max_gpu_budget} GPUs do not hold {engines}; give {needed} or more"
        )
    bounds = {
        role.value: Bounds(min=low, max=low + spare // max(1, gpus[role]))
        for role, low in least.items()
    }
    return RoleBounds.model_validate(bounds)


def fewest_of_roles(keys: PlannerKeys) -> Mapping[Role, int]:
    """Return the fewest replicas of each role that the deployment has."""
    return {role: fewest_replicas(keys, role) for role in keys.roles}


def fewest_replicas(keys: PlannerKeys, role: Role) -> int:
    """Return the fewest replicas; one at least, because nothing wakes a role up again."""
    of_role = {Role.PREFILL: keys.prefill_min_endpoint, Role.DECODE: keys.decode_min_endpoint}
    return of_role.get(role) or keys.min_endpoint or 1
