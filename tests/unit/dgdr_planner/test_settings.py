import pytest

from dgdr_planner.settings import SettingsError, load, parse


def test_the_operators_file_is_read_for_what_the_planner_needs() -> None:
    settings = parse(
        "mode: Standalone\nnamespaces: [a]\nimages: {profiler: x}\n"
        "prometheus: {url: 'http://p:9090'}\nhealth: {port: 9999}\n"
    )
    assert settings.namespaces == ("a",)
    assert settings.prometheus.url == "http://p:9090"
    assert settings.prometheus.scrape_interval_seconds == 5
    assert settings.health.port == 9999


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prometheus: {scrapeIntervalSeconds: 0}", "prometheus.scrapeIntervalSeconds"),
        ("health: {port: many}", "health.port"),
        ("a: [", "not YAML"),
        ("prometheus: {urL: x}", "prometheus.urL"),
        ("prometheus: {timeoutSeconds: 0}", "prometheus.timeoutSeconds"),
    ],
)
def test_a_wrong_file_is_named_by_its_field(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse(text)


def test_a_missing_file_says_how_to_name_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGDR_CONFIG", "/nowhere/config.yaml")
    with pytest.raises(SettingsError, match="set DGDR_CONFIG"):
        load()


@pytest.mark.parametrize("url", ["p:9090", "http://u:s3cret@p", "http://p?t=s3cret", "http://p#x"])
def test_a_url_holds_no_credentials_and_is_not_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match=r"prometheus\.url: .*credentials belong") as caught:
        parse(f"prometheus: {{url: '{url}'}}")
    assert "s3cret" not in str(caught.value)
