import pytest

from dgdr_planner.core.queries import (
    FRONTEND_SAMPLES,
    METRICS,
    Template,
    frontend_samples,
    window_s,
)


def test_parameters_are_declared() -> None:
    assert FRONTEND_SAMPLES.parameters == {"metrics", "namespaces", "window"}
    with pytest.raises(TypeError, match="takes"):
        FRONTEND_SAMPLES.render(metrics=["a"], window=20)


def test_one_query_asks_for_all_frontends() -> None:
    query = frontend_samples([], 20)
    assert query.startswith('{__name__=~"dynamo_frontend_requests_started_total|')
    assert query.endswith('namespace=~".*",dynamo_namespace!=""}[20000ms]')
    assert all(name in query for name in METRICS)


def test_namespaces_are_listed() -> None:
    assert 'namespace=~"team-a|team-b"' in frontend_samples(["team-a", "team-b"], 20).replace(
        "\\\\-", "-"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('a"}) or up({x="', 'a\\"}) or up({x=\\"'),
        ("back\\slash", "back\\\\slash"),
        ("line\nbreak", "line\\nbreak"),
        (["a.b", "c|d"], "a\\\\.b|c\\\\|d"),
        (0.5, "500ms"),
    ],
)
def test_values_cannot_leave_their_quotes(value: str, text: str) -> None:
    assert Template("one", 'up{{x="{value}"}}').render(value=value) == f'up{{x="{text}"}}'


@pytest.mark.parametrize(
    ("interval", "scrape", "window"), [(15, 5, 20), (60, 5, 60), (60, 30, 120), (180, 5, 180)]
)
def test_a_window_holds_four_scrapes(interval: float, scrape: float, window: float) -> None:
    assert window_s(interval, scrape) == window
