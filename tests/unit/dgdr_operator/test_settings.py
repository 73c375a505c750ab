from pathlib import Path

import pytest

from dgdr_operator.settings import SettingsError, load, parse


def test_the_charts_file_is_read() -> None:
    settings = parse(
        """
        mode: Standalone
        namespaces: [a]
        images: {profiler: p, dynamoMocker: m, pullPolicy: Always, pullSecrets: [s]}
        dataPlane: {discovery: kubernetes, requestPlane: tcp, eventPlane: zmq, natsUrl: "",
                    etcdEndpoints: "", modelExpressUrl: "", preStopSeconds: 7}
        prometheus: {url: "http://p:9090"}
        profiling: {clusterRole: c}
        health: {port: 8081}
        """
    )
    assert settings.images.pull_secrets == ("s",)
    assert settings.data_plane.pre_stop_seconds == 7
    assert settings.health.port == 8081


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("images: {}", ["images.profiler", "Field required"], id="missing"),
        pytest.param("images: {profiler: p}\nmood: x", ["mood", "'x'"], id="unknown"),
        pytest.param(
            "images: {profiler: p}\nmode: beside", ["mode", "'beside'"], id="no such mode"
        ),
        pytest.param(
            "images: {profiler: p}\nprofiling: {nodeClusterRole: n}",
            ["profiling.nodeClusterRole", "'n'"],
            id="a setting without effect",
        ),
        pytest.param("images: [", ["not YAML"], id="no YAML"),
    ],
)
def test_what_is_wrong_is_named(text: str, words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text)
    assert all(word in str(caught.value) for word in words)


def test_a_missing_file_says_which_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGDR_CONFIG", "/no/such/file")
    with pytest.raises(SettingsError, match=r"/no/such/file.*set DGDR_CONFIG"):
        load()


def test_the_environment_names_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("images: {profiler: p}")
    monkeypatch.setenv("DGDR_CONFIG", str(path))
    assert load().images.profiler == "p"
