import pytest

from dgdr_planner.observe.queries import (
    FRONTEND_SAMPLES,
    METRICS,
    Duration,
    Name,
    Template,
    buckets,
    frontend_samples,
    past_load,
    window_s,
)


def test_parameters_are_declared() -> None:
    assert FRONTEND_SAMPLES.parameters == {"metrics", "namespaces", "window"}
    with pytest.raises(TypeError, match="takes"):
        FRONTEND_SAMPLES.render(metrics=["a"], window=Duration(20))


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
        (Duration(0.5), "500ms"),
        (0.7, "0.7"),
        (Name("up"), "up"),
        ((Name("a"), Name("b")), "a,b"),
    ],
)
def test_values_cannot_leave_their_quotes(value: str, text: str) -> None:
    assert Template("one", 'up{{x="{value}"}}').render(value=value) == f'up{{x="{text}"}}'


@pytest.mark.parametrize("text", ["", "a b", 'a{x="1"}', "a-b", "1a"])
def test_what_is_no_name_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        Name(text)


def test_one_query_asks_for_all_buckets() -> None:
    query = buckets([], 60)
    assert query.count("_bucket{") == 4
    assert query.count('namespace=~".*",dynamo_namespace!=""}[60000ms]') == 4
    assert query.count("sum by (namespace,dynamo_namespace,le)") == 4


def test_a_history_is_of_one_deployment_only() -> None:
    query = past_load("team", ["team-q", "team_q"], 60, 5)
    assert query.count('namespace="team",dynamo_namespace=~') == query.count("[60000ms]")
    assert ">= 8)" in query


@pytest.mark.parametrize(
    ("interval", "scrape", "window"), [(15, 5, 20), (60, 5, 60), (60, 30, 120), (180, 5, 180)]
)
def test_a_window_holds_four_scrapes(interval: float, scrape: float, window: float) -> None:
    assert window_s(interval, scrape) == window
