"""What the curves say about one role: replicas for a load, and the latency to expect.

And whether they are the curves of the engines that run.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from dgdr_api.fingerprint import Fingerprint
from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_policy import WhenUnreachable
from dgdr_perf.assumed_lengths import with_assumed_lengths
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.queueing import Dispatch, wait_at
from dgdr_perf.sizing import (
    Percentile,
    Sizing,
    Targets,
    Workload,
    size_aggregated,
    size_decode,
)
from dgdr_perf.sizing_decode import Decoding
from dgdr_perf.sizing_prefill import Asked, PrefillQueue, service_time, with_transfer
from dgdr_planner.forecast import Forecast
from dgdr_planner.observe.observation import LoadSeen, RoleSeen, TargetSeen
from dgdr_planner.observe.value import Value, number
from dgdr_planner.policy import Policy
from dgdr_planner.size.knee import at_most_the_knee

# From so many replicas, and that many times those that others would do with, it is worth a word
# that another dispatch needs fewer.
LEAST_TOLD, TOLD_FACTOR = 4, 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Replicas that a role needs, before rounding.

    ``grow`` is for the load that is planned for; ``hold``, never less, for the highest load until
    a replica that is asked for now would be ready: what is there must not fall below it.
    """

    grow: float
    hold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSizing:
    """One role under the load that is planned for.

    ``answer`` is what the curves say, ``need`` what observed latencies have made of it.
    ``least_loaded`` are the replicas that would do if no prompt waited for one engine while another
    is free; None where that is no large part less.
    """

    answer: Sizing
    need: Need
    least_loaded: int | None = None


def size_role(
    role: Role,
    profile: EngineProfile,
    forecast: Forecast,
    load: LoadSeen,
    policy: Policy,
    factor: float,
) -> RoleSizing | None:
    """Size a role, ``factor`` times what the curves say; None when lengths are not known."""
    planned = workload(forecast, forecast.planned, load)
    if planned is None:
        return None
    answer = hold = size(role, profile, planned, policy.targets, policy)
    if forecast.held > forecast.planned:
        highest = replace(planned, rate_per_s=forecast.held)
        hold = size(role, profile, highest, policy.targets, policy)
    highest_exact = max(answer.replicas_exact, hold.replicas_exact)
    need = Need(grow=factor * answer.replicas_exact, hold=factor * highest_exact)
    other = _least_loaded(role, profile, planned, answer, policy)
    return RoleSizing(answer=answer, need=need, least_loaded=other)


def _least_loaded(
    role: Role, profile: EngineProfile, load: Workload, answer: Sizing, policy: Policy
) -> int | None:
    """Return what another dispatch would need, where this one leaves much of the engines idle."""
    blind = role is not Role.DECODE and policy.dispatch is not Dispatch.SHARED
    if not blind or answer.replicas < LEAST_TOLD or answer.replicas < TOLD_FACTOR * answer.busy:
        return None
    other = size(role, profile, load, policy.targets, replace(policy, dispatch=Dispatch.SHARED))
    return other.replicas if TOLD_FACTOR * other.replicas <= answer.replicas else None


def workload(forecast: Forecast, rate_per_s: float, load: LoadSeen) -> Workload | None:
    """Return requests at this rate, as long as the forecast says; None where it does not.

    How lengths spread around that is assumed where no histogram tells it.
    """
    if forecast.isl is None or forecast.osl is None:
        return None
    told = Workload(
        rate_per_s=rate_per_s,
        isl=forecast.isl,
        osl=forecast.osl,
        isl_quantiles=load.isl_quantiles,
        osl_quantiles=load.osl_quantiles,
        cached_share=number(load.cached_share) or 0.0,
    )
    return with_assumed_lengths(told)


def observed(forecast: Forecast, load: LoadSeen) -> Workload | None:
    """Return the load of the window that was seen; None where it is not known."""
    if not isinstance(load.rate_per_s, Value) or load.rate_per_s.number <= 0:
        return None
    found = workload(forecast, load.rate_per_s.number, load)
    if found is None or not (isinstance(load.isl, Value) and isinstance(load.osl, Value)):
        return None
    return replace(found, isl=load.isl.number, osl=load.osl.number)


def size(
    role: Role, profile: EngineProfile, load: Workload, targets: Targets, policy: Policy
) -> Sizing:
    """Return the fewest replicas of a role that meet these targets, or what is done without."""
    sized = _sizing(role, profile, load, policy.dispatch)
    answer = sized(targets)
    if policy.when_unreachable is not WhenUnreachable.BEST_EFFORT:
        return answer
    return at_most_the_knee(answer, targets, sized)


def _sizing(
    role: Role, profile: EngineProfile, load: Workload, dispatch: Dispatch
) -> Callable[[Targets], Sizing]:
    match role:
        case Role.PREFILL:
            return PrefillQueue.of(profile, load, dispatch).sized
        case Role.DECODE:
            return partial(size_decode, profile, load)
        case Role.WORKER:
            return lambda targets: size_aggregated(profile, load, targets, dispatch)
        case _:
            raise ValueError(f"a component of type {role} runs no engine")


def alone_ms(role: Role, profile: EngineProfile, load: Workload) -> float:
    """Return the mean TTFT of prefill, or ITL of decode, of a request without any other."""
    if role is Role.DECODE:
        return profile.decode.itl_ms(1.0, load.context_tokens).value_ms
    prompts = load.prompts()
    served_ms = profile.prefill.ttft_of_lengths(load.computed(prompts))
    return float(prompts.shares @ (served_ms + with_transfer(profile).of(prompts.isl)))


def expected_ms(
    role: Role, profile: EngineProfile, load: Workload, replicas: int, policy: Policy
) -> float:
    """Return the mean TTFT of prefill, or ITL of decode, that the curves expect with so many.

    The mean, because it is observed exactly; percentiles are known to a histogram's bucket only.
    """
    targets = replace(policy.targets, percentile=Percentile.MEAN)
    if role is Role.DECODE:
        decoding = Decoding.of(profile, load, targets)
        return decoding.at(decoding.peak_itl_ms, load.rate_per_s / replicas)
    prompts = load.prompts()
    served_s = profile.prefill.ttft_of_lengths(load.computed(prompts)) / 1000.0
    service = service_time(load, prompts.shares, served_s)
    servers = replicas * profile.prefill.ranks
    wait = wait_at(policy.dispatch, load.rate_per_s, servers, service)
    alone_s = served_s + with_transfer(profile).of(prompts.isl) / 1000.0
    return 1000.0 * Asked.of(prompts.shares, alone_s, targets).latency_s(wait)


def unlike(profile: EngineProfile, target: TargetSeen) -> tuple[str, ...]:
    """Say for each role in what its engine differs from the one of the profile.

    Where either side does not know its engine nothing is said: unknown is not unlike.
    """
    return tuple(_told(profile, target))


def _told(profile: EngineProfile, target: TargetSeen) -> Iterator[str]:
    for seen in target.roles:
        described = _described(profile, seen)
        if described is None or seen.engine is None:
            continue
        found = described.differences(seen.engine)
        if found:
            yield f"{seen.role}: {'; '.join(found)}"


def _described(profile: EngineProfile, seen: RoleSeen) -> Fingerprint | None:
    """Return the engine of the role's curve; an aggregated engine has one for both."""
    curve = profile.prefill if seen.role is Role.PREFILL else profile.decode
    return curve.provenance.fingerprint
