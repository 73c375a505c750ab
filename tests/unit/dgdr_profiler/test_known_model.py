import pytest

from dgdr_api.models.profiled_model import ProfiledModel
from dgdr_api.request import ProfilingRequest
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.known_model import FactsSource, KnownModel, from_files, known_model
from dgdr_profiler.prepare import Prepared, prepare
from support.model_configs import config_of, model
from support.profiler_runs import PROFILES, request

GIB = 2**30
READ = KnownModel(facts=model("llama-3.1-8b"), sources=(FactsSource.CLAIM,), place="/m")
SILENT = KnownModel(tried=("no config.json in /m",))


def test_what_a_user_states_wins_and_both_are_named() -> None:
    stated = ProfiledModel.model_validate({"weightGiB": 7})
    known = known_model(stated, READ)
    assert known.sources == (FactsSource.POLICY, FactsSource.CLAIM)
    assert known.facts is not None
    assert (known.facts.weight_bytes, known.facts.layers) == (7 * GIB, 32)
    assert known.basis == " by spec.model of the ProfilingPolicy and config.json of the model cache"


def test_what_nobody_says_is_unknown_and_not_zero() -> None:
    known = known_model(None, SILENT)
    assert known.facts is None
    assert known.to_object() == {
        "source": None,
        "place": None,
        "parameters": None,
        "weightBytes": None,
        "contextLength": None,
        "unknown": list(known.to_object()["unknown"]),
        "tried": ["no config.json in /m"],
    }
    assert "weights" in known.to_object()["unknown"]
    assert str(known) == "nothing is known of the model; no config.json in /m"


def test_a_report_names_source_place_and_sizes() -> None:
    said = known_model(None, READ).to_object()
    assert (said["source"], said["place"]) == ("config.json of the model cache", "/m")
    assert (said["weightBytes"], said["contextLength"]) == (READ.facts.weight_bytes, 131072)
    assert "config.json of the model cache at /m" in str(READ)


def test_files_are_facts_with_the_size_that_they_have() -> None:
    sizes = {"a.safetensors": 5 * GIB, "b.safetensors": 4 * GIB}
    found = from_files(FactsSource.HUB, "hub/m", config_of("qwen3-8b"), None, sizes)
    assert found.facts is not None
    assert found.facts.weight_bytes == 9 * GIB


@pytest.mark.parametrize(
    ("config", "beside", "words"),
    [
        ([], None, "/m: config.json holds list"),
        (None, None, "/m: config.json holds NoneType"),
        ({"vocab": 1}, None, "/m: config.json has none of architectures"),
        ({"model_type": "llama"}, [1], "/m: hf_quant_config.json holds list"),
    ],
)
def test_what_is_no_model_is_refused_with_place_and_cure(
    config: object, beside: object, words: str
) -> None:
    with pytest.raises(
        InvalidRequest, match=r"state its sizes in the policy's spec\.model"
    ) as told:
        from_files(FactsSource.CLAIM, "/m", config, beside)
    assert str(told.value).startswith(words)


def real(**hardware: object) -> ProfilingRequest:
    """A request whose candidates are real engines on GPUs of 80 GB."""
    asked = request({"image": "i:1", "features": {}}, candidateEngine="backend")
    known = asked.hardware.model_copy(update={"vram_mib": 81_559.0, **hardware})
    return asked.model_copy(update={"hardware": known})


def prepared(read: KnownModel | None, **hardware: object) -> Prepared:
    return prepare(real(**hardware), None, read)


def test_the_space_says_on_what_it_rests() -> None:
    assert " shapes are possible by config.json of the model cache" in prepared(READ).plan.space
    assert (
        prepared(SILENT).plan.space == "3 of 3 shapes are possible with nothing known of the model"
    )


def test_a_model_that_was_read_excludes_what_it_does_not_fit() -> None:
    large = KnownModel(facts=model("llama-3.1-70b"), sources=(FactsSource.HUB,), place="hub/m")
    tried = {c.label for c in prepared(large).plan.candidates}
    assert "TP=4" in tried
    assert "TP=1" not in tried


def test_a_shortened_context_is_said_for_each_candidate_that_has_one() -> None:
    small = {"vram_mib": 23_034.0, "gpus_per_node": 2, "total_gpus": 2}
    notes = prepared(READ, **small).plan.notes
    assert [note.partition(":")[0] for note in notes] == ["TP=1", "aggregated TP=1"]
    assert "--max-model-len" in notes[0]
    assert prepared(READ).plan.notes == ()


def test_a_pod_that_reads_nothing_of_the_model_finds_the_same_points() -> None:
    wanted = {"image": "images.test/vllm:1.1.0", "features": {"kvRouter": {"enabled": True}}}
    asked = request(wanted, candidateEngine="backend")
    hardware = {"vram_mib": 23_034.0, "gpus_per_node": 2, "total_gpus": 2}
    known = asked.hardware.model_copy(update=hardware)
    asked = asked.model_copy(update={"hardware": known})
    read, silent = (prepare(asked, None, found) for found in (READ, SILENT))
    args = read.graphs["p-tp1"].components[1].args
    assert {"--max-model-len", "--kv-events-config"} <= set(args)
    subject = read.plan.subjects["p-tp1"]
    assert subject == silent.plan.subjects["p-tp1"]
    assert not any("--max-model-len" in one.command for one in subject.engines)


def test_mockers_load_no_model_and_only_what_a_user_says_counts() -> None:
    plan = prepare(request(), PROFILES, READ).plan
    assert plan.model == KnownModel()
    assert plan.space == "3 of 3 shapes are possible"


def test_a_candidate_is_expected_to_hold_what_the_memory_model_says() -> None:
    found = prepared(READ)
    one, two = (found.expected[f"q-p-tp{n}"] for n in (1, 2))
    assert one.kv_tokens is not None
    assert two.kv_tokens is not None
    assert 300_000 < one.kv_tokens < two.kv_tokens / 2
    assert (one.ranks, one.decodes) == (None, True)
    assert prepared(READ, vram_mib=None).expected["q-p-tp1"].kv_tokens is None
    assert prepared(SILENT).expected["q-p-tp1"].kv_tokens is None


def test_an_engine_whose_layers_differ_is_asked_with_that_in_mind() -> None:
    windowed = KnownModel(facts=model("gpt-oss-20b"), sources=(FactsSource.HUB,))
    assert prepared(windowed).expected["q-p-tp1"].unlike_layers
    assert not prepared(READ).expected["q-p-tp1"].unlike_layers


def test_ranks_and_a_role_alone_are_expected_as_their_shapes_have_them() -> None:
    mixture = KnownModel(facts=model("qwen3-30b-a3b"), sources=(FactsSource.HUB,))
    found = prepared(mixture, total_gpus=8, gpus_per_node=8).expected
    assert found["q-p-dep4"].ranks == 4
    few = real(total_gpus=8, gpus_per_node=8)
    few = few.model_copy(update={"policy": few.policy.model_copy(update={"gpus_at_once": 4})})
    alone = prepare(few, None, mixture).expected
    assert not alone["q-pre-dep4"].decodes
    assert alone["q-dec-dep4"].decodes
