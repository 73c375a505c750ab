"""Numbers of one pass by the names of the metrics that show them; None: not known."""

from dgdr_planner.forecast import Forecast
from dgdr_planner.observe.observation import SHARES, Observation, TargetSeen
from dgdr_planner.observe.value import number
from dgdr_planner.plan import Decision, Plan, RolePlan
from dgdr_planner.policy import Policy

UPSTREAM = {
    "num_prefill_replicas": "Prefill replicas that are there",
    "num_decode_replicas": "Decode replicas that are there",
    "observed_requests_per_second": "Requests started per second, over all frontends",
    "observed_request_duration_seconds": "Mean duration of requests",
    "observed_input_sequence_tokens": "Mean prompt length",
    "observed_output_sequence_tokens": "Mean answer length",
    "observed_ttft_ms": "Mean time to first token",
    "observed_itl_ms": "Mean time between tokens",
    "predicted_requests_per_second": "Requests per second that are planned for",
    "predicted_input_sequence_tokens": "Prompt length that is planned for",
    "predicted_output_sequence_tokens": "Answer length that is planned for",
    "predicted_num_prefill_replicas": "Prefill replicas that the load needs, before limits",
    "predicted_num_decode_replicas": "Decode replicas that the load needs, before limits",
    "estimated_ttft_ms": "Time to first token expected with the replicas that the load needs",
    "estimated_itl_ms": "Time between tokens expected with the replicas that the load needs",
    "sla_target_ttft_ms": "Target of the time to first token",
    "sla_target_itl_ms": "Target of the time between tokens",
    "engine_prefill_capacity_requests_per_second": "Requests that one prefill replica serves",
    "engine_decode_capacity_requests_per_second": "Requests that one decode replica serves",
}
OURS = {
    "planned_requests_per_second": "Requests per second at the quantile that is planned for",
    "completed_requests_per_second": "Requests that ended per second, over all frontends",
    "queued_requests": "Requests that wait in the frontends",
    "sla_objective_ratio": "Share of the requests that shall be within the targets",
    "startup_seconds": "Time from asking for a replica to its being ready",
}
# A mean has no share of requests that must be within it; its windows are judged by this one.
MEAN_OBJECTIVE = 0.95
Numbers = dict[str, float | None]


def numbers_of(policy: Policy, seen: Observation, decision: Decision) -> Numbers:
    """Return the numbers of a pass that no role or percentile tells apart."""
    return _targets(policy) | _observed(seen) | _predicted(decision)


def _targets(policy: Policy) -> Numbers:
    return {
        "sla_target_ttft_ms": policy.targets.ttft_ms,
        "sla_target_itl_ms": policy.targets.itl_ms,
        "sla_objective_ratio": SHARES.get(policy.targets.percentile.value, MEAN_OBJECTIVE),
    }


def _observed(seen: Observation) -> Numbers:
    load = seen.load
    numbers: Numbers = {
        "observed_requests_per_second": number(load.rate_per_s),
        "observed_request_duration_seconds": number(load.duration_s),
        "observed_input_sequence_tokens": number(load.isl),
        "observed_output_sequence_tokens": number(load.osl),
        "observed_ttft_ms": number(load.ttft_ms),
        "observed_itl_ms": number(load.itl_ms),
        "completed_requests_per_second": number(load.completed_per_s),
        "queued_requests": number(load.queued),
    }
    if isinstance(seen.target, TargetSeen):
        numbers |= {f"num_{role.role}_replicas": role.replicas for role in seen.target.roles}
    return numbers


def _predicted(decision: Decision) -> Numbers:
    plan = decision.outcome
    if not isinstance(plan, Plan):
        return {}
    numbers: Numbers = {
        "predicted_requests_per_second": plan.forecast.rate_per_s,
        "predicted_input_sequence_tokens": plan.forecast.isl,
        "predicted_output_sequence_tokens": plan.forecast.osl,
        "planned_requests_per_second": plan.forecast.planned,
    }
    for role in plan.roles:
        numbers |= _of_role(role, plan.forecast)
    return numbers


def _of_role(plan: RolePlan, forecast: Forecast) -> Numbers:
    role, answer = plan.seen.role, plan.answer
    numbers: Numbers = {f"predicted_num_{role}_replicas": plan.needed}
    if plan.need and forecast.planned > 0:
        numbers[f"engine_{role}_capacity_requests_per_second"] = forecast.planned / plan.need
    if answer is not None and answer.ttft is not None:
        numbers["estimated_ttft_ms"] = answer.ttft.ms
    if answer is not None and answer.itl is not None:
        numbers["estimated_itl_ms"] = answer.itl.ms
    return numbers
