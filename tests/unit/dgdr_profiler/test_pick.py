from dataclasses import replace

import pytest

from dgdr_api.points import Point
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.cells import decode_cell, prefill_cell
from dgdr_profiler.core.options import Offer, aggregated_options, decode_options, prefill_options
from dgdr_profiler.core.pick import Selection, pick
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.core.targets import Targets, Workload
from support.profiling import TP1, TP2, TP4, point

ALL = (TP1, TP2, TP4)
NO_LOAD = Workload(isl=2048, osl=96)


def offer() -> Offer:
    return Offer(
        prefill=[o for c in ALL for o in prefill_options(c, prefill_points(c))],
        decode=[o for c in ALL for o in decode_options(c, decode_points(c))],
    )


def prefill_points(candidate: Candidate) -> list[Point]:
    return [point(candidate, prefill_cell(2048))]


def decode_points(candidate: Candidate) -> list[Point]:
    return [point(candidate, decode_cell(2048, 96, n)) for n in (1, 8, 30)]


def picked(targets: Targets, workload: Workload = NO_LOAD, of: Offer | None = None) -> Selection:
    found = pick(of or offer(), workload, targets)
    assert found is not None
    return found


def of(selection: Selection) -> tuple[Candidate, Candidate, int]:
    return (
        selection.prefill.candidate,
        selection.decode.candidate,
        selection.decode.point.concurrency,
    )


@pytest.mark.parametrize(
    ("ttft", "itl", "expected"),
    [
        pytest.param(300, 30, (TP1, TP1, 30), id="small engines do"),
        pytest.param(150, 30, (TP2, TP1, 30), id="roles differ"),
        pytest.param(300, 24, (TP1, TP2, 30), id="slower than the target is out"),
        pytest.param(70, 12, (TP4, TP4, 30), id="only the largest is fast enough"),
    ],
)
def test_the_highest_throughput_per_gpu_within_the_targets_wins(
    ttft: float, itl: float, expected: tuple[Candidate, Candidate, int]
) -> None:
    selection = picked(Targets(osl=96, ttft_ms=ttft, itl_ms=itl))
    assert of(selection) == expected
    assert selection.sla_reachable


def test_latencies_equal_to_the_target_hold() -> None:
    exact = picked(Targets(osl=96, ttft_ms=1e9, itl_ms=1e9))
    targets = Targets(osl=96, ttft_ms=exact.prefill.ttft_ms, itl_ms=exact.decode.itl_ms)
    assert picked(targets).sla_reachable


def test_a_role_out_of_reach_takes_the_fastest_and_the_other_role_stays_frugal() -> None:
    selection = picked(Targets(osl=96, ttft_ms=1, itl_ms=30))
    assert of(selection) == (TP4, TP1, 30)
    assert not selection.sla_reachable


def test_nothing_within_the_targets_is_said_with_the_nearest_figures() -> None:
    selection = picked(Targets(osl=96, ttft_ms=300, itl_ms=2))
    assert not selection.sla_reachable
    assert selection.reason.startswith(
        "nothing measured holds the targets (TTFT 300 ms, ITL 2 ms); the nearest has TTFT"
    )


def test_a_target_for_the_whole_answer_is_shared_between_the_roles() -> None:
    whole = Targets(osl=96, e2e_ms=2600)
    selection = picked(whole)
    assert whole.hold(selection.prefill.ttft_ms, selection.decode.itl_ms)
    assert selection.decode.point.concurrency == 30


@pytest.mark.parametrize(("total_gpus", "aggregated"), [(8, True), (16, False), (None, False)])
def test_a_pair_that_there_are_no_gpus_for_gives_way_to_what_fits(
    total_gpus: int | None, aggregated: bool
) -> None:
    eight = Mapping.tensor(8)
    prefill, decode = Candidate.of(Shape(prefill=eight)), Candidate.of(Shape(decode=eight))
    worker = Candidate.of(Shape(worker=eight))
    both = Offer(
        prefill=prefill_options(prefill, prefill_points(TP1)),
        decode=decode_options(decode, decode_points(TP1)),
        aggregated=aggregated_options(worker, prefill_points(TP1), decode_points(TP1)),
    )
    loose = Targets(osl=96, ttft_ms=1e6, itl_ms=1e6)
    found = pick(both, NO_LOAD, loose, total_gpus)
    assert found is not None
    assert found.aggregated is aggregated


def test_without_options_nothing_is_picked() -> None:
    assert pick(Offer(), NO_LOAD, Targets(osl=96, ttft_ms=1, itl_ms=1)) is None


def test_points_without_figures_are_no_options() -> None:
    hollow = replace_point(ttft_ms=None, itl_ms=None)
    assert prefill_options(TP1, [hollow]) == ()
    assert decode_options(TP1, [hollow]) == ()


def replace_point(**changes: float | None) -> Point:
    return point(TP1, decode_cell(2048, 96, 8)).model_copy(update=changes)


LOOSE = Targets(osl=96, ttft_ms=300, itl_ms=30)


def slower_by(points: list[Point], factor: float) -> list[Point]:
    return [
        p.model_copy(
            update={
                "itl_ms": (p.itl_ms or 0) * factor,
                "output_tokens_per_s": (p.output_tokens_per_s or 0) / factor,
            }
        )
        for p in points
    ]


def test_a_light_load_gets_the_smallest_engines_that_hold_and_not_the_thriftiest() -> None:
    """TP 4 serves 10 % more for each GPU, but one request a second fills no engine."""
    better = Offer(
        prefill=offer().prefill,
        decode=[
            *decode_options(TP1, slower_by(decode_points(TP1), 1.1 * 4 / 2.56)),
            *decode_options(TP4, decode_points(TP4)),
        ],
    )
    best = max(better.decode, key=lambda option: option.tokens_per_s_per_gpu)
    assert best.candidate == TP4
    light = Workload(isl=2048, osl=96, request_rate_per_s=1)
    loose = replace(LOOSE, itl_ms=60)
    selection = picked(loose, light, better)
    assert (selection.prefill.candidate, selection.decode.candidate) == (TP1, TP1)
    assert selection.reason == (
        "fewest GPUs that hold the targets under 1 requests/s: "
        "1 prefill and 1 decode replicas with 2 GPUs"
    )
    assert picked(loose, NO_LOAD, better).decode.candidate == TP4


def test_targets_that_no_number_of_replicas_holds_are_said_with_the_load() -> None:
    tight = Targets(osl=96, ttft_ms=300, itl_ms=2)
    selection = picked(tight, Workload(isl=2048, osl=96, request_rate_per_s=12))
    assert not selection.sla_reachable
    assert selection.reason.startswith(
        "nothing measured holds the targets (TTFT 300 ms, ITL 2 ms); the nearest has TTFT"
    )
    assert selection.reason.endswith("under 12 requests/s")


def test_a_load_of_requests_in_flight_and_a_whole_answer_are_picked_for_too() -> None:
    whole = Targets(osl=96, e2e_ms=2600)
    selection = picked(whole, Workload(isl=2048, osl=96, concurrency=40))
    assert selection.sla_reachable
    assert whole.hold(selection.prefill.ttft_ms, selection.decode.itl_ms)


def aggregated(candidate: Candidate, slower: float = 1.0) -> Offer:
    decode = slower_by(decode_points(candidate), slower)
    return Offer(aggregated=aggregated_options(candidate, prefill_points(candidate), decode))


def test_an_aggregated_engine_serves_a_light_load_on_the_gpus_of_one() -> None:
    both = replace(offer(), aggregated=aggregated(TP1).aggregated)
    light = Workload(isl=2048, osl=96, request_rate_per_s=0.5)
    selection = picked(Targets(osl=96, ttft_ms=500, itl_ms=60), light, both)
    assert selection.aggregated
    assert selection.prefill.candidate == selection.decode.candidate == TP1
    assert selection.reason.endswith("1 aggregated replica with 1 GPU")


def test_an_aggregated_engine_pays_for_every_prompt_with_its_tokens() -> None:
    """30 in flight: while one answer of 96 tokens is made, 30 prompts of 198 ms are read."""
    slow = Targets(osl=96, ttft_ms=1000, itl_ms=95)
    assert picked(slow, NO_LOAD, aggregated(TP1)).decode.point.concurrency == 30
    assert picked(replace(slow, itl_ms=60), NO_LOAD, aggregated(TP1)).decode.point.concurrency == 8


def test_without_a_load_pairs_and_aggregated_engines_compete_by_the_gpus_of_a_request() -> None:
    loose = Targets(osl=96, ttft_ms=1000, itl_ms=200)
    same = replace(offer(), aggregated=aggregated(TP1, slower=1.01).aggregated)
    assert not picked(loose, NO_LOAD, same).aggregated
    faster = replace(offer(), aggregated=aggregated(TP1, slower=0.99).aggregated)
    assert picked(loose, NO_LOAD, faster).aggregated


def test_prompts_of_an_aggregated_engine_stop_only_the_tokens_of_their_rank() -> None:
    decode = decode_points(TP1)[-1]
    one, eight = (
        aggregated_options(TP1, [point(TP1, prefill_cell(2048, ranks))], [decode])[0]
        for ranks in (1, 8)
    )
    stopped_ms = [o.itl_ms(96) - o.decode.itl_ms for o in (one, eight)]
    assert stopped_ms[0] == pytest.approx(8 * stopped_ms[1])
