from dataclasses import replace

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_policy import SizingPolicy
from dgdr_api.profile_data import PrefillData
from dgdr_perf.classic import ClassicInput, ClassicProfile, classic_replicas
from dgdr_planner.decide import decide
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.value import NOT_MEASURED, Trouble
from dgdr_planner.plan import Plan
from dgdr_planner.state import State
from support.planning import DECODE, EXACTLY, PREFILL, PROFILE, at, load, policy, seeing

CLASSIC = policy(sizing=SizingPolicy.CLASSIC)


def uncorrected(rate_per_s: float) -> LoadSeen:
    return replace(load(rate_per_s), ttft_ms=NOT_MEASURED)


def test_classic_asks_for_what_upstreams_formulas_say() -> None:
    outcome = decide(seeing(uncorrected(9.4)), PROFILE, CLASSIC, State(), at(0), forecaster=EXACTLY)
    assert isinstance(outcome.outcome, Plan)
    window = ClassicInput(
        n=9.4 * 15, isl=2048, osl=128, interval_s=15, ttft_ms=300, itl_ms=25, max_gpu_budget=10**9
    )
    expected = classic_replicas(ClassicProfile.of(PREFILL, DECODE), window)
    found = {role.seen.role: role.needed for role in outcome.outcome.roles}
    assert found == {Role.PREFILL: expected.prefill, Role.DECODE: expected.decode}


def test_correction_factors_count_where_latencies_are_known() -> None:
    slow = replace(load(9.4), itl_ms=replace(load(9.4).itl_ms, number=45.0))  # type: ignore[type-var]
    known = decide(seeing(slow), PROFILE, CLASSIC, State(), at(0), forecaster=EXACTLY).outcome
    plain = uncorrected(9.4)
    without = decide(seeing(plain), PROFILE, CLASSIC, State(), at(0), forecaster=EXACTLY).outcome
    assert isinstance(known, Plan)
    assert isinstance(without, Plan)
    assert known.roles[1].needed >= without.roles[1].needed


def test_a_profile_that_upstream_cannot_read_changes_nothing() -> None:
    short = PrefillData(
        isl=PREFILL.isl[:2], ttft_ms=PREFILL.ttft_ms[:2], thpt_per_gpu=PREFILL.thpt_per_gpu[:2]
    )
    few = replace(PROFILE, data=(short, DECODE))
    outcome = decide(seeing(load(9.4)), few, CLASSIC, State(), at(0), forecaster=EXACTLY).outcome
    assert isinstance(outcome, Trouble)
    assert outcome.reason == "ClassicImpossible"
    assert "use the Queueing policy" in outcome.message


def test_quiet_shrinks_with_classic_too() -> None:
    state, current = State(), (4, 3)
    for tick in range(24):
        seen = seeing(load(0), *current)
        decision = decide(seen, PROFILE, CLASSIC, state, at(15 * tick), forecaster=EXACTLY)
        state = decision.state
        assert isinstance(decision.outcome, Plan)
        current = (decision.outcome.roles[0].replicas, decision.outcome.roles[1].replicas)
    assert current == (1, 1)
