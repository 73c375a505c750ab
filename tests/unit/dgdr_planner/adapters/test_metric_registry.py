from prometheus_client import CollectorRegistry, Gauge, generate_latest

from dgdr_planner.adapters.metric_registry import LABELS, Numbers, PlannerMetrics

A, B = ("a-q", "a", "q"), ("b-q", "b", "q")
ABOUT = "dgdr_planner_replicas", "Replicas of a role", (*LABELS, "role")


def page(of: Numbers) -> bytes:
    registry = CollectorRegistry()
    registry.register(of)
    return generate_latest(registry)


def test_numbers_are_shown_as_the_library_shows_its_own() -> None:
    numbers, registry = Numbers(*ABOUT), CollectorRegistry()
    gauge = Gauge(*ABOUT, registry=registry)
    for labels, value in (((*A, "prefill"), 2), ((*A, 'de"code'), 0.25), ((*B, "prefill"), 3.0)):
        numbers.put(labels, value)
        gauge.labels(*labels).set(value)
    assert page(numbers) == generate_latest(registry)
    numbers.put((*A, "prefill"), None)
    gauge.remove(*A, "prefill")
    assert page(numbers) == generate_latest(registry)


def test_a_number_that_was_never_there_may_go() -> None:
    numbers = Numbers(*ABOUT)
    numbers.put((*A, "prefill"), None)
    assert b'"prefill"' not in page(numbers)


def test_a_planner_that_is_gone_leaves_nothing_and_takes_nothing_of_others() -> None:
    registry = CollectorRegistry()
    metrics = PlannerMetrics(registry)
    for labels in (A, B):
        metrics.replicas.put((*labels, "prefill", "ready"), 1)
        metrics.gauges["startup_seconds"].put(labels, 60.0)
        metrics.gpu_hours.labels(*labels).inc()
        metrics.passes.labels(*labels, "kept").inc()
    metrics.forget(A)
    text = generate_latest(registry).decode()
    assert '"a-q"' not in text
    assert text.count('"b-q"') == 5
