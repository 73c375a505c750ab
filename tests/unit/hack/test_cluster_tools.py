"""Which binaries are built, how they are stamped and when they are built again."""

from dataclasses import replace
from pathlib import Path

import pytest

from hack.cluster import tools
from hack.cluster.errors import ClusterError
from hack.cluster.paths import TOOLS_SOURCE

GO_MOD = """module example.test/tools

require (
\tgithub.com/other/kubernetes v9.9.9 // indirect
\thelm.sh/helm/v3 v3.19.5 // indirect
\tk8s.io/kubernetes v1.34.4 // indirect
)
"""


@pytest.mark.parametrize(
    ("package", "name"),
    [
        pytest.param("k8s.io/kubernetes/cmd/kubelet", "kubelet", id="the last folder"),
        pytest.param("go.etcd.io/etcd/server/v3", "etcd", id="version dropped and renamed"),
        pytest.param("sigs.k8s.io/kind", "kind", id="a module's root"),
    ],
)
def test_a_binary_bears_the_name_that_we_call(package: str, name: str) -> None:
    assert tools.binary_name(package) == name


def test_the_stamp_follows_the_pin() -> None:
    flags = tools.link_flags(GO_MOD)
    assert "-X k8s.io/component-base/version.gitVersion=v1.34.4" in flags
    assert "-X k8s.io/client-go/pkg/version.gitMinor=34" in flags
    assert flags.endswith("helm.sh/helm/v3/internal/version.version=v3.19.5")


def test_other_modules_are_only_stripped() -> None:
    assert tools.link_flags("module example.test/kwok\n") == "-s -w"


def test_a_missing_pin_is_named() -> None:
    with pytest.raises(ClusterError, match=r"no version of helm\.sh/helm/v3"):
        tools.pinned_version("module x\n", "helm.sh/helm/v3")


def test_every_module_of_every_set_is_pinned() -> None:
    for binary_set in tools.SETS.values():
        for module in binary_set.modules:
            assert (TOOLS_SOURCE / module.folder / "go.mod").is_file()
            assert (TOOLS_SOURCE / module.folder / "go.sum").is_file()


def test_only_the_light_set_pretends_nodes() -> None:
    assert set(tools.LIGHT.binaries) - set(tools.FULL.binaries) == {"kwok"}


class TestKey:
    """The cache's key: everything that determines the binaries, and nothing else."""

    def source(self, tmp_path: Path) -> Path:
        (tmp_path / "prometheus").mkdir()
        (tmp_path / "prometheus/go.mod").write_text("module x\n")
        (tmp_path / "prometheus/go.sum").write_text("sum\n")
        return tmp_path

    def test_repeats(self, tmp_path: Path) -> None:
        source = self.source(tmp_path)
        keys = {tools.set_key(tools.PROMETHEUS, "go1.26", source) for _ in range(2)}
        assert len(keys) == 1

    @pytest.mark.parametrize("file", ["go.mod", "go.sum", "main.go"])
    def test_changes_with_a_source(self, tmp_path: Path, file: str) -> None:
        source = self.source(tmp_path)
        before = tools.set_key(tools.PROMETHEUS, "go1.26", source)
        (source / "prometheus" / file).write_text("changed\n")
        assert tools.set_key(tools.PROMETHEUS, "go1.26", source) != before

    def test_changes_with_go_and_with_tags(self, tmp_path: Path) -> None:
        source = self.source(tmp_path)
        untagged = replace(
            tools.PROMETHEUS, modules=(replace(tools.PROMETHEUS.modules[0], tags=""),)
        )
        keys = {
            tools.set_key(tools.PROMETHEUS, "go1.26", source),
            tools.set_key(tools.PROMETHEUS, "go1.27", source),
            tools.set_key(untagged, "go1.26", source),
        }
        assert len(keys) == 3

    def test_ignores_other_files(self, tmp_path: Path) -> None:
        source = self.source(tmp_path)
        before = tools.set_key(tools.PROMETHEUS, "go1.26", source)
        (source / "prometheus/README.md").write_text("words\n")
        assert tools.set_key(tools.PROMETHEUS, "go1.26", source) == before

    def test_parts_do_not_run_together(self) -> None:
        assert tools.content_key([b"ab", b"c"]) != tools.content_key([b"a", b"bc"])
