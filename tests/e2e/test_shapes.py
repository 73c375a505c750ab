"""Shapes other than a pair of equal engines, from apply to Deployed, side by side.

A mixture of experts on 8 GPUs, one role measured at a time, with the Job's pod killed on the way;
an aggregated engine with its planner; a pair whose roles differ in size; two backends that compete.
"""

import base64
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from dgdr_api import names
from dgdr_api.points import Point, PointKind
from hack.demo import request
from hack.demo.kube import Kube, Manifest, TimedOut, condition, wait_for
from hack.mocker_profiles import npz_bytes
from support import e2e
from support.e2e import DGD, mocked_request, policy, prepare
from support.profiled import output_of, points_of, report_of

pytestmark = pytest.mark.e2e

NAMESPACE = "dgdr-shapes"
MIXTURE, AGGREGATED, ROLES, RIVALS = "mixture", "whole", "roles", "rivals"
REQUESTS = (MIXTURE, AGGREGATED, ROLES, RIVALS)
MODEL = {
    "parametersBillions": 30.5, "layers": 48, "attentionHeads": 32, "kvHeads": 4, "headSize": 128,
    "hiddenSize": 2048, "experts": 128, "expertsPerToken": 8, "moeIntermediateSize": 768,
}  # fmt: skip
LOOSE = {"ttft": 5000, "itl": 1000}
# A prompt of 512 tokens takes one GPU 207 ms here, and two 115 ms; to send it takes 34 ms, and then
# there are a decode step of 23 to 36 ms and the way to the engine. So no measurement brings one GPU
# below this target, and two have much room for a busy machine. In decoding two GPUs do less each
# than one, and the target is met by both.
TTFT_OF_TWO_GPUS_MS = 235
# Of 256 tokens vLLM misses this target with 177 ms for the prompt alone; SGLang, which is
# made up to be as fast on one GPU as the other is on two, keeps it with 99 ms and a step.
TTFT_OF_SGLANG_MS = 165
SLOW = 0.125
# Beside another compiler; half of it on a machine of its own.
DEADLINE_S = 600


@dataclass(slots=True)
class Seen:
    """What was seen of the requests until they were Deployed."""

    points_then: list[Point] = field(default_factory=list)
    killed_in: str = ""
    deployed_after_s: dict[str, float] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)


def manifests() -> Iterator[Manifest]:
    """Policies and requests."""
    # Few KV blocks: small batches say as much here, and a small machine can drive them.
    yield policy(
        MIXTURE, NAMESPACE, model=MODEL, minGpusPerEngine=8, maxGpusPerEngine=8, gpusAtOnce=8,
        mocker={"speedupRatio": 0.5, "kvBlocks": 64},
    )  # fmt: skip
    yield policy(
        AGGREGATED, NAMESPACE, minGpusPerEngine=1, maxGpusPerEngine=1,
        mocker={"speedupRatio": 0.5, "kvBlocks": 64},
    )  # fmt: skip
    yield policy(
        ROLES, NAMESPACE, maxGpusPerEngine=2, mocker={"speedupRatio": SLOW, "kvBlocks": 64}
    )
    yield mocked_request(
        MIXTURE, NAMESPACE, MIXTURE, workload={"isl": 256, "osl": 32, "requestRate": 0.2},
        sla=LOOSE, hardware={"totalGpus": 16, "numGpusPerNode": 8},
    )  # fmt: skip
    yield mocked_request(
        AGGREGATED, NAMESPACE, AGGREGATED, workload={"isl": 256, "osl": 32, "requestRate": 0.2},
        sla=LOOSE, hardware={"totalGpus": 1, "numGpusPerNode": 8},
        features={
            "mocker": {"enabled": True},
            "planner": {
                "mode": "agg", "max_gpu_budget": 1, "throughput_adjustment_interval_seconds": 15,
            },
        },
    )  # fmt: skip
    yield mocked_request(
        ROLES, NAMESPACE, ROLES, workload={"isl": 512, "osl": 32},
        sla={"ttft": TTFT_OF_TWO_GPUS_MS, "itl": 1000},
        hardware={"totalGpus": 4, "numGpusPerNode": 8},
        features={"mocker": {"enabled": True}, "planner": {"mode": "disagg", "max_gpu_budget": 4}},
    )  # fmt: skip
    yield rival_profiles()
    yield policy(
        RIVALS, NAMESPACE, minGpusPerEngine=1, maxGpusPerEngine=1,
        mocker={"speedupRatio": SLOW, "kvBlocks": 64, "profilesConfigMap": "rival-profiles"},
    )  # fmt: skip
    yield mocked_request(
        RIVALS, NAMESPACE, RIVALS, backend="auto", searchStrategy="rapid",
        workload={"isl": 256, "osl": 32},
        sla={"ttft": TTFT_OF_SGLANG_MS, "itl": 1000},
        hardware={"totalGpus": 1, "numGpusPerNode": 8},
        features={"mocker": {"enabled": True}, "planner": {"mode": "agg", "max_gpu_budget": 1}},
    )  # fmt: skip


def rival_profiles() -> Manifest:
    """Data of two backends, each with its own."""
    data = {"vllm-tp-1.npz": npz_bytes(1), "sglang-tp-1.npz": npz_bytes(2)}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "rival-profiles", "namespace": NAMESPACE},
        "binaryData": {key: base64.b64encode(content).decode() for key, content in data.items()},
    }


@pytest.fixture(scope="module")
def seen(kube: Kube) -> Iterator[Seen]:
    """The requests, Deployed; the mixture's Job lost its pod on the way."""
    # Another file's deployment would hold GPUs that are needed here.
    kube.run("delete", "dgd", DGD, "--namespace", e2e.NAMESPACE, "--ignore-not-found")
    prepare(kube, NAMESPACE)
    kube.apply_all(list(manifests()))
    found, began = Seen(), time.monotonic()
    wait_for(
        "more than one candidate",
        lambda: len(points_of(kube, MIXTURE, NAMESPACE)) >= 2,
        timeout_s=DEADLINE_S,
    )
    found.points_then = points_of(kube, MIXTURE, NAMESPACE)
    kube.run(
        "delete", "pods", "--namespace", NAMESPACE, "--grace-period=0", "--force",
        "--selector", f"job-name={names.job_name(MIXTURE)}",
    )  # fmt: skip
    while len(found.deployed_after_s) < len(REQUESTS):
        note(kube, found, time.monotonic() - began)
        if time.monotonic() - began > DEADLINE_S:
            raise TimedOut(f"not Deployed within {DEADLINE_S} s: {found.lines}")
        time.sleep(1)
    yield found
    kube.run("delete", "namespace", NAMESPACE, "--wait=false")


def note(kube: Kube, found: Seen, after_s: float) -> None:
    """Look once at all requests."""
    for dgdr in kube.list("dgdr", NAMESPACE):
        name, phase = dgdr["metadata"]["name"], dgdr.get("status", {}).get("phase")
        line = request.describe(dgdr)
        if found.lines.get(name) != line:
            found.lines[name] = line
            print(f"[{after_s:6.1f} s] {name}: {line}")
        assert phase != "Failed", f"{name}: {line}"
        if phase == "Deployed":
            found.deployed_after_s.setdefault(name, round(after_s, 1))


def gpus_of(dgd: Manifest) -> dict[str, int]:
    """GPUs of one pod of each engine of a deployment."""
    return {
        entry["type"]: int(
            entry["podTemplate"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]
        )
        for entry in dgd["spec"]["components"]
        if entry["type"] != "frontend"
    }


def deployment(kube: Kube, name: str) -> Manifest:
    """The deployment that a request ended in."""
    found = kube.get("dgd", names.dgd_name(name), NAMESPACE)
    assert found is not None
    return found


def kinds_by_candidate(points: list[Point]) -> dict[str, set[PointKind]]:
    """Which curves were measured on which candidate."""
    found: dict[str, set[PointKind]] = {}
    for point in points:
        found.setdefault(point.candidate, set()).add(point.kind)
    return found


def test_all_are_deployed(kube: Kube, seen: Seen, figures: Callable[..., None]) -> None:
    counted = {n: Counter(p.candidate for p in points_of(kube, n, NAMESPACE)) for n in REQUESTS}
    figures(deployed_after_s=seen.deployed_after_s, points=counted, said=seen.lines)
    assert set(seen.deployed_after_s) == set(REQUESTS)


@pytest.mark.usefixtures("seen")
def test_a_mixture_on_eight_gpus_is_measured_one_role_at_a_time(kube: Kube) -> None:
    kinds = kinds_by_candidate(points_of(kube, MIXTURE, NAMESPACE))
    for mapping in ("tep8", "dep8"):
        assert kinds[f"pre-{mapping}"] == {PointKind.PREFILL}
        assert kinds[f"dec-{mapping}"] == {PointKind.DECODE}
    report = report_of(output_of(kube, MIXTURE, NAMESPACE))
    refused = {(entry["label"].split()[-1], entry["code"]) for entry in report["infeasible"]}
    assert refused == {("TP=8", "NoData")}


@pytest.mark.usefixtures("seen")
def test_a_mixture_fits_the_gpus_that_there_are(kube: Kube) -> None:
    report = report_of(output_of(kube, MIXTURE, NAMESPACE))
    assert report["slaReachable"] is True
    assert gpus_of(deployment(kube, MIXTURE)) == {"worker": 8}


def test_no_point_is_measured_twice_although_the_pod_was_killed(kube: Kube, seen: Seen) -> None:
    points = points_of(kube, MIXTURE, NAMESPACE)
    assert len({point.key for point in points}) == len(points)
    then = {(point.key, point.started_at) for point in seen.points_then}
    assert then <= {(point.key, point.started_at) for point in points}


@pytest.mark.usefixtures("seen")
def test_an_aggregated_winner_has_a_planner_for_its_workers(kube: Kube) -> None:
    assert gpus_of(deployment(kube, AGGREGATED)) == {"worker": 1}
    planner = kube.get("slap", names.dgd_name(AGGREGATED), NAMESPACE)
    assert planner is not None
    assert planner["spec"]["roles"] == {"worker": {"min": 1, "max": 1}}
    wait_for(
        "the planner's word on the profile",
        lambda: (
            condition(kube.get("slap", names.dgd_name(AGGREGATED), NAMESPACE), "ProfileValid").get(
                "status"
            )
            == "True"
        ),
        timeout_s=120,
    )


@pytest.mark.usefixtures("seen")
def test_roles_of_a_pair_may_differ_in_size(kube: Kube) -> None:
    report = report_of(output_of(kube, ROLES, NAMESPACE))
    assert report["selection"]["shape"] == "prefill TP=2, decode TP=1"
    assert gpus_of(deployment(kube, ROLES)) == {"prefill": 2, "decode": 1}


@pytest.mark.usefixtures("seen")
def test_of_two_backends_the_better_one_is_deployed(kube: Kube) -> None:
    counted = Counter(p.candidate for p in points_of(kube, RIVALS, NAMESPACE))
    assert set(counted) == {"vllm-agg-tp1", "sglang-agg-tp1"}
    (args,) = (
        entry["podTemplate"]["spec"]["containers"][0]["args"]
        for entry in deployment(kube, RIVALS)["spec"]["components"]
        if entry["type"] == "worker"
    )
    assert args[args.index("--engine-type") + 1] == "sglang"
    assert "/profiles/sglang-tp-1.npz" in args


@pytest.mark.usefixtures("seen")
def test_no_candidate_is_left(kube: Kube) -> None:
    assert kube.list("dgd", NAMESPACE, "dgdr.dev/candidate") == []
