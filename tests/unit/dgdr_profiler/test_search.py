import pytest

from dgdr_profiler.core.candidate import Candidate, Infeasible
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.prior import by_promise
from dgdr_profiler.core.search import SearchLimits, search


def sizes(limits: SearchLimits) -> list[int]:
    return [c.tensor_parallel for c in search(limits).candidates]


@pytest.mark.parametrize(
    ("limits", "tried"),
    [
        pytest.param(SearchLimits(gpus_per_node=8), [1, 2, 4, 8], id="a whole node"),
        pytest.param(SearchLimits(), [1, 2, 4], id="nothing known"),
        pytest.param(SearchLimits(gpus_per_node=8, max_engine_gpus=4), [1, 2, 4], id="policy"),
        pytest.param(SearchLimits(gpus_per_node=8, min_engine_gpus=3), [4, 8], id="odd minimum"),
        pytest.param(SearchLimits(gpus_per_node=6), [1, 2, 4], id="odd node"),
        pytest.param(SearchLimits(gpus_per_node=8, gpus_at_once=8), [1, 2, 4], id="pair in budget"),
    ],
)
def test_powers_of_two_between_the_limits(limits: SearchLimits, tried: list[int]) -> None:
    assert sizes(limits) == tried


def test_what_does_not_fit_is_kept_with_its_reason() -> None:
    space = search(SearchLimits(max_engine_gpus=16, gpus_per_node=8, gpus_at_once=8))
    assert {e.candidate.label: e.reason for e in space.infeasible} == {
        "TP=8": "a prefill and a decode engine need 16 GPUs, but only 8 may be held at once",
        "TP=16": "an engine of 16 GPUs does not fit on a node of 8",
    }


def test_no_candidate_is_larger_than_the_budget() -> None:
    for budget in range(2, 40):
        space = search(SearchLimits(gpus_per_node=16, gpus_at_once=budget))
        assert all(c.gpus <= budget for c in space.candidates)


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="minGpusPerEngine is 8, but the largest"):
        search(SearchLimits(min_engine_gpus=8, max_engine_gpus=4))


def test_limits_without_a_power_of_two_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="no power of two"):
        search(SearchLimits(min_engine_gpus=5, max_engine_gpus=7))


def test_a_refused_candidate_leaves_the_search_with_its_reason() -> None:
    one, two = (Candidate(tensor_parallel=n) for n in (1, 2))
    entry = Infeasible(candidate=two, reason="no data")
    space = search(SearchLimits(max_engine_gpus=2)).without((entry,))
    assert space.candidates == (one,)
    assert entry in space.infeasible


def test_the_smallest_engine_comes_first() -> None:
    candidates = [Candidate(tensor_parallel=n) for n in (4, 1, 2)]
    assert [c.label for c in by_promise(candidates)] == ["TP=1", "TP=2", "TP=4"]
