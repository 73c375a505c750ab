"""What handing a prompt over to the decode engine costs, and who says so."""

import json
from dataclasses import replace

import pytest

from dgdr_api.points import Point, Source
from dgdr_api.profile_data import PrefillData
from dgdr_api.transfer import Transfer
from dgdr_profiler.core.actions import Plan, RunState
from dgdr_profiler.core.candidate import Candidate, Fetched
from dgdr_profiler.core.cells import prefill_cell
from dgdr_profiler.core.handover import handover
from dgdr_profiler.core.known_model import KnownModel
from dgdr_profiler.core.model import ModelFacts
from dgdr_profiler.core.progress import describe
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.core.strategy import selection
from dgdr_profiler.engines.exposition import fetched
from dgdr_profiler.prepare import prepare
from support.profiler_ports import FakeDeployments, MemoryRecords
from support.profiler_runs import PROFILES, finished, request
from support.profiler_steps import run, selected
from support.profiling import Machine, pair, plan, point

TP2 = Mapping.tensor(2)
PREFILL, DECODE = Candidate.of(Shape(prefill=TP2)), Candidate.of(Shape(decode=TP2))
WORKER = Candidate.of(Shape(worker=TP2))
MODEL = KnownModel(facts=ModelFacts(layers=32, kv_heads=8, head_size=128))
COUNTED = Fetched(ms=34.0, isl=1024, bytes_per_token=131072)

# Of a decode worker of TP 2 that fetched six prompts, 416 tokens in the mean, and had others.
METRICS = """
# TYPE vllm:nixl_xfer_time_seconds histogram
vllm:nixl_xfer_time_seconds_bucket{engine="0",le="0.05"} 12.0
vllm:nixl_xfer_time_seconds_count{engine="0"} 12.0
vllm:nixl_xfer_time_seconds_sum{engine="0"} 0.204
vllm:nixl_bytes_transferred_count{engine="0"} 12.0
vllm:nixl_bytes_transferred_sum{engine="0"} 5.111808e+06
vllm:prompt_tokens_by_source_total{engine="0",source="external_kv_transfer"} 2496.0
vllm:prompt_tokens_by_source_total{engine="0",source="local_cache_hit"} 8000.0
"""


def through(candidate: Candidate, later_ms: float = 0.0, isl: int = 2048) -> Point:
    found = point(candidate, prefill_cell(isl))
    return found.model_copy(update={"ttft_ms": (found.ttft_ms or 0.0) + later_ms})


def known(*points: Point, of: Candidate = PREFILL, fetched: Fetched | None = None) -> Transfer:
    apart = plan(pair(1), pair(2), PREFILL, DECODE, WORKER)
    counted = {} if fetched is None else {pair(1).id: fetched}
    found = handover(replace(apart, model=MODEL), RunState(points=points, fetched=counted), of)
    assert found is not None
    return found


def test_the_cache_of_a_token_is_that_of_the_model() -> None:
    assert known().bytes_per_token == 2 * 2 * 32 * 8 * 128
    assert known(fetched=COUNTED).bytes_per_token == 131072


def test_without_facts_of_the_model_the_engine_has_counted_the_bytes() -> None:
    state = RunState(fetched={pair(1).id: COUNTED})
    found = handover(plan(pair(1), PREFILL, DECODE), state, PREFILL)
    assert found is not None
    assert found.bytes_per_token == 131072


def test_an_engine_that_keeps_its_prompts_hands_nothing_over() -> None:
    assert handover(plan(WORKER), RunState(), WORKER) is None


def test_a_role_that_was_measured_alone_has_the_transfer_of_a_pair_that_counted_it() -> None:
    found = known(fetched=COUNTED)
    assert (found.measured_ms, found.measured_isl, found.in_ttft) == (34.0, 1024, False)
    assert found.source is Source.MEASURED


def test_a_pair_holds_its_transfer_in_its_own_ttft() -> None:
    found = known(of=pair(1), fetched=COUNTED)
    assert found.in_ttft
    assert (found.measured_ms, found.added_ms_per_token) == (34.0, 0.0)


def test_a_pair_that_answers_later_than_an_engine_of_its_mapping_shows_the_transfer() -> None:
    found = known(through(pair(2), later_ms=21.0), through(WORKER))
    assert found.measured_ms == pytest.approx(21.0)
    assert found.measured_isl == 2057


@pytest.mark.parametrize(
    "points",
    [
        pytest.param((through(pair(2), 2.0), through(WORKER)), id="within the noise"),
        pytest.param((through(pair(2), -9.0), through(WORKER)), id="earlier"),
        pytest.param((through(pair(1), 21.0), through(WORKER)), id="another mapping"),
        pytest.param((through(pair(2), 21.0, 512), through(WORKER)), id="another length"),
        pytest.param((), id="nothing measured"),
    ],
)
def test_what_nobody_could_tell_is_unknown_and_not_zero(points: tuple[Point, ...]) -> None:
    found = known(*points)
    assert (found.source, found.ms_per_token) == (None, None)
    assert found.is_missing


def test_a_link_that_is_known_gives_an_estimate() -> None:
    linked = replace(plan(PREFILL, DECODE), model=MODEL, transfer_gb_per_s=64.0)
    found = handover(linked, RunState(), PREFILL)
    assert found is not None
    assert found.source is Source.ESTIMATED
    assert found.ms_per_token == pytest.approx(131072 / 64e6)


def apart(**known_of_it: object) -> Plan:
    return replace(plan(PREFILL, DECODE), model=MODEL, **known_of_it)  # type: ignore[arg-type]


def test_an_unknown_transfer_is_said_where_the_pick_is_shown() -> None:
    chosen = selected(run(Machine(apart())))
    assert "without the KV transfer, which is unknown" in describe(chosen)


def test_an_estimated_transfer_is_in_the_ttft_that_is_shown_and_said() -> None:
    chosen = selected(run(Machine(apart(transfer_gb_per_s=6.4))))
    added_ms = 2057 * 131072 / 6.4e6
    assert chosen.ttft_ms == pytest.approx(chosen.prefill.ttft_ms + added_ms)
    assert f"of which {added_ms:.0f} ms of KV transfer are estimated" in describe(chosen)


def test_a_transfer_decides_whether_a_pair_holds_the_target() -> None:
    machine = Machine(apart())
    run(machine)
    slow = replace(apart(), transfer_gb_per_s=1.0)  # 270 ms for a prompt
    held, late = (selection(of, machine.state) for of in (machine.plan, slow))
    assert held is not None
    assert late is not None
    assert (held.sla_reachable, late.sla_reachable) == (True, False)


def test_vllm_counts_what_it_fetches() -> None:
    found = fetched(METRICS, 2)
    assert found == Fetched(ms=pytest.approx(17.0), isl=416.0, bytes_per_token=2048.0)
    assert fetched(METRICS.replace("external_kv_transfer", "local_compute"), 2) is None
    assert fetched("", 1) is None


async def test_what_a_pair_fetched_outlives_its_pod_and_is_in_the_profile() -> None:
    records = MemoryRecords()
    sent = {"q-p-tp1": COUNTED, "q-p-tp2": COUNTED, "q-p-tp4": COUNTED}
    result = await finished(records=records, deployments=FakeDeployments(sent=sent))
    again = await finished(records=records)
    for one in (result, again):
        profile = PrefillData.from_json(one.texts["prefill_raw_data.json"])
        assert profile.transfer is not None
        assert profile.transfer.measured_ms == 34.0
        assert profile.transfer.in_ttft
        told = json.loads(one.texts["report.json"])["transfer"]
        assert (told["source"], told["bytesPerToken"]) == ("measured", 131072)


def test_the_link_is_what_the_policy_says_else_what_mockers_are_told() -> None:
    args = {"name": "main", "args": ["--kv-transfer-bandwidth", "64"]}
    worker = {"podTemplate": {"spec": {"containers": [args]}}}
    override = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "spec": {"components": [{"name": "decode", **worker}]},
    }
    told = request({"overrides": {"dgd": override}})
    assert prepare(request(), PROFILES).plan.transfer_gb_per_s == 450
    assert prepare(told, PROFILES).plan.transfer_gb_per_s == 64
    stated = request(kvTransferGbPerS=12.5)
    assert prepare(stated, PROFILES).plan.transfer_gb_per_s == 12.5
    spec = {"image": "r.test/vllm-runtime:1.0.2", "features": {}}
    real = request(spec, candidateEngine="backend", maxGpusPerEngine=1)
    assert prepare(real, None).plan.transfer_gb_per_s is None
