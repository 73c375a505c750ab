"""The planner's own metrics.

What upstream's planner shows has upstream's name (``dynamo_planner_*``), so that its dashboards
work; the rest is ``dgdr_planner_*``. A number that is not known is absent, never an old one.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dgdr_api.models.base import ConditionStatus
from dgdr_api.models.sla_planner_status import SLAPlannerStatus
from dgdr_api.names import dynamo_namespace
from dgdr_kube.ports import Key
from dgdr_kube.store import Store, Unsure
from dgdr_planner.adapters.metric_registry import Numbers, PlannerMetrics
from dgdr_planner.observe.observation import SHARES, LoadSeen, Observation, TargetSeen
from dgdr_planner.observe.value import NOT_MEASURED, number
from dgdr_planner.plan import Decision, Plan
from dgdr_planner.policy import Policy
from dgdr_planner.tell.metrics import numbers_of

SECONDS_PER_HOUR = 3600.0


@dataclass
class _Shown:
    """What is shown of one planner.

    ``judged_at`` is the newest window whose requests were counted, ``counted_s`` until when
    GPU-hours were, and ``conditions`` those that are shown.
    """

    labels: tuple[str, str, str]
    counted_s: float
    judged_at: datetime | None = None
    conditions: tuple[tuple[str, ConditionStatus], ...] = ()

    def set(self, numbers: Numbers, value: float | None, *more: str) -> None:
        """Show a number; None takes it away."""
        numbers.put((*self.labels, *more), value)


@dataclass(frozen=True, eq=False)
class _Budgets(Collector):
    """The shared budgets as their watch told of them; none while it does not."""

    store: Store

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "dgdr_planner_budget_gpus",
            "GPUs of a GPUBudget: limit, and reserved by its members, where they have said so",
            labels=("target_namespace", "budget", "state"),
        )
        found = self.store.find(None)
        for budget in () if isinstance(found, Unsure) else found:
            meta, reserved = budget["metadata"], (budget.get("status") or {}).get("reservedGpus")
            numbers = {"limit": budget["spec"].get("gpus"), "reserved": reserved}
            for state, gpus in numbers.items():
                if gpus is not None:
                    family.add_metric((meta["namespace"], meta["name"], state), float(gpus))
        yield family


class Telemetry:
    """Metrics of all planners of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._metrics = PlannerMetrics(self.registry)
        self._shown: dict[Key, _Shown] = {}

    def show_budgets(self, store: Store) -> None:
        """Show the budgets that are in this store from now on."""
        self.registry.register(_Budgets(store))

    def show(
        self,
        key: Key,
        policy: Policy,
        seen: Observation,
        decision: Decision,
        status: SLAPlannerStatus,
    ) -> None:
        """Show what a pass saw and decided."""
        if not isinstance(seen.target, TargetSeen):
            return
        shown = self._shown_of(key, seen.target)
        numbers = numbers_of(policy, seen, decision)
        numbers["startup_seconds"] = status.startup_seconds
        for name, gauge in self._metrics.gauges.items():
            shown.set(gauge, numbers.get(name))
        self._show_conditions(shown, status)
        self._show_latencies(shown, seen.load)
        self._show_roles(shown, seen.target, decision)
        self._count_gpu_hours(shown, seen.target)
        self._judge(shown, decision)

    def answered(self, outcome: str, seconds: float) -> None:
        """Count a question to Prometheus."""
        self._metrics.asked.labels(outcome).observe(seconds)

    def count(self, key: Key, outcome: str, seconds: float) -> None:
        """Count a pass."""
        self._metrics.seconds.observe(seconds)
        shown = self._shown.get(key)
        if shown is not None:
            self._metrics.passes.labels(*shown.labels, outcome).inc()

    def forget(self, key: Key) -> None:
        """Stop showing a planner that is gone."""
        shown = self._shown.pop(key, None)
        if shown is not None:
            self._metrics.forget(shown.labels)

    def _shown_of(self, key: Key, target: TargetSeen) -> _Shown:
        labels = (dynamo_namespace(target.namespace, target.name), key.namespace, key.name)
        known = self._shown.get(key)
        if known is None or known.labels != labels:
            self.forget(key)
            known = self._shown[key] = _Shown(labels, self._clock())
        return known

    def _show_conditions(self, shown: _Shown, status: SLAPlannerStatus) -> None:
        held = tuple((condition.type, condition.status) for condition in status.conditions)
        if held == shown.conditions:
            return
        shown.conditions = held
        for type_, status_ in held:
            for word in ConditionStatus:
                shown.set(self._metrics.conditions, float(status_ is word), type_, word)

    def _show_latencies(self, shown: _Shown, load: LoadSeen) -> None:
        for latency in ("ttft", "itl"):
            for name, share in SHARES.items():
                value = number(load.quantiles.get(f"{latency}_{name}", NOT_MEASURED))
                shown.set(self._metrics.latencies, value, latency, f"{share:g}")

    def _show_roles(self, shown: _Shown, target: TargetSeen, decision: Decision) -> None:
        plan = decision.outcome if isinstance(decision.outcome, Plan) else None
        plans = {role.seen.role: role for role in plan.roles} if plan else {}
        for seen in target.roles:
            own = plans.get(seen.role)
            states = {
                "wanted": seen.replicas,
                "ready": seen.ready,
                "needed": own.needed if own else None,
                "chosen": own.replicas if own else None,
            }
            for state, replicas in states.items():
                shown.set(self._metrics.replicas, replicas, seen.role, state)
            factor = decision.state.correction.factors.get(seen.role)
            shown.set(self._metrics.corrections, factor, seen.role)

    def _count_gpu_hours(self, shown: _Shown, target: TargetSeen) -> None:
        now_s = self._clock()
        hours = (now_s - shown.counted_s) / SECONDS_PER_HOUR
        shown.counted_s = now_s
        gpus = sum(seen.held * seen.gpus_per_replica for seen in target.roles)
        self._metrics.gpu_hours.labels(*shown.labels).inc(gpus * hours)

    def _judge(self, shown: _Shown, decision: Decision) -> None:
        """Count the newest window's requests once, as those of the status are."""
        for target in ("ttft", "itl"):
            self._metrics.judged.labels(*shown.labels, target)
            self._metrics.within.labels(*shown.labels, target)
        windows = decision.state.windows
        if not windows or windows[-1].at == shown.judged_at:
            return
        newest = windows[-1]
        # What a process finds when it starts was judged by the one before.
        shown.judged_at = newest.at
        for target, met in (("ttft", newest.ttft_met), ("itl", newest.itl_met)):
            if met is not None:
                self._metrics.judged.labels(*shown.labels, target).inc(newest.requests)
                self._metrics.within.labels(*shown.labels, target).inc(newest.requests * met)
