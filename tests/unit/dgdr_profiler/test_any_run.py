"""Runs of random candidates under random mishaps: they end, within their limits."""

from dataclasses import dataclass, field, replace
from random import Random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_api.points import PointKind, Source
from dgdr_profiler.core.actions import (
    Action,
    Deploy,
    Fail,
    Finish,
    Measure,
    Plan,
    Reject,
    Retire,
    RunState,
)
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.engine_curves import EngineCurves
from dgdr_profiler.core.pick import Selection, replicas
from dgdr_profiler.core.progress import describe, progress
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.core.strategy import curve_points, next_action
from support.profiling import FACTS, Machine, demand, plan

MOST_STEPS = 400
ELAPSED_S = 20.0


@dataclass
class Unlucky(Machine):
    """A machine on which things go wrong by chance."""

    chance: Random = field(default_factory=Random)
    mishaps: float = 0.0
    pods: int = 4
    rejected_for_good: dict[str, str] = field(default_factory=dict)

    def goes_wrong(self) -> bool:
        return self.chance.random() < self.mishaps

    def carry_out(self, action: Action) -> None:
        match action:
            case Deploy(candidate=c):
                self._try(c)
            case Retire(candidate=c):
                self._leave(c)
            case Reject(candidate=c, reason=reason, lasting=lasting):
                self._refuse(c, reason, lasting)
            case Measure():
                self._load(action)
        if self.pods > 0 and self.goes_wrong():
            self.pods -= 1
            self._die()
        self._free_some()
        self._spend()

    def held(self) -> int:
        names = {*self.state.deployed, *self.state.stuck}
        return sum(c.gpus for c in self.plan.candidates if c.id in names)

    def _try(self, candidate: Candidate) -> None:
        assert candidate.id not in self.state.stuck
        assert candidate.id not in self.state.rejected
        late = self.plan.deadline_s is not None and self.state.elapsed_s > self.plan.deadline_s
        assert not late or candidate.id in {p.candidate for p in self.state.points}
        self.deploy(candidate)
        most = self.plan.gpus_at_once
        assert most is None or self.held() <= most
        if self.goes_wrong():
            self._refuse(candidate, "CrashLoopBackOff", self.chance.random() < 0.5)
            self._leave(candidate)

    def _leave(self, candidate: Candidate) -> None:
        self.retire(candidate)
        if self.goes_wrong():
            self.state = replace(self.state, stuck=self.state.stuck | {candidate.id})

    def _refuse(self, candidate: Candidate, reason: str, lasting: bool) -> None:
        assert candidate.id not in self.state.rejected
        self.reject(candidate, reason)
        if lasting:
            self.rejected_for_good[candidate.id] = reason

    def _load(self, action: Measure) -> None:
        cells = action.call.cells
        bad = {c for c in cells if self.goes_wrong()}
        good = tuple(c for c in cells if c not in bad)
        already = {(name, cell) for name, cell in self.measured}
        assert not already & {(action.candidate.id, c) for c in cells}
        if good:
            self.state = replace(
                self.state,
                points=(*self.state.points, *(self.point(action.candidate, c) for c in good)),
            )
            self.measured += [(action.candidate.id, c) for c in good]
        if bad:
            self.fail(action.candidate, replace(action.call, cells=tuple(sorted(bad))))
            if self.chance.random() < 0.5:
                self.state = replace(self.state, suspect=frozenset())

    def _free_some(self) -> None:
        kept = {c for c in self.state.stuck if self.chance.random() < 0.7}
        self.state = replace(self.state, stuck=frozenset(kept))

    def _spend(self) -> None:
        self.state = replace(self.state, elapsed_s=self.state.elapsed_s + ELAPSED_S)

    def _die(self) -> None:
        """Lose what is not stored; what stands is adopted by the next pod."""
        old = self.state
        self.state = RunState(
            points=old.points,
            failures=old.failures,
            rejected=dict(self.rejected_for_good),
            deployed={k: v for k, v in old.deployed.items() if k not in self.rejected_for_good},
            stuck=old.stuck,
            elapsed_s=old.elapsed_s,
        )


def ran(machine: Unlucky) -> Selection | None:
    """Run to the end; None when nothing could be picked."""
    for _ in range(MOST_STEPS):
        action = next_action(machine.plan, machine.state)
        progress(machine.plan, machine.state, action)
        match action:
            case Finish(selection=chosen):
                assert not machine.state.deployed
                return chosen
            case Fail(reason=reason):
                assert reason
                return None
            case _:
                machine.carry_out(action)
    raise AssertionError("the run does not end")


MAPPINGS = st.sampled_from(
    [Mapping.tensor(1), Mapping.tensor(2), Mapping.tensor_expert(4), Mapping.data_expert(4)]
)
SHAPES = st.one_of(
    st.builds(Shape.pair, MAPPINGS),
    st.builds(Shape.pair, MAPPINGS, MAPPINGS),
    st.builds(lambda m: Shape(prefill=m), MAPPINGS),
    st.builds(lambda m: Shape(decode=m), MAPPINGS),
    st.builds(lambda m: Shape(worker=m), MAPPINGS),
)
CANDIDATES = st.lists(
    st.builds(Candidate.of, SHAPES, st.sampled_from([Backend.VLLM, Backend.VLLM, Backend.SGLANG])),
    min_size=1,
    max_size=8,
    unique_by=lambda c: c.id,
)
DEMANDS = st.builds(
    demand,
    isl=st.sampled_from([64, 2048, 9000]),
    osl=st.sampled_from([1, 96, 800]),
    ttft=st.sampled_from([20.0, 300.0, 5000.0]),
    itl=st.sampled_from([4.0, 24.0, 200.0]),
    e2e=st.sampled_from([None, None, 1000.0, 40000.0]),
    rate=st.sampled_from([None, 0.1, 40.0]),
)


# A run is not made simpler by shrinking, and each takes long.
@settings(max_examples=60, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    candidates=CANDIDATES,
    wanted=DEMANDS,
    spare=st.integers(0, 8),
    kv_tokens=st.sampled_from([None, 3000, 65536, 10**6]),
    batch=st.sampled_from([None, 2, 256]),
    deadline_s=st.sampled_from([None, 100.0, 400.0]),
    mishaps=st.sampled_from([0.0, 0.0, 0.05, 0.2, 0.5]),
    seed=st.integers(0, 2**32),
)
def test_every_run_ends_within_its_gpus_and_measures_nothing_twice(
    candidates: list[Candidate],
    wanted: object,
    spare: int,
    kv_tokens: int | None,
    batch: int | None,
    deadline_s: float | None,
    mishaps: float,
    seed: int,
) -> None:
    most = max(c.gpus for c in candidates) + spare
    of: Plan = plan(*candidates, of=wanted, gpus_at_once=most, deadline_s=deadline_s)
    facts = replace(FACTS, max_kv_tokens=kv_tokens, max_batch=batch)
    machine = Unlucky(of, facts=facts, chance=Random(seed), mishaps=mishaps)
    chosen = ran(machine)
    if chosen is None:
        return
    assert describe(chosen)
    assert chosen.prefill.candidate.backend == chosen.decode.candidate.backend
    assert chosen.decode.point.source is Source.MEASURED
    assert chosen.prefill.point.source is Source.MEASURED
    curves = EngineCurves.of(
        curve_points(of, machine.state, chosen, PointKind.PREFILL),
        curve_points(of, machine.state, chosen, PointKind.DECODE),
    )
    replicas(chosen, curves, of.demand.workload, of.demand.targets, of.total_gpus)
