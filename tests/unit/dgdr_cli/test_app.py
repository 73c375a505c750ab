"""The commands: exit codes, and what ends a watch."""

import subprocess
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dgdr_api.models.dgdr_v1beta1 import DynamoGraphDeploymentRequest
from dgdr_cli.__main__ import main
from dgdr_cli.app import app
from dgdr_cli.errors import NotThere
from dgdr_cli.found import Found, Listed


def found(phase: str) -> Found:
    return Found(
        request=DynamoGraphDeploymentRequest.parse(
            {
                "metadata": {"name": "qwen", "namespace": "team"},
                "spec": {"model": "m"},
                "status": {"phase": phase},
            }
        )
    )


@dataclass
class Phases:
    """Answers with one phase after the other; the last one stays."""

    phases: list[str]
    looks: int = 0
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def list_requests(self, namespace: str | None) -> tuple[Listed, ...]:
        self.asked.append(("", namespace))
        return tuple(
            Listed(name=f"q-{number}", status=found(phase).request.status)
            for number, phase in enumerate(self.phases)
        )

    def find(self, name: str, namespace: str | None) -> Found | None:
        self.asked.append((name, namespace))
        if not self.phases:
            return None
        phase = self.phases[min(self.looks, len(self.phases) - 1)]
        self.looks += 1
        return found(phase)


def run(source: Phases, *arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments), obj=source)


@pytest.mark.parametrize(
    ("phase", "code"),
    [("Profiling", 0), ("Deployed", 0), ("Failed", 1)],
)
def test_status_exits_with_an_error_only_for_a_failed_request(phase: str, code: int) -> None:
    ran = run(Phases([phase]), "status", "qwen", "-n", "team")
    assert ran.exit_code == code, ran.output
    assert f"team/qwen  {phase}" in ran.output


def test_what_cannot_be_read_ends_otherwise_than_a_failed_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setattr(sys, "argv", ["kubectl-dgdr", "status", "qwen"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("Error: ")


def test_a_request_that_is_not_there_is_named() -> None:
    ran = run(Phases([]), "status", "qwen", "-n", "team")
    assert isinstance(ran.exception, NotThere)
    assert "no request qwen in namespace team" in str(ran.exception)


def test_a_watch_ends_at_the_phase_that_was_asked_for() -> None:
    source = Phases(["Profiling", "Deploying", "Deployed"])
    ran = run(source, "watch", "qwen", "--until", "deployed", "--interval", "0.5")
    assert (ran.exit_code, source.looks) == (0, 3), ran.output


@pytest.mark.parametrize("until", ["Ready", "Deployed"])
def test_a_watch_ends_at_a_later_phase_too(until: str) -> None:
    source = Phases(["Deployed"])
    ran = run(source, "watch", "qwen", "--until", until)
    assert (ran.exit_code, source.looks) == (0, 1), ran.output


def test_a_watch_waits_for_no_phase_that_there_is_not() -> None:
    source = Phases(["Failed"])
    ran = run(source, "watch", "qwen", "--until", "Deploied")
    assert (ran.exit_code, source.looks) == (2, 0)
    assert "deployed" in ran.output


def test_a_watch_ends_with_an_error_when_the_request_fails() -> None:
    source = Phases(["Failed"])
    ran = run(source, "watch", "qwen", "--until", "Deployed")
    assert (ran.exit_code, source.looks) == (1, 1), ran.output


def test_without_a_namespace_the_one_of_the_context_is_asked() -> None:
    source = Phases(["Ready"])
    run(source, "status", "qwen")
    assert source.asked == [("qwen", None)]


def test_status_without_a_name_lists_all() -> None:
    source = Phases(["Profiling", "Failed"])
    ran = run(source, "status", "-n", "team")
    assert ran.exit_code == 0
    assert [line.split()[:2] for line in ran.output.splitlines()] == [
        ["REQUEST", "PHASE"],
        ["q-0", "Profiling"],
        ["q-1", "Failed"],
    ]


@pytest.mark.parametrize(
    ("arguments", "namespace"),
    [
        (("-n", "team", "status", "q"), "team"),
        (("status", "q", "-n", "team"), "team"),
        (("-n", "team", "status", "q", "-n", "other"), "other"),
    ],
)
def test_a_namespace_may_stand_before_the_command(
    arguments: tuple[str, ...], namespace: str
) -> None:
    source = Phases(["Ready"])
    ran = run(source, *arguments)
    assert source.asked == [("q", namespace)], ran.output


def test_the_version_is_that_of_the_distribution() -> None:
    ran = run(Phases([]), "--version")
    assert (ran.exit_code, ran.output) == (0, f"kubectl-dgdr {version('dgdr-operator')}\n")


def test_a_watch_in_a_pipe_is_whole_lines_and_says_each_change_once() -> None:
    ran = run(
        Phases(["Profiling", "Profiling", "Deployed"]),
        *("watch", "qwen", "--until", "Deployed", "--interval", "0.5"),
    )
    assert ran.output.endswith("\n")
    titles = [line.split()[1] for line in ran.output.splitlines() if line.startswith("team/qwen")]
    assert titles == ["Profiling", "Deployed"]


def test_a_missing_extra_is_named_in_one_line() -> None:
    without_typer = (
        "import sys; sys.modules['typer'] = None; import dgdr_cli.__main__ as m; m.main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", without_typer], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert ran.stderr == "kubectl-dgdr needs typer: pip install 'dgdr-operator[cli]'\n"


def test_commands_that_simulate_nothing_do_not_wait_for_the_compiler() -> None:
    reading = "import sys; import dgdr_cli.planner.questions; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", reading], check=False).returncode == 0
