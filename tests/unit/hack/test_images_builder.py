"""What has not changed is not built again; what has is built exactly once."""

import importlib.util
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

from hack.images import builder
from hack.images.errors import ImageError

ROOT = Path(__file__).resolve().parents[3]


@dataclass
class FakeEngine:
    """Writes the context's file names as the archive."""

    base_identity: str = "fake"
    built: list[str] = field(default_factory=list)

    def build(self, target: str, context: Path, reference: str, output: Path) -> None:
        self.built.append(reference)
        names = sorted(p.relative_to(context).as_posix() for p in context.rglob("*.py"))
        output.write_text("\n".join(names))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "operator").mkdir()
    (tmp_path / "operator/a.py").write_text("1")
    (tmp_path / "Dockerfile").write_text("FROM x AS operator\nCOPY operator operator\n")
    return tmp_path


def test_a_release_in_a_targets_name_is_in_its_tag() -> None:
    assert builder.reference_of("dynamo-mocker-1.0") == "registry.test/dgdr/dynamo-mocker:1.0-dev"
    assert builder.reference_of("dynamo-mocker") == "registry.test/dgdr/dynamo-mocker:dev"


def test_an_unchanged_image_is_built_once(repository: Path) -> None:
    engine = FakeEngine()
    first = builder.build("operator", engine, repository)
    assert builder.build("operator", engine, repository) == first
    assert engine.built == ["registry.test/dgdr/operator:dev"]
    assert first.read_text() == "operator/a.py"


def test_a_changed_source_makes_a_new_archive(repository: Path) -> None:
    engine = FakeEngine()
    first = builder.build("operator", engine, repository)
    (repository / "operator/b.py").write_text("2")
    assert not builder.inspect("operator", engine, repository).is_built
    assert builder.build("operator", engine, repository) != first
    assert len(engine.built) == 2


def test_only_the_last_two_archives_stay(repository: Path) -> None:
    made = []
    for version in range(3):
        (repository / "operator/a.py").write_text(str(version))
        made.append(builder.build("operator", FakeEngine(), repository))
        os.utime(made[-1], (version + 1, version + 1))
    builder.build("operator", FakeEngine(), repository)
    assert [path.exists() for path in made] == [False, True, True]


def test_a_failed_build_leaves_nothing(repository: Path) -> None:
    class Broken(FakeEngine):
        def build(self, target: str, context: Path, reference: str, output: Path) -> None:
            output.write_text("half")
            raise ImageError("no space")

    with pytest.raises(ImageError, match="no space"):
        builder.build("operator", Broken(), repository)
    assert [p.name for p in builder.cache_folder().iterdir()] == ["lock"]


def test_what_a_killed_build_left_is_removed(repository: Path) -> None:
    (builder.cache_folder() / ".building-x/context").mkdir(parents=True)
    archive = builder.build("operator", FakeEngine(), repository)
    assert {p.name for p in builder.cache_folder().iterdir()} == {"lock", archive.name}


def test_what_takes_gigabytes_is_built_only_when_it_is_named() -> None:
    assert "dynamo-vllm-cpu" in builder.OPTIONAL_TARGETS
    assert not set(builder.OPTIONAL_TARGETS) & set(builder.TARGETS)


def test_an_unknown_target_is_refused(repository: Path) -> None:
    with pytest.raises(ImageError, match="no target 'web'; there are operator, profiler"):
        builder.inspect("web", FakeEngine(), repository)


@pytest.mark.parametrize(
    ("request_plane", "event_plane", "nats"),
    [
        pytest.param("tcp", "zmq", False, id="no plane on NATS"),
        pytest.param("nats", "zmq", True, id="requests on NATS"),
        pytest.param("tcp", "nats", True, id="events on NATS"),
        pytest.param("tcp", None, True, id="events by default on NATS"),
    ],
)
def test_the_mocker_asks_for_nats_only_when_a_plane_uses_it(
    monkeypatch: pytest.MonkeyPatch, request_plane: str, event_plane: str | None, nats: bool
) -> None:
    launcher = load_launcher(monkeypatch)
    monkeypatch.delenv("DYN_EVENT_PLANE", raising=False)
    if event_plane:
        monkeypatch.setenv("DYN_EVENT_PLANE", event_plane)
    assert launcher.make_runtime("loop", "kubernetes", request_plane)[-1] is nats


def load_launcher(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import the launcher where Dynamo is not installed."""
    fakes = {name: ModuleType(name) for name in ("dynamo", "dynamo.mocker", "dynamo.runtime")}
    fakes["dynamo.mocker.main"] = ModuleType("dynamo.mocker.main")
    fakes["dynamo.mocker"].main = fakes["dynamo.mocker.main"]  # type: ignore[attr-defined]
    fakes["dynamo.runtime"].DistributedRuntime = lambda *given: given  # type: ignore[attr-defined]
    for name, module in fakes.items():
        monkeypatch.setitem(sys.modules, name, module)
    path = ROOT / "hack/images/content/mocker.py"
    spec = importlib.util.spec_from_file_location("mocker_launcher", path)
    assert spec is not None
    assert spec.loader is not None
    launcher = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(launcher)
    return launcher
