import json
from dataclasses import replace
from pathlib import PurePath

from dgdr_load.aiperf import command, config, prompts_file
from dgdr_load.load import LoadPhase, LoadSpec, Prompt, SyntheticPrompts

FOLDER = PurePath("/out")


def spec(*phases: LoadPhase) -> LoadSpec:
    return LoadSpec(
        url="http://q-frontend.ns.svc.cluster.local:8000/",
        model="model",
        tokenizer="/model",
        prompts=SyntheticPrompts(isl=2048, osl=96, entries=32),
        phases=phases,
        seed=7,
        request_timeout_s=45.0,
        grace_s=20.0,
    )


def test_waves_become_phases_in_their_order() -> None:
    phases = (
        LoadPhase(name="c1", concurrency=1, requests=5),
        LoadPhase(name="fill", concurrency=8, requests=27, warmup=True),
    )
    written = config(spec(*phases), FOLDER)["benchmark"]["phases"]
    assert written == [
        {
            "name": "c1",
            "kind": "profiling",
            "type": "constant",
            "rate": 100,
            "concurrency": 1,
            "requests": 5,
        },
        {
            "name": "fill",
            "kind": "warmup",
            "type": "constant",
            "rate": 100,
            "concurrency": 8,
            "requests": 27,
        },
    ]


def test_no_phase_is_of_the_type_that_keeps_a_core_busy_while_it_waits() -> None:
    many = LoadPhase(name="c256", concurrency=256, requests=512)
    (written,) = config(spec(many), FOLDER)["benchmark"]["phases"]
    assert (written["type"], written["concurrency"]) == ("constant", 256)
    assert written["rate"] >= 10 * 256


def test_a_timed_phase_gives_the_last_requests_time_to_end() -> None:
    phase = LoadPhase(name="rate", request_rate_per_s=4.5, duration_s=60)
    (written,) = config(spec(phase), FOLDER)["benchmark"]["phases"]
    assert written == {
        "name": "rate",
        "kind": "profiling",
        "type": "poisson",
        "rate": 4.5,
        "duration": 60,
        "gracePeriod": 20.0,
    }


def test_answers_have_the_asked_length_and_tokens_are_the_servers() -> None:
    endpoint = config(spec(LoadPhase(name="p", concurrency=1, requests=1)), FOLDER)["benchmark"][
        "endpoint"
    ]
    assert endpoint == {
        "url": "http://q-frontend.ns.svc.cluster.local:8000/v1/chat/completions",
        "type": "chat",
        "streaming": True,
        "timeout": 45.0,
        "connectionReuse": "pooled",
        "useServerTokenCount": True,
        "extra": {"ignore_eos": True, "max_tokens": 96, "min_tokens": 96},
    }


def test_prompts_are_taken_in_turn_so_that_first_phases_meet_new_ones() -> None:
    dataset = config(spec(LoadPhase(name="p", concurrency=1, requests=1)), FOLDER)["benchmark"][
        "dataset"
    ]
    assert (dataset["sampling"], dataset["entries"]) == ("sequential", 32)
    assert dataset["prompts"]["isl"] == {"mean": 2048, "stddev": 0}


def test_the_command_names_the_configuration_file() -> None:
    assert command("/opt/aiperf", PurePath("/out/c.json")) == [
        "/opt/aiperf",
        "profile",
        "--config",
        "/out/c.json",
        "--ui",
        "none",
    ]


GIVEN = (Prompt(text="time year", osl=4), Prompt(text='say "x"', osl=96))


def test_given_prompts_are_read_from_a_file_in_their_order() -> None:
    given = replace(spec(LoadPhase(name="p", concurrency=1, requests=2)), prompts=GIVEN)
    written = config(given, FOLDER)["benchmark"]
    assert written["dataset"] == {
        "type": "file",
        "format": "single_turn",
        "path": "/out/prompts.jsonl",
        "sampling": "sequential",
    }
    assert written["endpoint"]["extra"] == {"ignore_eos": True}


def test_each_given_prompt_has_its_own_answer_length() -> None:
    lines = [json.loads(line) for line in prompts_file(GIVEN).splitlines()]
    assert lines == [
        {"text": "time year", "output_length": 4},
        {"text": 'say "x"', "output_length": 96},
    ]


def test_every_request_can_have_a_connection_of_its_own() -> None:
    own = replace(spec(LoadPhase(name="p", concurrency=1, requests=2)), reuse_connections=False)
    assert config(own, FOLDER)["benchmark"]["endpoint"]["connectionReuse"] == "never"
