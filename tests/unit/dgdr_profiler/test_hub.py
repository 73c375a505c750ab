from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from dgdr_api.effective import effective
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_profiler.adapters.hub import DEFAULT_ENDPOINT, Hub
from dgdr_profiler.adapters.model_files import read_model
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.known_model import FactsSource, KnownModel
from support.model_configs import config_of
from support.profiler_ports import MemoryRecords

GIB = 2**30
NAME = "Qwen/Qwen3-8B"
CONFIG = f"/{NAME}/resolve/main/config.json"
QUANTIZATION = f"/{NAME}/resolve/main/hf_quant_config.json"
SIZES = f"/api/models/{NAME}"
FILES = {"siblings": [{"rfilename": "m.safetensors", "size": 15 * GIB}, {"rfilename": "x"}]}


@dataclass
class Answers:
    """A hub that answers with what it was given, else 404, and remembers what it was asked."""

    given: dict[str, Any] = field(default_factory=dict)
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        found = self.given.get(request.url.path)
        if isinstance(found, httpx.Response):
            return found
        if isinstance(found, Exception):
            raise found
        return httpx.Response(404) if found is None else httpx.Response(200, json=found)


def hub(answers: Callable[[httpx.Request], httpx.Response], **more: Any) -> Hub:
    return Hub(endpoint="https://hub.test", transport=httpx.MockTransport(answers), **more)


async def read(given: dict[str, Any], **more: Any) -> KnownModel:
    return await hub(Answers(given), **more).read(NAME)


async def test_the_hub_says_what_a_model_is_and_how_large() -> None:
    answers = Answers({CONFIG: config_of("qwen3-8b"), SIZES: FILES})
    found = await hub(answers).read(NAME)
    assert (found.sources, found.place) == ((FactsSource.HUB,), f"https://hub.test/{NAME}")
    assert found.facts is not None
    assert (found.facts.layers, found.facts.weight_bytes) == (36, 15 * GIB)
    assert [r.url.path for r in answers.asked] == [CONFIG, QUANTIZATION, SIZES]
    assert answers.asked[-1].url.params["blobs"] == "true"
    assert "authorization" not in answers.asked[0].headers


async def test_the_quantisation_beside_it_counts() -> None:
    beside = {"quantization": {"quant_algo": "FP8"}}
    found = await read({CONFIG: config_of("qwen3-8b"), QUANTIZATION: beside})
    assert found.facts is not None
    assert found.facts.quant_bits == 8


async def test_a_token_is_sent_and_told_to_nobody() -> None:
    answers = Answers({CONFIG: httpx.ConnectError("with hf_abcdefghijkl")})
    found = await hub(answers, token="hf_abcdefghijkl").read(NAME)
    assert answers.asked[0].headers["authorization"] == "Bearer hf_abcdefghijkl"
    assert found.tried == (f"no config.json from https://hub.test/{NAME}: with [token]",)


async def test_a_token_does_not_follow_to_another_host() -> None:
    moved = httpx.Response(307, headers={"location": "https://files.test/config.json"})
    answers = Answers({CONFIG: moved, "/config.json": config_of("qwen3-8b")})
    assert (await hub(answers, token="secret").read(NAME)).facts is not None
    (elsewhere,) = (r for r in answers.asked if r.url.host == "files.test")
    assert "authorization" not in elsewhere.headers


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "HTTP 404"),
        (httpx.Response(401), "Secret hf-token-secret needs a HF_TOKEN that may read it"),
        (httpx.Response(503), "HTTP 503"),
        (httpx.ConnectTimeout(""), "ConnectTimeout"),
        (httpx.Response(200, text="<html>sign in</html>"), "the answer is no JSON"),
    ],
)
async def test_a_hub_without_an_answer_is_no_error_and_says_why(given: Any, words: str) -> None:
    found = await read({CONFIG: given})
    assert found.facts is None
    assert words in found.tried[0]


@pytest.mark.parametrize("sizes", [None, [], {"siblings": [1, {"size": "x"}]}, {"siblings": {}}])
async def test_without_sizes_weights_are_counted(sizes: Any) -> None:
    found = await read({CONFIG: config_of("qwen3-8b"), SIZES: sizes})
    assert found.facts is not None
    assert found.facts.stated_weight_bytes is None
    assert found.facts.weight_bytes == 2 * (found.facts.parameters or 0)


async def test_a_repository_that_is_no_model_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=f"https://hub.test/{NAME}: config.json has none of"):
        await read({CONFIG: {"pooling": "mean"}})


async def test_a_hub_that_must_not_be_asked_is_not() -> None:
    answers = Answers()
    found = await hub(answers, offline=True).read(NAME)
    assert (found.facts, answers.asked) == (None, [])


async def test_an_address_that_makes_no_sense_is_no_error() -> None:
    found = await Hub(endpoint="no address").read(NAME)
    assert "no config.json from no address" in found.tried[0]


async def test_a_model_that_is_a_path_is_not_asked_for() -> None:
    answers = Answers()
    spec = effective(DGDRSpec.model_validate({"model": "/models/x", "image": "i"}))
    await read_model(spec, hub(answers), MemoryRecords().show)
    assert answers.asked == []


async def test_that_the_hub_is_asked_is_shown_before_it_answers() -> None:
    records, shown = MemoryRecords(), []

    def answers(_: httpx.Request) -> httpx.Response:
        shown.extend(records.shown)
        return httpx.Response(404)

    spec = effective(DGDRSpec.model_validate({"model": NAME, "image": "i"}))
    await read_model(spec, hub(answers), records.show)
    (before,) = {one.message for one in shown}
    assert before == f"reading config.json of {NAME} from the hub"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, Hub(endpoint=DEFAULT_ENDPOINT)),
        ({"HF_ENDPOINT": "https://mirror.test/"}, Hub(endpoint="https://mirror.test")),
        ({"HF_TOKEN": "a\n", "HUGGING_FACE_HUB_TOKEN": "b"}, Hub(token="a")),
        ({"HUGGING_FACE_HUB_TOKEN": "b"}, Hub(token="b")),
        ({"HF_HUB_OFFLINE": "1"}, Hub(offline=True)),
        ({"HF_HUB_OFFLINE": "0"}, Hub()),
    ],
)
def test_an_environment_names_the_hub_as_its_libraries_read_it(
    environment: dict[str, str], expected: Hub
) -> None:
    assert Hub.of(environment) == expected
