"""What `make real-engine` concludes from what engines say, without any engine."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from dgdr_api.models.dgdr_v1beta1 import DynamoGraphDeploymentRequest
from dgdr_api.models.profiling_policy import ProfilingPolicy
from dgdr_api.models.worker_metadata import ModelCard
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_perf.engine_profile import EngineProfile
from hack.real_engine.__main__ import CASES
from hack.real_engine.checks import (
    Check,
    LoadSeen,
    Offered,
    at_random,
    capacity_checks,
    latency_checks,
    transfer_checks,
)
from hack.real_engine.exposition import (
    PromptTokens,
    kv_capacity_tokens,
    prompt_tokens,
    samples,
    total,
)
from hack.real_engine.flags import generated_arguments

ROOT = Path(__file__).resolve().parents[3]

PAGE = """\
# HELP vllm:prompt_tokens_by_source_total Number of prompt tokens by source.
# TYPE vllm:prompt_tokens_by_source_total counter
vllm:prompt_tokens_by_source_total{engine="0",model_name="tiny/llama",source="local_compute"} 12.0
vllm:prompt_tokens_by_source_total{engine="1",model_name="tiny/llama",source="local_compute"} 3.0
vllm:prompt_tokens_by_source_total{engine="0",source="local_cache_hit"} 0.0
vllm:prompt_tokens_by_source_total{engine="0",source="external_kv_transfer"} 2.496e+03
vllm:cache_config_info{block_size="128",note="a \\"quoted, word\\"",num_gpu_blocks="2048"} 1.0
dynamo_frontend_input_sequence_tokens_sum 2511
"""
PROFILE = EngineProfile.of(
    PrefillData(
        isl=(64, 512, 1024), ttft_ms=(40.0, 100.0, 180.0), thpt_per_gpu=(1600.0, 5120.0, 5690.0)
    ),
    DecodeData(
        kv_usage=(0.01, 0.04, 0.08),
        context_length=(544.0, 544.0, 544.0),
        itl_ms=(10.0, 13.0, 17.0),
        thpt_per_gpu=(100.0, 300.0, 470.0),
        max_kv_tokens=54_400,
    ),
)


ALONE, FOUR = (Offered(concurrency=n, requests=24, osl=128) for n in (1, 4))


def load(**changes: Any) -> LoadSeen:
    given = {
        "offered": ALONE, "sent": 24, "completed": 24, "isl": 512, "osl": 64,
        "ttft_ms": 100.0, "itl_ms": 10.0, "tokens_per_s": 90.0,
    }  # fmt: skip
    return LoadSeen(**{**given, **changes})


def failed(checks: Any) -> list[str]:
    return [check.what for check in checks if not check.holds]


def test_samples_of_all_engines_are_summed_by_their_labels() -> None:
    page = samples(PAGE)
    assert total(page, "vllm:prompt_tokens_by_source_total", source="local_compute") == 15
    assert total(page, "dynamo_frontend_input_sequence_tokens_sum") == 2511


def test_a_metric_that_is_not_there_is_unknown_and_not_zero() -> None:
    assert total(samples(PAGE), "vllm:nothing") is None
    assert kv_capacity_tokens(samples("")) is None
    with pytest.raises(ValueError, match="no vllm:prompt_tokens_by_source_total with source"):
        prompt_tokens(samples(""))


def test_an_engine_says_where_its_prompts_came_from_and_what_it_holds() -> None:
    page = samples(PAGE)
    assert prompt_tokens(page) == PromptTokens(computed=15, cached=0, transferred=2496)
    assert kv_capacity_tokens(page) == 2048 * 128


def test_a_decode_engine_that_fetched_every_prompt_passes() -> None:
    prefill = PromptTokens(computed=2496, cached=0, transferred=0)
    decode = PromptTokens(computed=0, cached=0, transferred=2496)
    assert failed(transfer_checks(prefill, decode, 2496)) == []


def test_a_decode_engine_that_computes_prompts_again_fails() -> None:
    prefill = PromptTokens(computed=2496, cached=0, transferred=0)
    decode = PromptTokens(computed=2496, cached=0, transferred=0)
    assert failed(transfer_checks(prefill, decode, 2496)) == [
        "prompt tokens decode fetched",
        "prompt tokens decode computed",
    ]


def test_nothing_is_concluded_from_a_count_that_is_missing() -> None:
    none = PromptTokens(computed=0, cached=0, transferred=0)
    assert "prompt tokens decode fetched" in failed(transfer_checks(none, none, None))


def test_limits_that_the_profile_does_not_know_fail() -> None:
    card = ModelCard.model_validate(
        {
            "kv_cache_block_size": 128,
            "runtime_config": {"total_kv_blocks": 2048, "max_num_seqs": 32},
        }
    )
    known = [{"kind": "decode", "maxKvTokens": 262_144, "maxBatch": 32}]
    assert failed(capacity_checks(known, card, 262_144)) == []
    assert failed(capacity_checks([{"kind": "decode"}], card, 262_144)) == [
        "KV tokens in the profile",
        "batch limit in the profile",
    ]


@pytest.mark.parametrize(
    ("seen", "misses"),
    [
        pytest.param(load(), [], id="as predicted"),
        pytest.param(load(ttft_ms=119.0), [], id="within a fifth"),
        pytest.param(load(ttft_ms=125.0), ["TTFT in ms at c1"], id="late"),
        pytest.param(load(itl_ms=13.0), ["ITL in ms at c1"], id="slow"),
        pytest.param(load(completed=23), ["requests answered at c1"], id="lost"),
        pytest.param(
            load(offered=FOUR, ttft_ms=900.0, itl_ms=13.0, tokens_per_s=308.0),
            [],
            id="a queue is no engine's fault",
        ),
    ],
)
def test_a_deployment_is_held_against_its_profile(seen: LoadSeen, misses: list[str]) -> None:
    assert failed(latency_checks(PROFILE, seen, apart=True)) == misses


def test_prompts_of_an_aggregated_engine_take_their_time_from_the_tokens() -> None:
    # 2.5 requests a second with prompts of 100 ms: a quarter of the time is theirs.
    poisson = Offered(rate_per_s=2.5, requests=24, osl=128)
    seen = load(offered=poisson, osl=64, tokens_per_s=160.0, itl_ms=16.7)
    assert failed(latency_checks(PROFILE, seen, apart=False)) == []
    assert failed(latency_checks(PROFILE, seen, apart=True)) == ["ITL in ms at 2.5/s"]


@pytest.mark.parametrize(("slower", "rate_per_s"), [(1.0, 2.5), (5.0, 0.5)])
def test_prompts_take_the_same_share_of_an_engine_however_fast_it_is(
    slower: float, rate_per_s: float
) -> None:
    ttft_ms = tuple(slower * one for one in (40.0, 100.0, 180.0))
    prefill = PrefillData(isl=(64, 512, 1024), ttft_ms=ttft_ms, thpt_per_gpu=(1.0, 1.0, 1.0))
    profile = EngineProfile.of(prefill, PROFILE.data[1])
    assert at_random(profile, isl=512, osl=64, share=0.25, requests=9) == Offered(
        requests=9, osl=64, rate_per_s=rate_per_s
    )


def test_a_check_shows_what_was_wanted_and_how_far_off_it_is() -> None:
    check = Check(what="TTFT", wanted=100.0, seen=110.0, tolerance=0.2)
    assert str(check) == "ok    TTFT: 110.0, wanted 100.0  (+10.0 %)"


def test_all_generated_arguments_of_current_releases_are_parsed() -> None:
    found = generated_arguments()
    assert {"agg-tp2/worker", "pair-dep8/decode", "prefill-tep8/prefill"} <= found.keys()
    assert not any("release-0.9" in name for name in found)
    assert all("--model" in arguments for arguments in found.values())


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_each_request_is_one_that_our_own_models_accept(name: str) -> None:
    policy, dgdr = yaml.safe_load_all((ROOT / f"hack/real_engine/{name}.yaml").read_text())
    ProfilingPolicy.parse(policy)
    parsed = DynamoGraphDeploymentRequest.parse(dgdr)
    assert parsed.metadata.name == name
