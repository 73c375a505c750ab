import pytest

from dgdr_load.load import InvalidLoad, LoadPhase, LoadSpec, SyntheticPrompts

ONE = LoadPhase(name="one", concurrency=1, requests=5)


def spec(*phases: LoadPhase, isl: int = 64) -> LoadSpec:
    return LoadSpec(
        url="http://x",
        model="m",
        tokenizer="/m",
        prompts=SyntheticPrompts(isl=isl, osl=16, entries=8),
        phases=phases,
        seed=3,
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"requests": 5}, "exactly one of concurrency and request_rate", id="shape"),
        pytest.param({"concurrency": 1}, "exactly one of requests and duration", id="no end"),
        pytest.param(
            {"concurrency": 1, "request_rate_per_s": 2.0, "requests": 5},
            "exactly one of concurrency and request_rate",
            id="two shapes",
        ),
        pytest.param({"concurrency": 0, "requests": 5}, "concurrency is 0", id="not positive"),
    ],
)
def test_a_phase_that_is_not_definite_is_rejected(fields: dict[str, float], words: str) -> None:
    with pytest.raises(InvalidLoad, match=words):
        LoadPhase(name="p", **fields)  # type: ignore[arg-type]


def test_a_load_without_phases_is_rejected() -> None:
    with pytest.raises(InvalidLoad, match="phases is empty"):
        spec()


def test_phases_of_one_name_are_rejected() -> None:
    with pytest.raises(InvalidLoad, match="different names"):
        spec(ONE, ONE)


def test_a_prompt_without_tokens_is_rejected() -> None:
    with pytest.raises(InvalidLoad, match="isl is 0"):
        spec(ONE, isl=0)
