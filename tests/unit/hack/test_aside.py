"""What `hack.aside` writes for each version of cgroups."""

from pathlib import Path

from hack import aside


def test_first_version(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    group = aside._group(tmp_path)
    assert group == tmp_path / "cpu" / "dgdr-aside"
    assert (group / "cpu.shares").read_text() == str(aside.SHARES_V1)


def test_second_version(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory")
    group = aside._group(tmp_path)
    assert group == tmp_path / "dgdr-aside"
    assert (group / "cpu.weight").read_text() == str(aside.WEIGHT_V2)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu"


def test_joins_with_everything_that_it_starts(tmp_path: Path) -> None:
    aside._join(tmp_path)
    assert (tmp_path / "cgroup.procs").read_text().isdigit()
