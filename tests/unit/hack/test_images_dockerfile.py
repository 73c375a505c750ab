"""Each target depends on its own part of the Dockerfile, and every part is pinned and rootless."""

import re
from pathlib import Path

import pytest

from hack.images import dockerfile
from hack.images.builder import OPTIONAL_TARGETS, PROMETHEUS_BINARY, TARGETS
from hack.images.errors import ImageError

ROOT = Path(__file__).resolve().parents[3]
ALL_TARGETS = (*TARGETS, *OPTIONAL_TARGETS)
MOCKERS = ("dynamo-mocker", "dynamo-mocker-1.0")
LOCKS = (
    "dev",
    "operator",
    "profiler",
    "numeric",
    "tools",
    "aiperf",
    "dynamo-vllm-cpu",
    "cuda-stubs",
    *MOCKERS,
)

SMALL = """
ARG BASE=debian   # not a comment line
FROM ${BASE} AS tools
COPY tools.txt /tools.txt

FROM tools AS package
COPY a b \\
     /src/
RUN make \\
    all

FROM ${BASE} AS app
COPY --from=package /src /app

FROM scratch AS other
COPY other.bin /other
"""


@pytest.fixture(scope="module")
def real() -> dockerfile.Dockerfile:
    return dockerfile.parse((ROOT / "Dockerfile").read_text())


def locked(name: str) -> dict[str, set[str]]:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    versions: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE):
        versions.setdefault(package, set()).add(version)
    return versions


def test_a_target_uses_the_stages_it_reaches() -> None:
    parsed = dockerfile.parse(SMALL)
    assert [stage.name for stage in parsed.used_by("app")] == ["tools", "package", "app"]
    assert parsed.sources_of("app") == ("a", "b", "tools.txt")
    assert parsed.sources_of("other") == ("other.bin",)


def test_an_edit_of_another_target_or_of_a_comment_changes_nothing() -> None:
    before = dockerfile.parse(SMALL).text_of("app")
    edited = "# new\n" + SMALL.replace("other.bin", "elsewhere.bin")
    assert dockerfile.parse(edited).text_of("app") == before


def test_an_edit_of_a_stage_below_changes_the_target() -> None:
    before = dockerfile.parse(SMALL).text_of("app")
    assert dockerfile.parse(SMALL.replace("make", "cmake")).text_of("app") != before


def test_an_unknown_target_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(ImageError, match=r"no target 'nope'; it has \['app', 'other'"):
        dockerfile.parse(SMALL).used_by("nope")


@pytest.mark.parametrize("target", ALL_TARGETS)
def test_every_source_of_a_target_is_in_the_repository(
    real: dockerfile.Dockerfile, target: str
) -> None:
    absent = [path for path in real.sources_of(target) if not (ROOT / path).exists()]
    assert absent in ([], [PROMETHEUS_BINARY])


@pytest.mark.parametrize("target", ALL_TARGETS)
def test_a_build_by_hand_sees_every_source(real: dockerfile.Dockerfile, target: str) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    for source in real.sources_of(target):
        parents = {parent.as_posix() for parent in Path(source).parents}
        assert kept & (parents | {source}), source


@pytest.mark.parametrize("target", ALL_TARGETS)
def test_every_target_runs_as_a_number_other_than_root(
    real: dockerfile.Dockerfile, target: str
) -> None:
    users = [
        line.split()[1]
        for line in real.used_by(target)[-1].instructions
        if line.startswith("USER ")
    ]
    assert len(users) == 1
    assert int(users[0].partition(":")[0]) > 0


def test_what_is_copied_between_stages_comes_from_a_stage(real: dockerfile.Dockerfile) -> None:
    names = {stage.name for stage in real.stages}
    for stage in real.stages:
        assert set(stage.needs[1:]) <= names


def test_the_dockerfile_names_no_host() -> None:
    assert not re.search(r"https?://", (ROOT / "Dockerfile").read_text())


@pytest.mark.parametrize("name", LOCKS)
def test_lock_files_hash_every_package_and_name_neither_a_host_nor_ourselves(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert not re.search(r"https?://|file://|^-e|^--", text, re.MULTILINE)
    assert "dgdr-operator" not in locked(name)
    for entry in re.split(r"\n(?=\w)", text)[1:]:
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


@pytest.mark.parametrize("name", ["operator", "profiler"])
def test_programs_run_with_the_versions_that_are_tested(name: str) -> None:
    tested = locked("dev")
    assert {p: v for p, v in locked(name).items() if v != tested.get(p)} == {}


@pytest.mark.parametrize("name", ["operator", "profiler", "aiperf", *MOCKERS])
def test_every_image_takes_the_numeric_packages_from_the_shared_layer(name: str) -> None:
    """Another version would be installed beside it: it works, but 200 MB more are imported."""
    in_image, shared = locked(name), locked("numeric")
    assert {p: v for p, v in in_image.items() if p in shared and v != shared[p]} == {}


def test_rehearsals_of_the_planner_are_in_no_image() -> None:
    recipe = (ROOT / "Dockerfile").read_text()
    install, _, rest = recipe.partition("--target /site /dist/*.whl")
    assert install
    assert rest.index("rm -r /site/dgdr_rehearsal") < rest.index("compileall")
