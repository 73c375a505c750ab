"""What is missing is named by the package that brings it, each once."""

from pathlib import Path

from hack.cluster import packages


def test_programs_and_files_that_are_there_are_not_asked_for(tmp_path: Path) -> None:
    there = tmp_path / "bridge"
    there.touch()
    needed = {
        "sh": "dash",
        str(there): "plugins",
        str(tmp_path / "portmap"): "absent-plugins",
        "no-such-program": "absent-tools",
        "no-such-program-either": "absent-tools",
    }
    assert packages.missing(needed) == ["absent-plugins", "absent-tools"]


def test_the_full_tier_needs_all_that_the_light_one_needs() -> None:
    assert packages.LIGHT.items() < packages.FULL.items()
