"""The picture, as a reader sees it in a terminal of 110 columns."""

import io
from dataclasses import replace
from datetime import UTC, datetime
from textwrap import dedent

from rich.console import Console

from dgdr_cli.candidates import Candidate
from dgdr_cli.render import render
from dgdr_cli.view import Decision, Deployment, Planner, Role, View

VIEW = View(
    name="qwen",
    namespace="dgdr-demo",
    phase="Deployed",
    profiling_phase=None,
    message="Deployment qwen-dgd is ready",
    wanted="model on vllm, prompts of 2048 and answers of 128 tokens",
    targets="first token within 170 ms, then one every 20 ms",
    candidates=(
        Candidate(
            name="p-tp1",
            gpus=2,
            ttft_ms=212.4,
            itl_ms=18.63,
            output_tokens_per_s_per_gpu=53.2,
            points=3,
            estimated=False,
            missed=("TTFT",),
            picked_for=(),
        ),
        Candidate(
            name="p-tp2",
            gpus=4,
            ttft_ms=124.1,
            itl_ms=15.9,
            output_tokens_per_s_per_gpu=612.8,
            points=16,
            estimated=False,
            missed=(),
            picked_for=("prefill", "decode"),
        ),
        Candidate(
            name="p-tp4",
            gpus=8,
            ttft_ms=75.3,
            itl_ms=None,
            output_tokens_per_s_per_gpu=None,
            points=1,
            estimated=True,
            missed=(),
            picked_for=(),
        ),
    ),
    remarks=("TP=8 not tried: an engine of 8 GPUs does not fit on a node of 4",),
    deployment=Deployment(
        name="qwen-dgd",
        state="successful",
        roles=(
            Role(name="Frontend", ready=1, wanted=1),
            Role(name="prefill", ready=2, wanted=3),
            Role(name="decode", ready=None, wanted=1),
        ),
    ),
    planner=Planner(
        name="qwen-dgd",
        mode="Active",
        load="12.00 requests/s; 2058 tokens in, 64 out; TTFT 131 ms, ITL 14.2 ms",
        troubles=("ScalingLimited=True (LimitedByPolicy): roles.prefill.max is 3",),
        decisions=(
            Decision(
                time=datetime(2026, 3, 1, 12, 0, 15, tzinfo=UTC),
                reason="ScaledUp",
                message="12.0 requests/s need 3 prefill replicas",
                changes="prefill 1 → 3",
            ),
        ),
    ),
)

PICTURE = """\
dgdr-demo/qwen  Deployed
model on vllm, prompts of 2048 and answers of 128 tokens
Targets: first token within 170 ms, then one every 20 ms
Deployment qwen-dgd is ready

CANDIDATE  GPUS  TTFT ms  ITL ms  TOKENS/S/GPU       POINTS  TARGETS
p-tp1         2      212    18.6            53   3 measured  TTFT missed
p-tp2         4      124    15.9           613  16 measured  met           picked
p-tp4         8       75       -             -  1 estimated  not measured
TP=8 not tried: an engine of 8 GPUs does not fit on a node of 4

DEPLOYMENT  STATE       READY REPLICAS
qwen-dgd    successful  Frontend 1/1, prefill 2/3, decode -/1

PLANNER   MODE    LOAD
qwen-dgd  Active  12.00 requests/s; 2058 tokens in, 64 out; TTFT 131 ms, ITL 14.2 ms
ScalingLimited=True (LimitedByPolicy): roles.prefill.max is 3

DECIDED   REASON    REPLICAS       WHY
12:00:15  ScaledUp  prefill 1 → 3  12.0 requests/s need 3 prefill replicas
"""


def drawn(view: View) -> str:
    sink = io.StringIO()
    Console(file=sink, width=110, color_system=None).print(render(view))
    return "".join(f"{line.rstrip()}\n" for line in sink.getvalue().splitlines())


def test_everything_that_is_known_is_in_the_picture() -> None:
    assert drawn(VIEW) == PICTURE


def test_a_candidate_is_being_measured_only_as_long_as_the_run_goes_on() -> None:
    for phase in ("Pending", "Profiling"):
        assert "1 estimated  measuring" in drawn(replace(VIEW, phase=phase))
    for phase in ("Ready", "Deploying", "Failed"):
        assert "1 estimated  not measured" in drawn(replace(VIEW, phase=phase))


def test_a_request_that_has_just_been_made_takes_three_lines() -> None:
    view = View(
        name="qwen",
        namespace="team",
        phase="Pending",
        profiling_phase=None,
        message="",
        wanted="m on auto, prompts of 4000 and answers of 1000 tokens",
        targets="first token within 2000 ms, then one every 30 ms",
    )
    assert drawn(view) == dedent(
        """\
        team/qwen  Pending
        m on auto, prompts of 4000 and answers of 1000 tokens
        Targets: first token within 2000 ms, then one every 30 ms
        """
    )


def test_text_of_a_user_is_not_taken_for_markup() -> None:
    view = View(
        name="qwen",
        namespace="team",
        phase="Failed",
        profiling_phase=None,
        message="image [red]x[/red] not found",
        wanted="w",
        targets="t",
    )
    assert "image [red]x[/red] not found" in drawn(view)
