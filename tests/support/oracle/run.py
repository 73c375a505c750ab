"""One run: requests against replicas that a plan may change at every interval."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from dgdr_api.graph import Role
from dgdr_perf.queueing import Dispatch
from dgdr_perf.simulator.arrivals import Array, Requests, RequestsError
from dgdr_perf.simulator.engine import Engine
from dgdr_perf.simulator.options import Options
from dgdr_perf.simulator.outcome import Action, Outcome, Timeline
from dgdr_perf.simulator.tick import Plan, Tick
from support.oracle.agenda import Agenda
from support.oracle.aggregated import AggregatedFleet
from support.oracle.decode import PlainDecodeFleet
from support.oracle.fleet import Fleet, Habits
from support.oracle.prefill import PrefillFleet
from support.oracle.records import Records

MODES = (
    {Role.PREFILL, Role.DECODE},
    {Role.WORKER},
    {Role.PREFILL},
    {Role.DECODE},
)


def simulate(
    engine: Engine,
    requests: Requests,
    initial: Mapping[Role, int],
    *,
    rng: np.random.Generator,
    plan: Plan | None = None,
    options: Options | None = None,
) -> Outcome:
    """Run all requests to their end.

    ``initial`` says which roles there are, with replicas that are ready at time 0; ``plan`` is
    asked for replicas at the end of each interval and may leave roles out.

    Raises:
        RequestsError: roles that do not make a deployment, or a duration that is not positive.
    """
    return _Run(engine, requests, initial, rng, options or Options()).run(plan)


class _Run:
    def __init__(
        self,
        engine: Engine,
        requests: Requests,
        initial: Mapping[Role, int],
        rng: np.random.Generator,
        options: Options,
    ) -> None:
        self.engine, self.requests, self.options = engine, requests, options
        self.agenda = Agenda()
        self.records = Records(requests, engine.prompts_s(requests.isl))
        self.duration_s = _duration(options, requests)
        self.fleets = self._built(initial, rng)
        self.actions: list[Action] = []
        self.marks = (0, 0, 0, 0)
        for role, replicas in initial.items():
            self.fleets[role].begin(replicas)
        for failure in options.failures:
            self.agenda.add(failure.at_s, self._fail, failure.role)

    def run(self, plan: Plan | None) -> Outcome:
        """Go from interval to interval; then finish what is in flight."""
        interval_s = self.options.interval_s
        whole = math.ceil(self.duration_s / interval_s - 1e-9)
        for tick in range(1, whole):
            self._arrivals_until(tick * interval_s)
            if plan is not None:
                self._scale(tick * interval_s, plan(self._tick(tick * interval_s)))
        self._arrivals_until(math.inf)
        self.agenda.run_until(math.inf)
        return self._outcome()

    def _built(
        self, initial: Mapping[Role, int], rng: np.random.Generator
    ) -> dict[Role, Fleet[Any]]:
        if set(initial) not in MODES:
            raise RequestsError(
                f"roles {sorted(initial)} make no deployment; give prefill and decode, one of"
                " them, or worker"
            )
        if Role.WORKER in initial:
            habits = self._habits(rng, self.options.dispatch)
            return {Role.WORKER: AggregatedFleet(habits, self.engine)}
        fleets: dict[Role, Fleet[Any]] = {}
        if Role.DECODE in initial:
            habits = self._habits(rng, self.options.decode_dispatch)
            fleets[Role.DECODE] = PlainDecodeFleet(habits, self.engine)
        if Role.PREFILL in initial:
            habits = self._habits(rng, self.options.dispatch)
            onward = self._transfer if Role.DECODE in initial else self._only_prefill
            fleets[Role.PREFILL] = PrefillFleet(habits, self.engine, onward)
        return fleets

    def _habits(self, rng: np.random.Generator, dispatch: Dispatch) -> Habits:
        return Habits(
            agenda=self.agenda,
            records=self.records,
            dispatch=dispatch,
            start_up_s=self.options.start_up_s,
            drain_s=self.options.drain_s,
            rng=rng,
        )

    @property
    def _front(self) -> Fleet[Any]:
        """The role that a request comes to first."""
        return self.fleets.get(Role.PREFILL) or next(iter(self.fleets.values()))

    def _arrivals_until(self, until_s: float) -> None:
        records, front, run = self.records, self._front, self.agenda.run_until
        times, request = records.arrival_s, records.started
        count = len(times)
        while request < count and times[request] < until_s:
            at_s = times[request]
            run(at_s)
            records.started = request + 1
            front.submit(at_s, request)
            request += 1
        if until_s < math.inf:
            run(until_s)

    def _transfer(self, at_s: float, request: int) -> None:
        options = self.options
        tokens = self.records.isl[request]
        ms = options.transfer_fixed_ms + options.transfer_ms_per_token * tokens
        decode = self.fleets[Role.DECODE]
        if ms > 0:
            self.agenda.add(at_s + ms / 1000.0, decode.submit, request)
        else:
            decode.submit(at_s, request)

    def _only_prefill(self, at_s: float, request: int) -> None:
        self.records.first_token(at_s, request)
        self.records.done(at_s, request)

    def _fail(self, at_s: float, role: Role) -> None:
        self.fleets[role].fail(at_s)

    def _tick(self, at_s: float) -> Tick:
        records = self.records
        ends = (
            records.started,
            len(records.first_token_log),
            len(records.done_log),
            len(records.failed_log),
        )
        begins, self.marks = self.marks, ends
        return Tick(
            t_s=at_s,
            window_s=self.options.interval_s,
            started=range(begins[0], ends[0]),
            first_tokens=records.first_token_log[begins[1] : ends[1]],
            completed=records.done_log[begins[2] : ends[2]],
            failed=records.failed_log[begins[3] : ends[3]],
            in_flight=records.in_flight,
            roles={role: fleet.counts() for role, fleet in self.fleets.items()},
            records=records,
        )

    def _scale(self, at_s: float, wanted: Mapping[Role, int] | None) -> None:
        for role, replicas in (wanted or {}).items():
            before = self.fleets[role].counts().replicas
            if replicas != before:
                self.actions.append(Action(at_s=at_s, role=role, before=before, after=replicas))
                self.fleets[role].scale(at_s, replicas)

    def _outcome(self) -> Outcome:
        records, requests = self.records, self.requests
        first_s, finish_s = np.array(records.first_token_s), np.array(records.finish_s)
        failed = np.isnan(finish_s)
        more = np.where(requests.osl > 1.0, requests.osl - 1.0, np.nan)
        alone_ttft_ms, alone_itl_ms = self._alone()
        return Outcome(
            requests=requests,
            ttft_ms=np.where(failed, np.nan, 1000.0 * (first_s - requests.arrival_s)),
            itl_ms=1000.0 * (finish_s - first_s) / more,
            finish_s=finish_s,
            failed=failed,
            alone_ttft_ms=alone_ttft_ms,
            alone_itl_ms=alone_itl_ms,
            timelines={role: _timeline(fleet) for role, fleet in self.fleets.items()},
            replica_s={r: fleet.billed_s(self.duration_s) for r, fleet in self.fleets.items()},
            actions=tuple(self.actions),
            duration_s=self.duration_s,
        )

    def _alone(self) -> tuple[Array, Array]:
        """Return TTFT and ITL in ms of each request on engines that do nothing else."""
        requests, engine, options = self.requests, self.engine, self.options
        ttft_ms, itl_ms = np.zeros(len(requests)), np.zeros(len(requests))
        if Role.DECODE not in self.fleets or Role.PREFILL in self.fleets:
            ttft_ms += 1000.0 * np.array(self.records.prompt_s)
        if len(self.fleets) > 1:
            ttft_ms += options.transfer_fixed_ms + options.transfer_ms_per_token * requests.isl
        if set(self.fleets) != {Role.PREFILL}:
            context = requests.isl + requests.osl / 2.0
            itl_ms += 1000.0 * engine.lone_steps_s(context)
            ttft_ms[requests.isl + requests.osl > engine.max_kv_tokens] = np.inf
        return ttft_ms, itl_ms


def _timeline(fleet: Fleet[Any]) -> Timeline:
    at_s, ready, pending, terminating = zip(*fleet.history, strict=True)
    return Timeline(
        at_s=np.array(at_s),
        ready=np.array(ready),
        pending=np.array(pending),
        terminating=np.array(terminating),
    )


def _duration(options: Options, requests: Requests) -> float:
    last_s = float(requests.arrival_s[-1]) if len(requests) else 0.0
    duration_s = last_s if options.duration_s is None else options.duration_s
    if not math.isfinite(duration_s) or duration_s <= 0:
        raise RequestsError(f"duration_s is {duration_s}; it must be above 0: give a longer run")
    return duration_s
