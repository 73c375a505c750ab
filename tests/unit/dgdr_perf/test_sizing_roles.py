"""Aggregated engines, batch limits, mixtures, fixed terms, provenance: beyond one prompt length."""

from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from bench.reference import reference_data, reference_engine
from dgdr_api.fingerprint import Fingerprint
from dgdr_api.points import Source
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_api.provenance import Provenance
from dgdr_api.transfer import Transfer
from dgdr_perf import npz
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.sizing import (
    Binding,
    Dispatch,
    Percentile,
    PrefillTerms,
    Targets,
    Workload,
    WorkloadError,
    size_aggregated,
    size_decode,
    size_prefill,
)

LOAD = Workload(rate_per_s=45, isl=3000, osl=300)
SLA = Targets(ttft_ms=200, itl_ms=10, percentile=Percentile.P95)
SIMULATED_S = 1500
LONG_TAIL = ((0.5, 1500.0), (0.9, 6000.0), (0.99, 12_000.0))


@pytest.fixture(scope="module")
def engine() -> EngineProfile:
    return reference_engine()


def simulated_itl_ms(engine: EngineProfile, rate: float, osl: int, context: float) -> float:
    """95th percentile over requests of their mean time between tokens; they join between steps."""
    rng = np.random.default_rng(1)
    arrivals = np.cumsum(rng.exponential(1 / rate, int(rate * SIMULATED_S))).tolist()
    table = (engine.decode.itl_of_batches(np.arange(1.0, 2000.0), context) / 1000).tolist()
    now, steps, following = 0.0, 0, 0
    # Equal answers leave in the order in which they came: (step, time) of joining.
    running: deque[tuple[int, float]] = deque()
    done = []
    while following < len(arrivals):
        now = now if running else max(now, arrivals[following])
        while following < len(arrivals) and arrivals[following] <= now:
            running.append((steps, now))
            following += 1
        now += table[len(running) - 1]
        steps += 1
        while running and steps - running[0][0] == osl:
            done.append(1000 * (now - running.popleft()[1]) / osl)
    return float(np.percentile(done[len(done) // 10 :], 95))


@pytest.mark.parametrize("rate", [3.0, 10.0])
def test_decode_replicas_hold_the_percentile_step_by_step(
    engine: EngineProfile, rate: float
) -> None:
    load = replace(LOAD, rate_per_s=rate * 10, osl=200)
    answer = size_decode(engine, load, replace(SLA, itl_ms=12))
    full = load.rate_per_s / answer.replicas_exact
    assert simulated_itl_ms(engine, full, 200, load.context_tokens) <= 12 * 1.02
    assert simulated_itl_ms(engine, 1.3 * full, 200, load.context_tokens) > 12


def test_the_batch_limit_binds(engine: EngineProfile) -> None:
    easy = replace(SLA, itl_ms=200)
    limited = size_decode(replace(engine, max_num_seqs=16), LOAD, easy)
    assert limited.binding is Binding.BATCH
    assert limited.replicas > size_decode(engine, LOAD, easy).replicas
    in_flight = LOAD.rate_per_s / limited.replicas * LOAD.osl * limited.latency_ms / 1000
    assert in_flight <= 16


@pytest.mark.parametrize("slack", [1.12, 1.2])
def test_few_replicas_meet_a_target_close_to_a_lone_request(
    engine: EngineProfile, slack: float
) -> None:
    """One replica more is no cliff, however little of the target is left."""
    alone_ms = size_decode(engine, replace(LOAD, rate_per_s=0.01), SLA).alone_ms
    close = replace(SLA, itl_ms=slack * alone_ms)
    answer = size_decode(engine, replace(LOAD, rate_per_s=12.0), close)
    assert answer.reachable
    assert answer.latency_ms <= close.itl_ms * 1.0001


def test_long_prompts_need_more_than_their_mean_says(engine: EngineProfile) -> None:
    mixed = replace(LOAD, isl_quantiles=LONG_TAIL)
    sla = replace(SLA, ttft_ms=300)
    for dispatch in Dispatch:
        told = size_prefill(engine, mixed, sla, dispatch)
        assert told.replicas_exact > size_prefill(engine, LOAD, sla, dispatch).replicas_exact
        assert told.reachable


def test_prompts_that_are_late_alone_make_the_target_unreachable(engine: EngineProfile) -> None:
    tenth_long = ((0.9, 1000.0), (0.9, 16_000.0), (1.0, 16_000.0))
    load = replace(LOAD, isl=2500, isl_quantiles=tenth_long)
    assert not size_prefill(engine, load, SLA).reachable
    assert size_prefill(engine, load, replace(SLA, percentile=Percentile.P50)).reachable


def test_quantiles_keep_the_mean(engine: EngineProfile) -> None:
    prompts = replace(LOAD, isl_quantiles=LONG_TAIL).prompts()
    assert prompts.shares.sum() == pytest.approx(1)
    assert prompts.shares @ prompts.isl == pytest.approx(3000)


def test_transfer_and_fixed_terms_leave_less_time_to_wait(engine: EngineProfile) -> None:
    terms = PrefillTerms(transfer_ms_per_token=0.02, fixed_ms=15)
    plain, loaded = (size_prefill(engine, LOAD, SLA, terms=one) for one in (PrefillTerms(), terms))
    assert loaded.alone_ms == pytest.approx(plain.alone_ms + 75)
    assert loaded.replicas_exact > plain.replicas_exact
    assert loaded.busy == plain.busy


def test_a_transfer_that_the_rows_do_not_hold_is_part_of_ttft(engine: EngineProfile) -> None:
    sent = Transfer(measured_ms=60, measured_isl=3000)
    plain, through = (
        size_prefill(replace(engine, transfer=one), LOAD, SLA)
        for one in (replace(sent, in_ttft=True), sent)
    )
    assert through.alone_ms == pytest.approx(plain.alone_ms + 60)
    assert through.replicas_exact > plain.replicas_exact
    assert through.busy == plain.busy


@pytest.mark.parametrize(
    ("transfer", "source"),
    [
        (None, Source.MEASURED),
        (Transfer(in_ttft=True), Source.MEASURED),
        (Transfer(measured_ms=60, measured_isl=3000), Source.MEASURED),
        (Transfer(bytes_per_token=131072, gb_per_s=64), Source.ESTIMATED),
        (Transfer(), Source.ESTIMATED),
    ],
)
def test_a_ttft_whose_transfer_nobody_measured_is_an_estimate(
    transfer: Transfer | None, source: Source
) -> None:
    prefill, decode = marked(Source.MEASURED)
    profile = EngineProfile.of(replace(prefill, transfer=transfer), decode)
    assert size_prefill(profile, LOAD, SLA).source is source


@pytest.mark.parametrize("percentile", Percentile)
def test_the_expected_latency_is_within_a_reachable_target(
    engine: EngineProfile, percentile: Percentile
) -> None:
    for rate in (0.5, 7, 31, 90):
        targets = replace(SLA, percentile=percentile)
        answer = size_prefill(engine, replace(LOAD, rate_per_s=rate), targets)
        assert answer.reachable
        assert answer.latency_ms <= 200.02
        assert answer.busy <= answer.replicas_exact <= answer.replicas + 1e-5


def test_a_stricter_percentile_never_needs_fewer(engine: EngineProfile) -> None:
    order = (Percentile.P50, Percentile.P90, Percentile.P95, Percentile.P99)
    for size in (size_prefill, size_decode, size_aggregated):
        needs = [
            size(engine, LOAD, replace(SLA, percentile=one)).replicas_exact  # type: ignore[operator]
            for one in order
        ]
        assert needs == sorted(needs)


def test_aggregated_engines_need_more_than_either_role(engine: EngineProfile) -> None:
    both = size_aggregated(engine, LOAD, SLA)
    assert both.replicas > size_prefill(engine, LOAD, SLA).replicas
    assert both.replicas > size_decode(engine, LOAD, SLA).replicas
    assert both.reachable
    assert both.ttft is not None
    assert both.ttft.ms <= 200
    assert both.itl is not None
    assert both.itl.ms <= 10.001


def test_aggregated_prefill_steals_step_time(engine: EngineProfile) -> None:
    easy = Targets(ttft_ms=5000, itl_ms=30)
    answer = size_aggregated(engine, LOAD, easy)
    assert answer.itl is not None
    each = LOAD.rate_per_s / answer.replicas
    prefill_share = each * engine.prefill.ttft_ms(3000).value_ms / 1000
    in_flight = each * LOAD.osl * answer.itl.ms / 1000
    step_ms = engine.decode.itl_ms(in_flight + 1, LOAD.context_tokens).value_ms
    assert answer.itl.ms == pytest.approx(step_ms / (1 - prefill_share), rel=0.02)


def test_aggregated_says_which_target_binds(engine: EngineProfile) -> None:
    assert size_aggregated(engine, LOAD, replace(SLA, itl_ms=500)).binding is Binding.TTFT
    assert size_aggregated(engine, LOAD, replace(SLA, ttft_ms=9000)).binding is Binding.ITL


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rate_per_s": -1.0}, "rate_per_s is -1.0"),
        ({"isl": float("nan")}, "isl is nan"),
        ({"isl_quantiles": ()}, "isl_quantiles is empty"),
        ({"isl_quantiles": ((0.5, 100.0), (1.2, 200.0))}, r"isl_quantiles\[1\] is"),
        ({"isl_quantiles": ((0.5, 300.0), (0.9, 200.0))}, "must ascend"),
    ],
)
def test_a_workload_that_means_nothing_is_refused(change: dict[str, float], says: str) -> None:
    with pytest.raises(WorkloadError, match=says):
        replace(LOAD, **change)


@pytest.mark.parametrize("name", ["ttft_ms", "itl_ms"])
def test_a_target_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(WorkloadError, match=f"{name} is 0"):
        replace(SLA, **{name: 0})


ENGINE = Fingerprint(image="vllm:1.0.2", gpus=2)


def marked(source: Source) -> tuple[PrefillData, DecodeData]:
    prefill, decode = reference_data()
    last = (Source.MEASURED,) * (len(prefill.isl) - 1) + (source,)
    return (
        replace(prefill, provenance=Provenance(fingerprint=ENGINE, sources=last)),
        replace(
            decode,
            max_num_seqs=512,
            provenance=Provenance(sources=(Source.MEASURED,) * len(decode.itl_ms)),
        ),
    )


@pytest.mark.parametrize("source", Source)
def test_provenance_reaches_the_answer_through_npz(source: Source) -> None:
    prefill, decode = marked(source)
    prefill = npz.read_prefill(npz.write_prefill(prefill))
    decode = npz.read_decode(npz.write_decode(decode))
    assert (prefill, decode) == marked(source)
    profile = EngineProfile.of(prefill, decode)
    assert profile.prefill.provenance.fingerprint == ENGINE
    assert profile.max_num_seqs == 512
    assert size_prefill(profile, LOAD, SLA).source is source
    assert size_decode(profile, LOAD, SLA).source is Source.MEASURED
    assert size_aggregated(profile, LOAD, SLA).source is source


def test_upstreams_files_have_no_provenance(engine: EngineProfile) -> None:
    assert size_prefill(engine, LOAD, SLA).source is None


def over(ranks: int, engine: EngineProfile) -> EngineProfile:
    return replace(engine, prefill=replace(engine.prefill, ranks=ranks))


@pytest.mark.parametrize("rate_per_s", [5.0, 45.0, 200.0])
def test_an_engine_of_eight_ranks_prefills_as_eight_engines_of_one(
    engine: EngineProfile, rate_per_s: float
) -> None:
    load = replace(LOAD, rate_per_s=rate_per_s)
    spread = size_prefill(over(8, engine), load, SLA)
    assert 8 * spread.replicas_exact == pytest.approx(
        size_prefill(engine, load, SLA).replicas_exact
    )


def test_prompts_of_one_rank_stop_no_tokens_of_the_others(engine: EngineProfile) -> None:
    spread = size_aggregated(over(8, engine), LOAD, SLA)
    assert spread.replicas_exact < size_aggregated(engine, LOAD, SLA).replicas_exact
    assert spread.replicas_exact > size_decode(engine, LOAD, SLA).replicas_exact


LONG_ANSWERS = ((0.0, 50.0), (0.5, 150.0), (0.9, 600.0), (1.0, 4000.0))


def test_the_context_is_that_of_the_requests_that_are_met_in_a_batch() -> None:
    """Draw requests, weigh each by its steps, and stop at any of them."""
    load = replace(LOAD, isl_quantiles=LONG_TAIL, osl_quantiles=LONG_ANSWERS)
    prompts, answers = load.prompts(), load.answers()
    rng = np.random.default_rng(5)
    steps = answers.shares * answers.osl
    osl = rng.choice(answers.osl, 200_000, p=steps / steps.sum())
    isl = rng.choice(prompts.isl, osl.size, p=prompts.shares / prompts.shares.sum())
    context = isl + rng.random(osl.size) * osl
    assert load.context_tokens == pytest.approx(context.mean(), rel=0.01)
    assert load.context_cv2 == pytest.approx(context.var() / context.mean() ** 2, rel=0.02)


def test_unequal_answers_need_more_decode_than_their_mean_says(engine: EngineProfile) -> None:
    equal = replace(LOAD, rate_per_s=30.0, isl=900, osl=1800)
    unequal = replace(equal, osl_quantiles=LONG_ANSWERS)
    sla = replace(SLA, itl_ms=12)
    assert unequal.answers().shares @ unequal.answers().osl == pytest.approx(1800)
    told, before = size_decode(engine, unequal, sla), size_decode(engine, equal, sla)
    assert told.replicas_exact > 1.05 * before.replicas_exact


def test_answers_that_do_not_fit_into_the_cache_count(engine: EngineProfile) -> None:
    small = replace(engine, max_kv_tokens=6000)
    load = replace(LOAD, isl=3000, osl=1800)
    assert size_decode(small, load, SLA).fits
    assert not size_decode(small, replace(load, osl_quantiles=LONG_ANSWERS), SLA).fits


HOPELESS_TAIL = ((0.0, 500.0), (0.965, 3000.0), (0.965, 40_000.0), (1.0, 40_000.0))


def test_prompts_that_are_late_alone_are_taken_out_of_the_promise(engine: EngineProfile) -> None:
    """Three of a hundred miss the target whatever is done: the others need no more for that."""
    load = replace(LOAD, rate_per_s=10, isl=3000, isl_quantiles=HOPELESS_TAIL)
    told = size_prefill(engine, load, replace(SLA, ttft_ms=600))
    easy = size_prefill(engine, load, replace(SLA, ttft_ms=600, percentile=Percentile.P90))
    assert told.late_alone == pytest.approx(0.035, abs=0.002)
    assert told.reachable
    assert told.replicas_exact < 1.7 * easy.replicas_exact
