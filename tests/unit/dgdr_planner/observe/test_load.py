"""Load from raw samples: what increase() gets wrong, and value, idle and unknown."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_planner.observe import queries
from dgdr_planner.observe.histogram import Histogram
from dgdr_planner.observe.load import measure
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.snapshot import GraphKey, NoSnapshot, graph_key, read
from dgdr_planner.observe.value import Idle, Unknown, Value, number
from support.planning import (
    DYNAMO_NAMESPACE,
    MODEL,
    NAMESPACE,
    frontend,
    series,
)

GRAPH = GraphKey(NAMESPACE, DYNAMO_NAMESPACE)
NOW_S = 1000.0
WINDOW_S = 20.0
# Scrapes of the last 20 seconds, 5 seconds apart, the last one 2 seconds ago.
SCRAPES = (983.0, 988.0, 993.0, 998.0)


def measured(
    entries: Sequence[dict[str, Any]],
    *,
    at_s: float = NOW_S,
    model: str | None = MODEL,
    frontends: int | None = None,
) -> LoadSeen:
    snapshot = read(entries, at_s=at_s, window_s=WINDOW_S)
    return measure(snapshot, GRAPH, WINDOW_S, model, frontends)


def reason(load: LoadSeen) -> str:
    assert isinstance(load.rate_per_s, Unknown)
    return load.rate_per_s.reason


def test_steady_load_is_read_as_it_is() -> None:
    load = measured(frontend(SCRAPES, rate_per_s=9.4))
    assert number(load.rate_per_s) == pytest.approx(9.4)
    assert number(load.isl) == pytest.approx(2048)
    assert number(load.osl) == pytest.approx(128)
    assert number(load.ttft_ms) == pytest.approx(250)
    assert number(load.itl_ms) == pytest.approx(19)
    assert number(load.duration_s) == pytest.approx(3)
    assert load.frontends == 1


def test_means_weigh_requests_not_frontends() -> None:
    busy = frontend(SCRAPES, rate_per_s=33, isl=100, pod="a")
    quiet = frontend(SCRAPES, rate_per_s=1 / 3, isl=10_000, pod="b")
    load = measured(busy + quiet)
    assert number(load.isl) == pytest.approx(199)
    assert number(load.rate_per_s) == pytest.approx(33 + 1 / 3)


def test_an_idle_frontend_does_not_hide_a_busy_one() -> None:
    load = measured(frontend(SCRAPES, rate_per_s=8, pod="a") + frontend(SCRAPES, pod="b"))
    assert number(load.rate_per_s) == pytest.approx(8)
    assert number(load.ttft_ms) == pytest.approx(250)


def test_fresh_zeros_are_idle() -> None:
    load = measured(frontend(SCRAPES))
    assert load.rate_per_s == Idle()
    assert load.isl == Idle()


def test_a_frontend_that_never_served_is_idle_once_its_model_is_there() -> None:
    alive = [series(queries.ALIVE, lambda _: 0.0, times_s=SCRAPES)]
    assert reason(measured(alive)) == "NoModel"
    known = series(queries.MODEL_KNOWN, lambda _: 4096.0, times_s=SCRAPES, model="Model")
    assert measured([*alive, known]).rate_per_s == Idle()


def test_requests_in_flight_are_not_idle() -> None:
    load = measured(frontend(SCRAPES, in_flight=lambda _: 3.0))
    assert load.rate_per_s == Value(0.0)
    assert isinstance(load.isl, Unknown)


def test_offered_load_counts_what_has_not_finished() -> None:
    growing = frontend(SCRAPES, rate_per_s=2, in_flight=lambda time: 7 * (time - SCRAPES[0]))
    assert number(measured(growing).rate_per_s) == pytest.approx(9)


def test_draining_load_is_not_offered_load() -> None:
    ending = frontend(SCRAPES, rate_per_s=4, in_flight=lambda time: 4 * (SCRAPES[-1] - time))
    assert measured(ending).rate_per_s == Value(0.0)


def test_started_requests_are_preferred_where_they_are_counted() -> None:
    entries = frontend(SCRAPES, rate_per_s=2)
    started = series(queries.STARTED, lambda time: 5 * time, times_s=SCRAPES, model=MODEL)
    assert number(measured([*entries, started]).rate_per_s) == pytest.approx(5)


def test_the_first_requests_of_all_count() -> None:
    alive = [
        series(queries.ALIVE, lambda _: 0.0, times_s=SCRAPES),
        series(queries.MODEL_KNOWN, lambda _: 4096.0, times_s=SCRAPES, model=MODEL),
    ]
    # The counter appears at the third scrape with what the first requests made it.
    first = series(queries.COMPLETED, {993.0: 30.0, 998.0: 60.0}, times_s=SCRAPES, model=MODEL)
    assert number(measured([*alive, first]).rate_per_s) == pytest.approx(60 / 15)


def test_a_counter_of_a_pod_that_is_new_does_not_count_from_zero() -> None:
    old = frontend(SCRAPES, rate_per_s=5, pod="a")
    new = frontend(SCRAPES[1:], rate_per_s=2, served_before=1e6, pod="b")
    assert number(measured(old + new).rate_per_s) == pytest.approx(7)


def test_a_restarted_counter_counts_from_zero() -> None:
    entries = [
        series(queries.ALIVE, lambda _: 0.0, times_s=SCRAPES),
        series(
            queries.COMPLETED,
            {983.0: 5000.0, 988.0: 5050.0, 993.0: 40.0, 998.0: 90.0},
            times_s=SCRAPES,
            model=MODEL,
        ),
    ]
    assert number(measured(entries).rate_per_s) == pytest.approx((50 + 40 + 50) / 15)


def test_what_a_pod_did_before_it_went_counts() -> None:
    left = frontend(SCRAPES, rate_per_s=5, pod="a")
    gone = frontend(SCRAPES[:2], rate_per_s=3, pod="b")
    load = measured(left + gone, at_s=1009.0)
    assert number(load.rate_per_s) == pytest.approx(5 + 3 * 5 / 15)
    assert load.frontends == 1


def test_copies_of_a_series_count_once() -> None:
    entries = frontend(SCRAPES, rate_per_s=6)
    copies = [
        {**entry, "metric": entry["metric"] | {"prometheus_replica": "b", "job": "other"}}
        for entry in entries
    ]
    assert number(measured(entries + copies).rate_per_s) == pytest.approx(6)


def test_pods_without_a_pod_label_are_told_apart_by_address() -> None:
    entries = frontend(SCRAPES, rate_per_s=3, pod="a") + frontend(SCRAPES, rate_per_s=4, pod="b")
    for entry in entries:
        del entry["metric"]["pod"]
    assert number(measured(entries).rate_per_s) == pytest.approx(7)


@pytest.mark.parametrize("bad", ["NaN", "+Inf", "-Inf", "-5"])
def test_samples_that_are_no_numbers_do_not_count(bad: str) -> None:
    entries = frontend(SCRAPES, rate_per_s=6)
    for entry in entries:
        entry["values"][0][1] = bad
    load = measured(entries)
    assert number(load.rate_per_s) == pytest.approx(6)
    assert number(load.isl) == pytest.approx(2048)


@pytest.mark.parametrize("bad", ["NaN", "+Inf", "-5", "1e300"])
def test_the_time_before_a_counter_was_a_number_is_not_covered(bad: str) -> None:
    entries = frontend(SCRAPES, rate_per_s=6)
    (counter,) = (e for e in entries if e["metric"]["__name__"] == queries.COMPLETED)
    counter["values"][0][1] = bad
    assert number(measured(entries).rate_per_s) == pytest.approx(6)
    counter["values"][1][1] = counter["values"][2][1] = bad
    assert reason(measured(entries)) == "TooFewSamples"


@pytest.mark.parametrize("bad", ["NaN", "+Inf", "-5", "1e300"])
@pytest.mark.parametrize("where", [-1, None], ids=["last", "all"])
def test_a_counter_that_is_no_number_at_the_end_is_unknown(bad: str, where: int | None) -> None:
    entries = frontend(SCRAPES, rate_per_s=6)
    (counter,) = (e for e in entries if e["metric"]["__name__"] == queries.COMPLETED)
    for sample in counter["values"] if where is None else [counter["values"][where]]:
        sample[1] = bad
    assert reason(measured(entries)) == "BadSamples"


def test_a_counter_that_is_no_number_once_in_between_loses_nothing() -> None:
    entries = frontend(SCRAPES, rate_per_s=6)
    for entry in entries:
        entry["values"][1][1] = "NaN"
    assert number(measured(entries).rate_per_s) == pytest.approx(6)


def test_a_length_that_is_no_number_leaves_the_rate() -> None:
    entries = frontend(SCRAPES, rate_per_s=6)
    for entry in entries:
        if entry["metric"]["__name__"] == f"{queries.ISL}_sum":
            entry["values"][-1][1] = "NaN"
    load = measured(entries)
    assert number(load.rate_per_s) == pytest.approx(6)
    assert load.isl == Unknown("BadSamples", f"{queries.ISL} is not a number")


def test_a_jump_that_nobody_can_serve_is_unknown() -> None:
    entries = frontend(SCRAPES, rate_per_s=6)
    (counter,) = (e for e in entries if e["metric"]["__name__"] == queries.COMPLETED)
    counter["values"][2][1] = "1e12"
    assert reason(measured(entries)) == "BadSamples"


@pytest.mark.parametrize("inside", [(0.0, 0.0), (18.0, 18.0), (18.0, 18.3)], ids=str)
@pytest.mark.parametrize("stuck", [True, False], ids=["stuck", "missing"])
def test_requests_that_finish_but_are_not_counted_are_not_silence(
    stuck: bool, inside: tuple[float, float]
) -> None:
    first, later = inside
    entries = [
        entry
        for entry in frontend(
            SCRAPES, rate_per_s=6, in_flight=lambda at_s: first if at_s == SCRAPES[0] else later
        )
        if entry["metric"]["__name__"] != queries.COMPLETED
    ]
    if stuck:
        entries.append(series(queries.COMPLETED, lambda _: 1e15, times_s=SCRAPES, model=MODEL))
    assert reason(measured(entries)) == "BadSamples"


def test_samples_from_the_future_are_unknown() -> None:
    ahead = measured(frontend(tuple(t + 600 for t in SCRAPES), rate_per_s=6))
    assert reason(ahead) == "SamplesAhead"


def test_what_was_inside_a_frontend_that_restarted_had_arrived() -> None:
    inside = {983.0: 50.0, 988.0: 60.0, 993.0: 0.0, 998.0: 5.0}
    ended = {983.0: 5000.0, 988.0: 5040.0, 993.0: 40.0, 998.0: 90.0}
    entries = [
        series(queries.ALIVE, lambda _: 0.0, times_s=SCRAPES),
        series(queries.IN_FLIGHT, inside, times_s=SCRAPES, model=MODEL),
        series(queries.COMPLETED, ended, times_s=SCRAPES, model=MODEL),
    ]
    # 40 ended and 10 more inside; after the restart 90 ended and 5 inside.
    assert number(measured(entries).rate_per_s) == pytest.approx((40 + 10 + 90 + 5) / 15)


def relabelled(entries: list[dict[str, Any]], **labels: str) -> list[dict[str, Any]]:
    """The series as another target attaches its labels: the exporter's own move aside."""

    def own(metric: dict[str, str]) -> dict[str, str]:
        return {f"exported_{key}" if key in labels else key: v for key, v in metric.items()}

    return [{**entry, "metric": own(entry["metric"]) | labels} for entry in entries]


@pytest.mark.parametrize(
    "labels",
    [
        {"job": "podmonitor", "endpoint": "http", "container": "main"},
        {"prometheus_replica": "prometheus-1"},
        {"instance": "10.0.0.9:8000", "region": "somewhere", "team": "x"},
        {"model": "injected", "status": "injected"},
    ],
)
def test_a_pod_that_is_scraped_twice_counts_once_whatever_the_labels(
    labels: dict[str, str],
) -> None:
    once = frontend(SCRAPES, rate_per_s=6)
    for entry in once:
        if entry["metric"]["__name__"] == queries.COMPLETED:
            entry["metric"]["endpoint"] = "chat_completions"
    again = relabelled(frontend(tuple(t - 2.5 for t in SCRAPES), rate_per_s=6), **labels)
    load = measured([*once, *again])
    assert number(load.rate_per_s) == pytest.approx(6)
    assert load.frontends == 1


def test_what_an_exporter_tells_apart_is_added_up() -> None:
    entries = frontend(SCRAPES, rate_per_s=6)
    (counter,) = (e for e in entries if e["metric"]["__name__"] == queries.COMPLETED)
    other = {**counter, "metric": counter["metric"] | {"status": "error", "endpoint": "chat"}}
    assert number(measured([*entries, other]).rate_per_s) == pytest.approx(12)


def test_names_that_others_chose_cannot_forge_a_message() -> None:
    entries = frontend(SCRAPES, dynamo_namespace="a\nReady: all is well" + "x" * 500)
    load = measured(entries)
    assert isinstance(load.rate_per_s, Unknown)
    assert "\n" not in load.rate_per_s.cause
    assert len(load.rate_per_s.cause) < 300


def test_waiting_and_finished_requests_are_told() -> None:
    entries = frontend(SCRAPES, rate_per_s=6, in_flight=lambda _: 12.0)
    assert isinstance(measured(entries).queued, Unknown)
    waiting = series(queries.QUEUED, lambda _: 4.0, times_s=SCRAPES, model=MODEL)
    load = measured([*entries, waiting])
    assert load.queued == Value(4.0)
    assert number(load.completed_per_s) == pytest.approx(6)
    assert load.requests == pytest.approx(90)


def asked(pod: str, tokens_per_s: float, cached: float | None) -> list[dict[str, Any]]:
    """A frontend; ``cached`` is the share of its prompts' tokens that it counts as cached."""
    entries = frontend(SCRAPES, rate_per_s=tokens_per_s / 2048, pod=pod)
    if cached is None:
        return entries
    told = series(
        queries.CACHED,
        lambda time: cached * tokens_per_s * time,
        times_s=SCRAPES,
        model=MODEL,
        pod=pod,
    )
    return [*entries, told]


def test_cached_tokens_are_asked_of_those_that_were_asked_something() -> None:
    """The counter is born with a pod's first request."""
    quiet = asked("quiet", 0.0, None)
    load = measured([*asked("a", 8000.0, 0.5), *asked("b", 4000.0, 0.8), *quiet])
    assert number(load.cached_share) == pytest.approx(0.6)


@pytest.mark.parametrize("tokens_per_s", [0.0, 4000.0])
def test_cached_tokens_that_a_busy_frontend_does_not_count_are_unknown(tokens_per_s: float) -> None:
    load = measured([*asked("a", tokens_per_s, 0.5), *asked("b", 10.0, None)])
    assert isinstance(load.cached_share, Unknown)


def test_percentiles_come_from_buckets() -> None:
    held = Histogram.of([(0.1, 90.0), (0.2, 99.0), (0.4, 100.0), (math.inf, 100.0)])
    lengths = Histogram.of([(1000.0, 50.0), (2000.0, 100.0), (math.inf, 100.0)])
    assert held is not None
    assert lengths is not None
    snapshot = read(
        frontend(SCRAPES, rate_per_s=6, isl=1200),
        at_s=NOW_S,
        window_s=WINDOW_S,
        histograms={GRAPH: {queries.TTFT: held, queries.ISL: lengths}},
    )
    load = measure(snapshot, GRAPH, WINDOW_S, MODEL)
    assert number(load.quantiles["ttft_p90"]) == pytest.approx(100)
    assert number(load.quantiles["ttft_p95"]) == pytest.approx(100 + 100 * 5 / 9)
    assert isinstance(load.quantiles["itl_p95"], Unknown)
    assert load.ttft_histogram_ms is not None
    assert load.ttft_histogram_ms.share_within(200) == pytest.approx(0.99)
    assert load.isl_quantiles == ((0.0, 0.0), (0.5, 1200.0), (1.0, 2400.0))


def test_percentiles_of_an_idle_deployment_are_idle() -> None:
    assert set(measured(frontend(SCRAPES)).quantiles.values()) == {Idle()}


def test_dynamos_two_spellings_of_a_namespace_are_one() -> None:
    load = measured(frontend(SCRAPES, rate_per_s=6, dynamo_namespace="demo_q_dgd"))
    assert number(load.rate_per_s) == pytest.approx(6)


def test_a_label_that_had_to_be_cut_is_recognised() -> None:
    long = "team-with-a-long-name-" + "x" * 40 + "-graph-with-a-long-name"
    entries = frontend(SCRAPES, rate_per_s=6, dynamo_namespace=long[:63])
    snapshot = read(entries, at_s=NOW_S, window_s=WINDOW_S)
    load = measure(snapshot, graph_key(NAMESPACE, long), WINDOW_S, MODEL)
    assert number(load.rate_per_s) == pytest.approx(6)


def test_no_answer_is_unknown() -> None:
    load = measure(NoSnapshot("PrometheusUnreachable", "it is away"), GRAPH, WINDOW_S)
    assert load.rate_per_s == Unknown("PrometheusUnreachable", "it is away")
    assert load.ttft_ms == load.rate_per_s


@pytest.mark.parametrize(
    ("entries", "seen"),
    [
        ([], "namespaces none"),
        (frontend(SCRAPES, namespace="other"), "namespaces other"),
        (frontend(SCRAPES, dynamo_namespace="demo-p-dgd"), "graphs demo-p-dgd"),
    ],
)
def test_another_graphs_series_are_not_silence(entries: list[dict[str, Any]], seen: str) -> None:
    load = measured(entries)
    assert reason(load) == "NoSeries"
    assert isinstance(load.rate_per_s, Unknown)
    assert load.rate_per_s.cause == (
        f"No series for model model in namespace demo (dynamo_namespace demo-q-dgd); seen: {seen}"
    )


def test_silence_of_another_model_is_not_idleness() -> None:
    load = measured(frontend(SCRAPES), model="llama")
    assert load.rate_per_s == Unknown(
        "NoSeries", "No series for model llama in namespace demo; seen: model"
    )


def test_load_of_another_model_of_the_graph_is_load() -> None:
    load = measured(frontend(SCRAPES, rate_per_s=6), model="llama")
    assert number(load.rate_per_s) == pytest.approx(6)


@pytest.mark.parametrize(
    ("times_s", "frontends", "expected"),
    [
        pytest.param((983.0,), None, "StaleSamples", id="the last scrape is long ago"),
        pytest.param((980.5, 980.9), None, "StaleSamples", id="a fast rhythm, long ago"),
        pytest.param((998.0,), None, "TooFewSamples", id="one scrape"),
        pytest.param((993.0, 998.0), None, "TooFewSamples", id="right after an outage"),
        pytest.param(SCRAPES, 2, "FrontendsNotScraped", id="a frontend is missing"),
    ],
)
def test_samples_that_cannot_be_trusted_are_unknown(
    times_s: tuple[float, ...], frontends: int | None, expected: str
) -> None:
    assert reason(measured(frontend(times_s, rate_per_s=6), frontends=frontends)) == expected


def test_a_slow_scrape_is_not_stale() -> None:
    slow = read(frontend((910.0, 940.0, 970.0), rate_per_s=6), at_s=NOW_S, window_s=120)
    load = measure(slow, GRAPH, 120, MODEL)
    assert number(load.rate_per_s) == pytest.approx(6)


def test_one_missed_scrape_changes_nothing() -> None:
    load = measured(frontend((983.0, 988.0, 998.0), rate_per_s=6))
    assert number(load.rate_per_s) == pytest.approx(6)


counts = st.lists(st.floats(0, 1e12), min_size=4, max_size=4)


@given(completed=counts, inside=counts, sums=counts)
def test_any_samples_give_finite_numbers_from_zero(
    completed: list[float], inside: list[float], sums: list[float]
) -> None:
    def over(values: list[float]) -> dict[float, float]:
        return dict(zip(SCRAPES, values, strict=True))

    load = measured(
        [
            series(queries.ALIVE, lambda _: 0.0, times_s=SCRAPES),
            series(queries.COMPLETED, over(completed), times_s=SCRAPES, model=MODEL),
            series(queries.IN_FLIGHT, over(inside), times_s=SCRAPES, model=MODEL),
            series(f"{queries.ISL}_sum", over(sums), times_s=SCRAPES, model=MODEL),
            series(f"{queries.ISL}_count", over(completed), times_s=SCRAPES, model=MODEL),
        ]
    )
    for metric in (load.rate_per_s, load.isl):
        if isinstance(metric, Value):
            assert math.isfinite(metric.number)
            assert metric.number >= 0
