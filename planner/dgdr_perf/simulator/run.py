"""One run: requests against replicas that a plan may change at every interval."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from dgdr_api.graph import Role
from dgdr_perf.queueing import Dispatch
from dgdr_perf.simulator import kernel
from dgdr_perf.simulator.arrivals import Array, Requests, RequestsError
from dgdr_perf.simulator.engine import Engine
from dgdr_perf.simulator.fleet import Counts
from dgdr_perf.simulator.memory import Memory, Rows
from dgdr_perf.simulator.options import Options
from dgdr_perf.simulator.outcome import Action, Course, Outcome, Settled, Timeline
from dgdr_perf.simulator.tick import Numbers, Plan, Tick

__all__ = ["Plan", "Tick", "simulate", "simulate_chunks"]

# Roles in the order in which a request comes to them.
MODES = (
    (Role.PREFILL, Role.DECODE),
    (Role.WORKER,),
    (Role.PREFILL,),
    (Role.DECODE,),
)
KINDS = {Role.PREFILL: kernel.PREFILL, Role.DECODE: kernel.DECODE, Role.WORKER: kernel.WORKER}
DISPATCHES = {
    Dispatch.SHARED: kernel.SHARED,
    Dispatch.ROUND_ROBIN: kernel.ROUND_ROBIN,
    Dispatch.RANDOM: kernel.RANDOM,
}
OUTCOMES = ("ttft_ms", "itl_ms", "finish_s", "failed", "alone_ttft_ms", "alone_itl_ms")

Sink = Callable[[Settled], None]


def simulate(
    engine: Engine,
    requests: Requests,
    initial: Mapping[Role, int],
    *,
    rng: np.random.Generator,
    plan: Plan | None = None,
    options: Options | None = None,
) -> Outcome:
    """Run all requests to their end, and keep what became of each.

    ``initial`` says which roles there are, with replicas that are ready at time 0; ``plan`` is
    asked for replicas at the end of each interval and may leave roles out.

    Raises:
        RequestsError: roles that do not make a deployment, or a duration that is not positive.
    """
    options = options or Options()
    if options.duration_s is None:
        last_s = float(requests.arrival_s[-1]) if len(requests) else 0.0
        options = replace(options, duration_s=last_s)
    found: list[Settled] = []
    course = simulate_chunks(
        engine, requests.chunks(), initial, found.append, rng=rng, plan=plan, options=options
    )
    columns = {name: np.concatenate([getattr(one, name) for one in found]) for name in OUTCOMES}
    return Outcome(
        requests=requests,
        timelines=course.timelines,
        replica_s=course.replica_s,
        actions=course.actions,
        duration_s=course.duration_s,
        **columns,
    )


def simulate_chunks(
    engine: Engine,
    chunks: Iterable[Requests],
    initial: Mapping[Role, int],
    sink: Sink,
    *,
    rng: np.random.Generator,
    plan: Plan | None = None,
    options: Options | None = None,
) -> Course:
    """Run requests that come in parts, in order of arrival; forget each that has settled.

    ``sink`` is given all of them, in order of arrival. In memory are a chunk, the requests since
    the oldest that is in flight, and those of the current interval. ``options.duration_s`` must
    be given.

    Raises:
        RequestsError: roles that do not make a deployment, a duration that is not positive, or a
            chunk that begins before the end of the one before it.
    """
    return _Run(engine, iter(chunks), initial, sink, rng, options or Options()).run(plan)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The requests in memory, of which the first one has number ``base``."""

    rows: Rows
    base: int

    def of(self, name: str, requests: Numbers) -> Array:
        places = np.asarray(requests, dtype=np.int64) - self.base
        return np.asarray(self.rows[name][places], dtype=np.float64)


class _Run:
    def __init__(
        self,
        engine: Engine,
        chunks: Iterator[Requests],
        initial: Mapping[Role, int],
        sink: Sink,
        rng: np.random.Generator,
        options: Options,
    ) -> None:
        self.engine, self.chunks, self.sink = engine, chunks, sink
        self.rng, self.options = rng, options
        self.roles = _mode(initial)
        self.memory = Memory.of(engine, len(self.roles))
        self.world = self.memory.world[0]
        self.duration_s = _duration_s(options)
        self.last_s = 0.0
        # Of the requests in memory, those at its begin that nobody will ask for.
        self.settled = 0
        self.seen = 0
        self.notes: list[Rows] = []
        self.actions: list[Action] = []
        self._begin(initial)

    def run(self, plan: Plan | None) -> Course:
        """Go from interval to interval; then finish what is in flight."""
        interval_s = self.options.interval_s
        if plan is not None:
            for tick in range(1, math.ceil(self.duration_s / interval_s - 1e-9)):
                self._until(tick * interval_s, forgetful=False)
                self._scale(tick * interval_s, plan(self._tick(tick * interval_s)))
                self.settled = self._settled()
        self._until(math.inf, forgetful=True)
        self._hand_over(int(self.world["known"] - self.world["base"]))
        return self._course()

    def _begin(self, initial: Mapping[Role, int]) -> None:
        options, world, fleets = self.options, self.world, self.memory.fleets
        world["decode"] = 1 if len(self.roles) > 1 else -1
        world["stepping"] = self.roles != (Role.PREFILL,)
        world["start_up_s"], world["drain_s"] = options.start_up_s, options.drain_s
        world["transfer_fixed_ms"] = options.transfer_fixed_ms
        world["transfer_ms_per_token"] = options.transfer_ms_per_token
        for fleet, role in enumerate(self.roles):
            fleets[fleet]["kind"] = KINDS[role]
            decode = role is Role.DECODE
            dispatch = options.decode_dispatch if decode else options.dispatch
            fleets[fleet]["dispatch"] = DISPATCHES[dispatch]
        grown = self.memory.with_replicas(sum(initial.values()))
        self.memory = grown.with_events(len(options.failures))
        for role, replicas in initial.items():
            kernel.begin(self.memory, self.roles.index(role), replicas)
        for failure in options.failures:
            fleet = self.roles.index(failure.role)
            kernel.add(self.memory, failure.at_s, kernel.FAIL, fleet, 0)

    def _until(self, until_s: float, *, forgetful: bool) -> None:
        """Go on until this time; ``forgetful``: nobody will ask what happened meanwhile."""
        while (stopped := kernel.run(self.memory, until_s)) != kernel.DONE:
            if stopped == kernel.MORE:
                if forgetful:
                    self._clear_logs()
                    self.settled = self._settled()
                self._load()
            elif stopped == kernel.ROWS:
                waiting = int(self.memory.fleets["waiting"].sum())
                batch = min(int(self.world["largest"]) + waiting + 1, self.engine.max_batch)
                self.memory = self.memory._replace(steps_s=self.engine.steps_s(batch))
            elif stopped == kernel.CHANCES:
                more = int(self.memory.fleets["waiting"].sum()) + 2 * kernel.SPARE
                self.memory = self.memory.with_chances(self.rng, more)
            else:
                self._take_notes()
                more = int(self.memory.fleets["waiting"].sum()) + self.engine.ranks
                self.memory = self.memory.with_replicas(1).with_events(more + 2 * kernel.SPARE)

    def _load(self) -> None:
        """Take the next requests into memory, in place of those that have settled."""
        requests = next(self.chunks, None)
        if requests is None:
            self.world["closed"] = 1
            return
        if not len(requests):
            return
        if requests.arrival_s[0] < self.last_s:
            raise RequestsError(
                f"a chunk begins at {requests.arrival_s[0]} s, before {self.last_s} s where the one"
                " before it ends; give requests in order of arrival"
            )
        self.last_s = float(requests.arrival_s[-1])
        settled, self.settled = self.settled, 0
        self._hand_over(settled)
        prompts_s = self.engine.prompts_s(requests.isl)
        self.memory = self.memory.with_requests(requests, prompts_s, settled)

    def _settled(self) -> int:
        """Count the requests at the begin of memory that are finished or failed."""
        started = int(self.world["started"] - self.world["base"])
        flying = self.memory.requests["settled"][:started] == 0
        return int(flying.argmax()) if flying.any() else started

    def _hand_over(self, count: int) -> None:
        """Tell the sink what became of the first requests in memory."""
        if not count:
            return
        rows = self.memory.requests[:count]
        arrival_s, isl, osl = (rows[name].copy() for name in ("arrival_s", "isl", "osl"))
        finish_s = rows["finish_s"].copy()
        failed = np.isnan(finish_s)
        more = np.where(osl > 1.0, osl - 1.0, np.nan)
        first_s = rows["first_token_s"]
        alone_ttft_ms, alone_itl_ms = self._alone(isl, osl, rows["prompt_s"])
        self.sink(
            Settled(
                requests=Requests(arrival_s=arrival_s, isl=isl, osl=osl),
                ttft_ms=np.where(failed, np.nan, 1000.0 * (first_s - arrival_s)),
                itl_ms=1000.0 * (finish_s - first_s) / more,
                finish_s=finish_s,
                failed=failed,
                alone_ttft_ms=alone_ttft_ms,
                alone_itl_ms=alone_itl_ms,
            )
        )

    def _alone(self, isl: Array, osl: Array, prompts_s: Array) -> tuple[Array, Array]:
        """Return TTFT and ITL in ms of each request on engines that do nothing else."""
        engine, options = self.engine, self.options
        ttft_ms, itl_ms = np.zeros(len(isl)), np.zeros(len(isl))
        if self.roles != (Role.DECODE,):
            ttft_ms += 1000.0 * prompts_s
        if len(self.roles) > 1:
            ttft_ms += options.transfer_fixed_ms + options.transfer_ms_per_token * isl
        if self.roles != (Role.PREFILL,):
            itl_ms += 1000.0 * engine.lone_steps_s(isl + osl / 2.0)
            ttft_ms[isl + osl > engine.max_kv_tokens] = np.inf
        return ttft_ms, itl_ms

    def _tick(self, at_s: float) -> Tick:
        memory, world = self.memory, self.world
        first_seen, self.seen = self.seen, int(world["started"])
        found = Tick(
            t_s=at_s,
            window_s=self.options.interval_s,
            started=range(first_seen, self.seen),
            first_tokens=memory.first_token_log[: world["first_tokens"]].copy(),
            completed=memory.done_log[: world["done"]].copy(),
            failed=memory.failed_log[: world["failed"]].copy(),
            in_flight=int(world["in_flight"]),
            roles={role: self._counts(fleet) for fleet, role in enumerate(self.roles)},
            records=_Rows(memory.requests, int(world["base"])),
        )
        self._clear_logs()
        return found

    def _counts(self, fleet: int) -> Counts:
        found = self.memory.fleets[fleet]
        waiting, running = kernel.waiting(self.memory, fleet)
        return Counts(
            ready=int(found["ready"]),
            pending=int(found["pending"]),
            terminating=int(found["leaving"]),
            waiting=waiting,
            running=running,
        )

    def _clear_logs(self) -> None:
        for name in ("first_tokens", "done", "failed"):
            self.world[name] = 0

    def _scale(self, at_s: float, wanted: Mapping[Role, int] | None) -> None:
        for role, replicas in (wanted or {}).items():
            fleet = self.roles.index(role)
            found = self.memory.fleets[fleet]
            ready, before = int(found["ready"]), int(found["ready"] + found["pending"])
            if replicas != before:
                self.actions.append(Action(at_s=at_s, role=role, before=before, after=replicas))
                # What drains may be killed: one more event each.
                grown = self.memory.with_replicas(max(replicas - before, 0))
                self.memory = grown.with_events(max(replicas - before, 0) + ready)
                kernel.scale(self.memory, at_s, fleet, replicas)
                self._take_notes()

    def _take_notes(self) -> None:
        self.notes.append(self.memory.notes[: self.world["notes"]].copy())
        self.world["notes"] = 0

    def _course(self) -> Course:
        self._take_notes()
        notes = np.concatenate(self.notes)
        return Course(
            timelines={
                role: _timeline(notes[notes["fleet"] == fleet])
                for fleet, role in enumerate(self.roles)
            },
            replica_s={role: self._billed_s(fleet) for fleet, role in enumerate(self.roles)},
            actions=tuple(self.actions),
            duration_s=self.duration_s,
        )

    def _billed_s(self, fleet: int) -> float:
        """Sum the seconds from creation until gone, drains included."""
        every = self.memory.replicas[: self.world["replicas"]]
        mine = every[every["fleet"] == fleet]
        used_s = np.minimum(mine["gone_s"], self.duration_s) - mine["created_s"]
        return float(np.maximum(used_s, 0.0).sum())


def _mode(initial: Mapping[Role, int]) -> tuple[Role, ...]:
    for mode in MODES:
        if set(initial) == set(mode):
            return mode
    raise RequestsError(
        f"roles {sorted(initial)} make no deployment; give prefill and decode, one of"
        " them, or worker"
    )


def _duration_s(options: Options) -> float:
    duration_s = options.duration_s
    if duration_s is None or not math.isfinite(duration_s) or duration_s <= 0:
        raise RequestsError(f"duration_s is {duration_s}; it must be above 0: give a longer run")
    return duration_s


def _timeline(notes: Rows) -> Timeline:
    """Of the notes of one time the last one counts."""
    last = np.append(notes["at_s"][1:] != notes["at_s"][:-1], True)
    kept = notes[last]
    return Timeline(
        at_s=kept["at_s"], ready=kept["ready"], pending=kept["pending"], terminating=kept["leaving"]
    )
