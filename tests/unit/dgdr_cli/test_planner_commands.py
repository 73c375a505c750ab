"""The planner's commands as a user types them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from dgdr_cli.app import app
from dgdr_cli.errors import CliError, NotThere
from support.planner_status import STATUS, FakeSource, found
from support.planning import DECODE, PREFILL, sla_planner

LOAD = ("--rate", "20", "--isl", "2048", "--osl", "128")
TARGETS = ("--ttft-ms", "300", "--itl-ms", "25")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "prefill_raw_data.json").write_text(PREFILL.to_json())
    (tmp_path / "decode_raw_data.json").write_text(DECODE.to_json())
    (tmp_path / "planner.yaml").write_text(yaml.safe_dump(sla_planner()))
    return tmp_path


def run(*arguments: object, source: FakeSource | None = None) -> Any:
    typed = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, typed, obj=source or FakeSource(), env={"COLUMNS": "140"})


def said(ran: Any) -> str:
    assert isinstance(ran.exception, CliError), ran.output
    return str(ran.exception)


def test_a_plan_needs_no_cluster(folder: Path) -> None:
    ran = run("plan", "--profile", folder, *TARGETS, *LOAD)
    assert ran.exit_code == 0, ran.output
    assert "20 requests/s (given), ISL 2048, OSL 128" in ran.output
    assert "GPU-hours a day" in ran.output
    assert "unknown" in ran.output  # nobody said whether the curves were measured


def test_a_plan_takes_targets_and_limits_from_a_manifest(folder: Path) -> None:
    ran = run("plan", "--spec", folder / "planner.yaml", "--profile", folder, *LOAD, "-o", "json")
    told = json.loads(ran.output)
    assert told["targets"] == {"ttft_ms": 300.0, "itl_ms": 25.0, "percentile": "mean"}
    assert set(told["roles"]) == {"prefill", "decode"}
    assert told["roles"]["prefill"]["source"] is None


def test_a_plan_of_a_planner_needs_no_options() -> None:
    ran = run("plan", "q-dgd", "-n", "demo", source=FakeSource(found()))
    assert ran.exit_code == 0, ran.output
    assert "22.5 requests/s (forecast)" in ran.output
    assert "(2 each)" in ran.output


def test_a_plan_of_a_planner_counts_that_requests_were_late() -> None:
    slow = FakeSource(found())
    on_paper = FakeSource(found({**STATUS, "capacity": []}))
    told, without = (
        json.loads(run("plan", "q-dgd", "-o", "json", source=source).output)["roles"]
        for source in (slow, on_paper)
    )
    assert told["prefill"]["correction"] == 1.18
    assert told["prefill"]["needed_exact"] > without["prefill"]["needed_exact"]
    assert told["decode"] == without["decode"]
    assert "1.18 x what the curves say" in run("plan", "q-dgd", source=slow).output


@pytest.mark.parametrize(("length", "role"), [("isl", "prefill"), ("osl", "decode")])
def test_a_plan_of_a_planner_counts_the_spread_of_lengths(length: str, role: str) -> None:
    spread = [{"share": 0, length: 0}, {"share": 0.9, length: 1000}, {"share": 1, length: 30000}]
    seen = {**STATUS["observed"], f"{length}Quantiles": spread}
    told, without = (
        json.loads(run("plan", "q-dgd", "-o", "json", source=FakeSource(one)).output)["roles"]
        for one in (found({**STATUS, "observed": seen}), found())
    )
    assert told[role]["needed_exact"] > without[role]["needed_exact"]


def test_a_plan_that_cannot_meet_its_targets_ends_with_an_error(folder: Path) -> None:
    ran = run("plan", "--profile", folder, "--ttft-ms", 100, "--itl-ms", 25, *LOAD)
    assert ran.exit_code == 1
    assert "cannot be met" in ran.output


def test_a_short_budget_shows_no_latency_that_is_not_to_be_had(folder: Path) -> None:
    ran = run("plan", "--profile", folder, *TARGETS, *LOAD, "--budget-gpus", 3, "-o", "json")
    assert ran.exit_code == 1
    told = json.loads(ran.output)
    assert (told["meets"], told["reachable"]) == (False, True)
    roles = told["roles"]
    assert roles["prefill"]["limited_by"] == "budget"
    assert roles["prefill"]["expected_ms"] == {"ttft": None}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("plan", *TARGETS, *LOAD), "no curves: give --profile"),
        (("plan", "--profile", "/nowhere", *TARGETS, *LOAD), "/nowhere has neither"),
        (("plan", "q-dgd", "--aggregated"), "exclude each other"),
    ],
)
def test_what_cannot_be_planned_is_one_line(arguments: tuple[str, ...], told: str) -> None:
    text = said(run(*arguments))
    assert told in text
    assert "\n" not in text


def test_curves_that_are_not_there_are_named() -> None:
    text = said(run("plan", "q-dgd", source=FakeSource(found(curves=False))))
    assert text == (
        "there is no ConfigMap curves with curves that you may read; give --profile, a folder"
    )


@pytest.mark.parametrize("command", ["plan", "explain", "what-if"])
def test_a_planner_that_is_not_there_is_named(command: str) -> None:
    ran = run(command, "q-dgd", "-n", "team")
    assert isinstance(ran.exception, NotThere)
    assert "no SLAPlanner q-dgd in namespace team" in str(ran.exception)


def test_an_explanation_is_one_screen() -> None:
    ran = run("explain", "q-dgd", source=FakeSource(found()))
    assert ran.exit_code == 0, ran.output
    for text in ("demo/q-dgd", "82 s, measured here", "LimitedByBudget", "prefill 5 → 6"):
        assert text in ran.output
    assert max(len(line) for line in ran.output.splitlines()) <= 140


def test_an_explanation_for_a_program_is_the_status() -> None:
    told = json.loads(run("explain", "q-dgd", "-o", "json", source=FakeSource(found())).output)
    assert told["status"]["startupSeconds"] == 82
    assert [trouble["type"] for trouble in told["troubles"]] == ["ScalingLimited"]


def test_a_comparison_shows_now_and_then() -> None:
    ran = run("what-if", "q-dgd", "--ttft-ms", 250, source=FakeSource(found()))
    assert ran.exit_code == 0, ran.output
    assert "TTFT 300 ms → 250 ms" in ran.output
    assert "NOW" in ran.output
    assert "THEN" in ran.output


def test_a_comparison_with_other_curves_says_so(folder: Path) -> None:
    ran = run("what-if", "q-dgd", "--profile", folder, "-o", "json", source=FakeSource(found()))
    told = json.loads(ran.output)
    assert told["differences"] == ["another profile"]
    assert told["now"]["roles"] == told["then"]["roles"]


def test_a_planner_without_load_is_compared_under_the_given_one() -> None:
    source = FakeSource(found({}))
    ran = run("what-if", "q-dgd", *LOAD, "--itl-ms", 22, "-o", "json", source=source)
    told = json.loads(ran.output)
    assert told["differences"] == ["ITL 25 ms → 22 ms"]
    assert told["now"]["load"]["rate_per_s"] == 20.0


@pytest.fixture
def trace(folder: Path) -> Path:
    lines = (
        json.dumps({"timestamp": 250 * n, "input_length": 1024, "output_length": 16})
        for n in range(480)
    )
    path = folder / "trace.jsonl"
    path.write_text("\n".join(lines))
    return path


def test_a_trace_is_replayed_against_all_others(folder: Path, trace: Path) -> None:
    spec = folder / "planner.yaml"
    ran = run("replay", "--spec", spec, "--profile", folder, "--trace", trace, "-o", "json")
    told = json.loads(ran.stdout)
    assert [one["controller"] for one in told["runs"]] == [
        "ours",
        "static peak",
        "hpa-like",
        "classic",
        "oracle",
    ]
    assert told["requests"] == 480
    assert all(0 <= one["attained"] <= 1 and one["gpu_hours"] > 0 for one in told["runs"])
    assert not any("why" in one for one in told["runs"])


def test_a_replay_says_why_our_planner_missed(folder: Path, trace: Path) -> None:
    spec = folder / "planner.yaml"
    typed = ["replay", "--spec", spec, "--profile", folder, "--trace", trace, "--why"]
    shown = run(*typed, "--against", "static")
    assert shown.exit_code == 0, shown.output
    assert shown.output.count("Points missed at 120 s: ") == 1
    assert "that the load needed" in shown.output
    ours, static = json.loads(run(*typed, "--against", "static", "-o", "json").stdout)["runs"]
    missed = 100 * (1 - ours["of_all"]["attained"])
    assert sum(ours["why"]["points"].values()) == pytest.approx(missed)
    assert "why" not in static


def test_a_replay_fits_80_columns_and_counts_requests_that_are_late_alone(folder: Path) -> None:
    lines = (
        json.dumps(
            {"timestamp": 250 * n, "input_length": 1024 if n % 9 else 9000, "output_length": 16}
        )
        for n in range(480)
    )
    trace = folder / "late.jsonl"
    trace.write_text("\n".join(lines))
    typed = ["replay", "--spec", str(folder / "planner.yaml"), "--profile", str(folder)]
    ran = CliRunner().invoke(app, [*typed, "--trace", str(trace)], env={"COLUMNS": "80"})
    assert max(map(len, ran.output.splitlines())) <= 80
    told = " ".join(ran.output.split())
    assert "54 requests (11.2 %) would miss a target even alone" in told
    ours = next(line.split() for line in ran.output.splitlines() if "s  ours" in line)
    assert 0 < float(ours[3]) <= 100 * 426 / 480
    assert f"{ours[3]} % of all 480 requests in time for {ours[9]} GPU-hours" in told


def test_a_replay_is_a_table_and_a_picture(folder: Path, trace: Path) -> None:
    spec, picture = folder / "planner.yaml", folder / "replay.png"
    arguments = ("--against", "static", "--start-up-s", 0, "--start-up-s", 30, "--plot", picture)
    ran = run("replay", "--spec", spec, "--profile", folder, "--trace", trace, *arguments)
    assert ran.exit_code == 0, ran.output
    assert "480 requests in 2 min" in ran.output
    assert ran.output.count("s  ours") == ran.output.count("s  static peak") == 2
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_replay_without_its_compiler_says_what_to_install(folder: Path, trace: Path) -> None:
    typed = ["replay", "--spec", folder / "planner.yaml", "--profile", folder, "--trace", trace]
    without_numba = (
        "import sys; sys.modules['numba'] = None; import dgdr_cli.__main__ as m;"
        f" sys.argv = ['kubectl-dgdr', *{[str(part) for part in typed]}]; m.main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", without_numba], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert ran.stderr.strip().endswith("kubectl-dgdr needs numba: pip install 'dgdr-operator[cli]'")


def test_a_replay_needs_no_separate_roles(folder: Path, trace: Path) -> None:
    spec = folder / "worker.yaml"
    spec.write_text(yaml.safe_dump(sla_planner(roles={"worker": {"max": 4}})))
    ran = run(
        "replay", "--spec", spec, "--profile", folder, "--trace", trace, "--against", "classic"
    )
    assert ran.exit_code == 0, ran.output
    assert "classic is left out" in ran.output


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"--trace": "nowhere.jsonl"}, "nowhere.jsonl cannot be read: No such file"),
        ({"--against": "nobody"}, "--against is nobody: give one of static"),
        ({"--times": "0"}, "--times is 0"),
        ({"--profile": "/nowhere"}, "/nowhere has neither"),
        ({"--spec": "/nowhere.yaml"}, "/nowhere.yaml cannot be read"),
        ({"NAME": "q-dgd"}, "NAME and --spec exclude each other"),
    ],
)
def test_what_cannot_be_replayed_is_one_line(
    folder: Path, trace: Path, changes: dict[str, str], told: str
) -> None:
    given = {"--spec": folder / "planner.yaml", "--profile": folder, "--trace": trace} | changes
    typed = (part for pair in given.items() for part in pair if part != "NAME")
    text = said(run("replay", *typed))
    assert told in text
    assert "\n" not in text


def test_a_range_without_lengths_is_told(folder: Path) -> None:
    path = folder / "range.json"
    values = [[60 * n, "4"] for n in range(5)]
    answer = {"data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}}
    path.write_text(json.dumps(answer))
    spec = folder / "planner.yaml"
    common = ("replay", "--spec", spec, "--profile", folder, "--trace", path)
    assert "holds rates only: give --isl and --osl" in said(run(*common))
    assert "--osl is none: give tokens" in said(run(*common, "--isl", 1024, "--osl", "none"))
    ran = run(*common, "--isl", 1024, "--osl", 16, "--against", "static", "-o", "json")
    assert json.loads(ran.stdout)["requests"] > 1000


def test_curves_say_on_how_many_gpus_an_engine_is(folder: Path) -> None:
    for name in ("prefill_raw_data.json", "decode_raw_data.json"):
        data = json.loads((folder / name).read_text())
        data["provenance"] = {"fingerprint": {"gpus": 2}}
        (folder / name).write_text(json.dumps(data))
    ran = run("plan", "--profile", folder, *TARGETS, *LOAD, "-o", "json")
    told = json.loads(ran.output)["roles"]
    assert {role["gpus_per_replica"] for role in told.values()} == {2}
    given = run("plan", "--profile", folder, *TARGETS, *LOAD, "--prefill-gpus", 4, "-o", "json")
    assert json.loads(given.output)["roles"]["prefill"]["gpus_per_replica"] == 4
