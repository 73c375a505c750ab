"""The module as a process: lines in, lines out, each at once, and exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dgdr_rehearsal.virtual.__main__ import main
from support.planning import DECODE, PREFILL, sla_planner

WINDOW = {"t_s": 15, "requests": 30, "completed": 30, "isl_mean": 2048, "osl_mean": 128}
REPLICAS = {"prefill": {"ready": 1}, "decode": {"ready": 1}}


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    (tmp_path / "planner.yaml").write_text(yaml.safe_dump(sla_planner()))
    (tmp_path / "prefill_raw_data.json").write_text(PREFILL.to_json())
    (tmp_path / "decode_raw_data.json").write_text(DECODE.to_json())
    return ["--spec", str(tmp_path / "planner.yaml"), "--profile", str(tmp_path)]


def test_each_line_is_answered_before_the_next_is_asked(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "dgdr_rehearsal.virtual", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        answers = []
        for line in (json.dumps(WINDOW | REPLICAS), "nonsense", json.dumps({"t_s": None})):
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline()))
        rest, complaints = process.communicate()
    assert [answer.get("decision_id") for answer in answers] == [1, None, 2]
    assert "not JSON" in answers[1]["error"]
    assert (process.returncode, rest, complaints) == (0, "", "")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (("--spec", "/nowhere.yaml"), "/nowhere.yaml cannot be read"),
        (("--profile", "/nowhere"), "/nowhere has neither"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_code_2(
    arguments: list[str],
    changed: tuple[str, str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*arguments, *changed]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"error: {said}")
    assert told.err.count("\n") == 1


def test_a_shared_budget_needs_a_cluster(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(arguments[1]).write_text(yaml.safe_dump(sla_planner(budget={"ref": "team"})))
    assert main(arguments) == 2
    assert "spec.budget.ref is team" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["8080", ":8080", "host:", "host:x", "host:70000"])
def test_an_address_that_is_none_is_told(
    arguments: list[str], address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--http", address])
    assert ended.value.code == 2
    assert "is no HOST:PORT" in capsys.readouterr().err
