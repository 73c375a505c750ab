from pathlib import PurePath

from dgdr_load.aiperf import command, config
from dgdr_load.load import LoadPhase, LoadSpec

FOLDER = PurePath("/out")


def spec(*phases: LoadPhase) -> LoadSpec:
    return LoadSpec(
        url="http://q-frontend.ns.svc.cluster.local:8000/",
        model="model",
        tokenizer="/model",
        isl=2048,
        osl=96,
        phases=phases,
        dataset_entries=32,
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
            "type": "concurrency",
            "concurrency": 1,
            "requests": 5,
        },
        {
            "name": "fill",
            "kind": "warmup",
            "type": "concurrency",
            "concurrency": 8,
            "requests": 27,
        },
    ]


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
