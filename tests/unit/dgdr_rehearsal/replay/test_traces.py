import json
from collections.abc import Callable

import numpy as np
import pytest

from dgdr_perf.simulator.arrivals import Requests
from dgdr_rehearsal.replay.ranges import Range, read_range, requests_of_rate
from dgdr_rehearsal.replay.traces import (
    TraceError,
    multiplied,
    read_azure,
    read_mooncake,
    read_trace,
)

MOONCAKE = [
    '{"timestamp": 3000, "input_length": 6758, "output_length": 500, "hash_ids": [0]}',
    "",
    '{"timestamp": 1000, "input_length": 0, "output_length": 0}',
]
AZURE = [
    "TIMESTAMP,ContextTokens,GeneratedTokens",
    "2023-11-16 18:17:03.9799600,4808,10",
    "2023-11-16 18:18:04.0319600,3180,8",
]


def test_mooncake_times_count_from_the_first_request_in_seconds() -> None:
    requests = read_mooncake(MOONCAKE)
    assert requests.arrival_s.tolist() == [0.0, 2.0]
    assert requests.isl.tolist() == [1.0, 6758.0]
    assert requests.osl.tolist() == [1.0, 500.0]


def test_azure_times_keep_their_fractions_of_a_second() -> None:
    requests = read_azure(AZURE)
    assert requests.arrival_s.tolist() == pytest.approx([0.0, 60.052])
    assert requests.isl.tolist() == [4808.0, 3180.0]


def test_a_trace_is_read_by_its_ending() -> None:
    assert len(read_trace("a.csv", AZURE)) == len(read_trace("b.jsonl", MOONCAKE)) == 2
    with pytest.raises(TraceError, match=r"x\.txt: ends neither in \.jsonl .* rename it"):
        read_trace("x.txt", MOONCAKE)


@pytest.mark.parametrize(
    ("read", "lines", "message"),
    [
        (read_mooncake, [MOONCAKE[0], "{"], r"line 2: '\{' is no JSON"),
        (read_mooncake, ["[1]"], "line 1: .* is no object"),
        (
            read_mooncake,
            ['{"timestamp": 1, "input_length": "x", "output_length": 1}'],
            "line 1: input_length is 'x'; it must be a number",
        ),
        (
            read_mooncake,
            ['{"timestamp": -5, "input_length": 1, "output_length": 1}'],
            "line 1: timestamp is -5",
        ),
        (
            read_mooncake,
            ['{"timestamp": 5, "input_length": 1}'],
            "line 1: output_length is None",
        ),
        (read_mooncake, [], "no request in it"),
        (read_azure, ["TIMESTAMP,ContextTokens", "x,1"], "line 1: no column GeneratedTokens"),
        (read_azure, [AZURE[0], "yesterday,1,1"], "line 2: TIMESTAMP is 'yesterday'; write it as"),
        (read_azure, [*AZURE, "2023-11-16 18:17:03,nan,1"], "line 4: ContextTokens is 'nan'"),
        (read_azure, [], "line 1: no column TIMESTAMP"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(
    read: Callable[[list[str]], Requests], lines: list[str], message: str
) -> None:
    with pytest.raises(TraceError, match=message):
        read(lines)


def matrix(*series: list[tuple[float, str]]) -> str:
    result = [{"metric": {"pod": str(n)}, "values": values} for n, values in enumerate(series)]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}})


def test_series_of_a_range_are_added_and_gaps_stay_unknown() -> None:
    found = read_range(
        matrix([(100, "1"), (160, "2"), (280, "NaN"), (340, "4")], [(160, "0.5"), (340, "1")])
    )
    assert found.at_s.tolist() == [100, 160, 220, 280, 340]
    np.testing.assert_array_equal(found.values, [1, 2.5, np.nan, np.nan, 5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1: "),
        ('{"data": {"resultType": "vector", "result": []}}', "resultType is 'vector'"),
        ("[]", "resultType is 'list'"),
        (matrix([(1, "1")]), "holds 1 moments"),
        ('{"resultType": "matrix", "result": [{"value": [1, "2"]}]}', "series 0 has no list of"),
    ],
)
def test_what_is_no_range_is_refused(text: str, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        read_range(text)


def test_requests_of_a_range_have_its_rate_and_its_lengths() -> None:
    at_s = np.arange(60.0, 3660.0, 60.0)
    rate = Range(at_s=at_s, values=np.where(at_s <= 1800, 5.0, np.nan))
    isl = Range(at_s=at_s, values=np.where(at_s <= 900, 1000.0, 2000.0))
    requests = requests_of_rate(rate, isl, 50.0, np.random.default_rng(1))
    assert len(requests) == pytest.approx(5 * 1800, rel=0.05)
    assert requests.arrival_s.max() < 1800
    assert set(requests.isl[requests.arrival_s < 840]) == {1000.0}
    assert set(requests.osl) == {50.0}


def test_a_range_without_any_known_length_is_refused() -> None:
    rate = Range(at_s=np.array([60.0, 120.0]), values=np.array([5.0, 5.0]))
    nothing = Range(at_s=rate.at_s, values=np.full(2, np.nan))
    with pytest.raises(TraceError, match="isl is not known at any moment"):
        requests_of_rate(rate, nothing, 50.0, np.random.default_rng(1))


def test_each_window_holds_exactly_as_many_times_its_requests() -> None:
    rng = np.random.default_rng(2)
    requests = Requests.of(rng.uniform(0, 600, 500), rng.integers(1, 99, 500), 7)
    many = multiplied(requests, 20, rng)
    before = np.bincount((requests.arrival_s // 60).astype(int), minlength=10)
    after = np.bincount((many.arrival_s // 60).astype(int), minlength=10)
    np.testing.assert_array_equal(after, 20 * before)
    assert many.isl.sum() == 20 * requests.isl.sum()
    assert many.arrival_s.max() <= requests.arrival_s.max()
    assert set(requests.arrival_s) <= set(many.arrival_s)


@pytest.mark.parametrize(("factor", "count"), [(1.0, 1000), (0.25, 250), (2.5, 2500)])
def test_a_fraction_is_the_chance_of_one_more(factor: float, count: int) -> None:
    requests = Requests.of(np.linspace(0, 600, 1000), 10, 10)
    assert len(multiplied(requests, factor, np.random.default_rng(3))) == pytest.approx(
        count, rel=0.1
    )


def test_the_same_seed_multiplies_alike() -> None:
    requests = Requests.of(np.linspace(0, 600, 100), 10, 10)
    first, second = (multiplied(requests, 3, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.arrival_s, second.arrival_s)


@pytest.mark.parametrize("factor", [0, -1, float("nan"), float("inf")])
def test_a_factor_that_means_nothing_is_refused(factor: float) -> None:
    with pytest.raises(TraceError, match="must be a number above 0"):
        multiplied(Requests.of([0.0, 1.0], 1, 1), factor, np.random.default_rng(1))
