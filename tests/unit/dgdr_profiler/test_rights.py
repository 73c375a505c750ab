"""Every right of a profiling Job is used, and every call that it makes is allowed, by its name."""

from typing import Any

import pytest

from dgdr_api.request import ProfilingRequest
from dgdr_operator.core.job_account import render_account
from dgdr_profiler.adapters.capacity import engine_facts
from dgdr_profiler.adapters.kube import CONFIG_MAP, DGD, POD, WORKER_METADATA
from dgdr_profiler.adapters.records import KubeRecords
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.expected import Expected
from dgdr_profiler.core.journal import Stay
from dgdr_profiler.ports import Result
from support.profiler_ports import MemoryKube
from support.rights import granted, of_rules

from .test_capacity import cluster
from .test_deployments import GRAPH, deployments, homeless, silent
from .test_records import NOW, REQUEST, TP1, point, prefill_cell

Calls = set[tuple[str, str, str]]
ASKED: ProfilingRequest = REQUEST.model_copy(update={"reusable": ("other",)})
GROUPS = {DGD.plural: "nvidia.com", WORKER_METADATA.plural: "nvidia.com"}


async def a_run_that_keeps_records() -> Calls:
    kube = MemoryKube()
    records = KubeRecords(kube, ASKED)  # type: ignore[arg-type]
    await records.open(NOW)
    await records.add((point(TP1, prefill_cell(64)),))
    await records.enter(Stay(candidate="p-tp2", gpus=4, started_at=NOW))
    await records.measured_elsewhere("none")
    await records.points()
    await records.entries()
    await records.succeed(Result(texts={}, binaries={}))
    return kube.calls


async def a_candidate_without_a_node() -> Calls:
    kube = MemoryKube()
    kube.put(POD, homeless())
    with pytest.raises(CandidateFailed):
        await deployments(kube, schedule_s=0).deploy(GRAPH, "m", silent)
    await deployments(kube).retire(GRAPH, 0)
    return kube.calls


async def an_engine_that_is_asked_how_much_it_holds() -> Calls:
    kube = cluster()
    await engine_facts(kube, GRAPH, Expected())  # type: ignore[arg-type]
    return kube.calls


@pytest.fixture
async def called() -> Calls:
    return {
        *await a_run_that_keeps_records(),
        *await a_candidate_without_a_node(),
        *await an_engine_that_is_asked_how_much_it_holds(),
    }


def rules() -> list[dict[str, Any]]:
    role = render_account(ASKED, "dgdr-operator-profiling-job")[1]
    found: list[dict[str, Any]] = role["rules"]
    return found


def rights(calls: Calls) -> set[tuple[str, str, str]]:
    return {(GROUPS.get(resource, ""), resource, verb) for verb, resource, _ in calls}


def test_every_call_of_the_job_is_allowed(called: Calls) -> None:
    logs = {("", "pods/log", "get")}  # a refusal is an answer: see profiling.readLogs
    held = granted("dgdr-operator-profiling-job") | of_rules(rules())
    assert rights(called) - logs - held == set()


def test_every_right_of_the_job_is_used(called: Calls) -> None:
    assert granted("dgdr-operator-profiling-job") - rights(called) == set()
    assert of_rules(rules()) - rights(called) == set()


def test_configmaps_are_read_and_written_by_the_names_that_are_granted(called: Calls) -> None:
    for verb in ("get", "patch"):
        touched = {name for v, what, name in called if (v, what) == (verb, CONFIG_MAP.plural)}
        allowed = {n for rule in rules() if verb in rule["verbs"] for n in rule["resourceNames"]}
        assert touched - allowed == set()
    written = {n for rule in rules() if "patch" in rule["verbs"] for n in rule["resourceNames"]}
    assert not [name for name in written if "other" in name]
