"""A window as the decision sees the world: the same values that the controller observes."""

from dgdr_api.graph import Role
from dgdr_planner.observe.observation import LoadSeen, Observation, RoleSeen, TargetSeen
from dgdr_planner.observe.value import Idle, Metric, Trouble, Unknown, Value
from dgdr_planner.policy import Policy
from dgdr_rehearsal.virtual.window import RoleWindow, Window

NOTHING_FINISHED = Unknown("NothingFinished", "no request has finished")


def observed(window: Window, policy: Policy, name: str) -> Observation:
    """Return what the window says, as an observation."""
    return Observation(target=target_of(window, policy, name), load=load_of(window, policy))


def role_of(window: Window, role: Role) -> RoleWindow | None:
    """Return what is told about one role; None where nothing is."""
    told = {Role.PREFILL: window.prefill, Role.DECODE: window.decode, Role.WORKER: window.worker}
    return told[role]


def load_of(window: Window, policy: Policy) -> LoadSeen:
    """Return the load: offered, that is started, requests per second."""
    window_s = window.window_s or policy.interval_s
    rate = _rate(window, window_s)
    completed = _known("completed", window.completed)
    return LoadSeen(
        rate_per_s=rate,
        isl=_mean("isl_mean", window.isl_mean, rate),
        osl=_mean("osl_mean", window.osl_mean, rate),
        ttft_ms=_mean("ttft_ms", window.ttft_ms, rate),
        itl_ms=_mean("itl_ms", window.itl_ms, rate),
        duration_s=_mean("request_duration_s", window.request_duration_s, rate),
        window_s=window_s,
        frontends=1,
        completed_per_s=_per_s(completed, window_s),
        requests=window.completed or 0.0,
        isl_quantiles=window.isl_quantiles or None,
        osl_quantiles=window.osl_quantiles or None,
    )


def target_of(window: Window, policy: Policy, name: str) -> TargetSeen | Trouble:
    """Return the replicas of every scaled role, or which of them nobody knows."""
    seen = []
    for role in policy.roles:
        found = _role(role, role_of(window, role), is_budgeted=policy.is_budgeted)
        if isinstance(found, str):
            return Trouble("ReplicasUnknown", f"{found} is not known")
        seen.append(found)
    return TargetSeen(namespace="", name=name, model=None, roles=tuple(seen))


def _rate(window: Window, window_s: float) -> Metric:
    """Return the offered load. Idle is an order to shrink, so it takes both counts at zero.

    Answers that still finish hold the replicas that serve them, though nothing arrives.
    """
    if window.requests is None:
        return Unknown("LoadUnknown", "requests is not known")
    if window.requests > 0:
        return Value(window.requests / window_s)
    if window.completed is None:
        return Unknown("LoadUnknown", "requests is 0, but completed is not known")
    return Idle() if window.completed == 0 else Value(0.0)


def _known(name: str, number: float | None) -> Metric:
    return Unknown("NotTold", f"{name} is not known") if number is None else Value(number)


def _per_s(metric: Metric, window_s: float) -> Metric:
    return Value(metric.number / window_s) if isinstance(metric, Value) else metric


def _mean(name: str, number: float | None, rate: Metric) -> Metric:
    """Return a mean over requests; no prompt, answer or wait is 0, so 0 is a mean of nothing."""
    if number:
        return Value(number)
    if isinstance(rate, Idle):
        return rate
    return _known(name, None) if number is None else NOTHING_FINISHED


def _role(role: Role, told: RoleWindow | None, *, is_budgeted: bool) -> RoleSeen | str:
    """Return one role, or the name of what nobody knows about it."""
    if told is None:
        return str(role)
    if told.ready is None or told.pending is None:
        return f"{role}.{'ready' if told.ready is None else 'pending'}"
    # Stopping replicas and GPUs matter to a budget only.
    if is_budgeted and (told.terminating is None or told.gpus is None):
        return f"{role}.{'terminating' if told.terminating is None else 'gpus'}"
    return RoleSeen(
        role=role,
        component=str(role),
        replicas=told.ready + told.pending,
        ready=told.ready,
        gpus_per_replica=1 if told.gpus is None else told.gpus,
        terminating=told.terminating or 0,
        present=told.ready + told.pending,
    )
