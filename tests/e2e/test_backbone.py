"""One DGDR from apply to a deployment that the planner scales, in the order in which it happens."""

import json

import pytest

from dgdr_api import names
from hack.demo import load as loads
from hack.demo import request, scaling
from hack.demo.kube import Kube, condition, wait_for
from support.e2e import NAMESPACE, example, prepare
from support.profiled import arrays, output_of, points_of, report_of, truth_of

pytestmark = pytest.mark.e2e

DGDR = "qwen"
APPLIED_HASH = "dgdr.dev/applied-hash"
DGD = names.dgd_name(DGDR)
URL = names.frontend_url(NAMESPACE, DGD)


@pytest.fixture(scope="module")
def profiled(kube: Kube) -> request.Watched:
    """The DGDR, profiled and deployed."""
    prepare(kube)
    kube.apply(example("dgdr", DGDR))
    return request.watch(
        kube, DGDR, NAMESPACE, until=request.in_phase("Deployed"), timeout_s=900, say=print
    )


def test_each_candidate_was_pods_that_held_its_gpus(profiled: request.Watched) -> None:
    assert profiled.candidates == {"p-tp1": 2, "p-tp2": 4, "p-tp4": 8}


def test_each_candidate_was_deployed_once(profiled: request.Watched) -> None:
    assert {name: len(uids) for name, uids in profiled.uids.items()} == {
        "p-tp1": 1, "p-tp2": 1, "p-tp4": 1,
    }  # fmt: skip


@pytest.mark.usefixtures("profiled")
def test_no_candidate_is_left(kube: Kube) -> None:
    assert kube.list("dgd", NAMESPACE, "dgdr.dev/candidate") == []


@pytest.mark.usefixtures("profiled")
def test_the_curves_load_with_numpy(kube: Kube) -> None:
    output = output_of(kube, DGDR, NAMESPACE)
    prefill = arrays(output, names.PREFILL_NPZ_KEY)
    decode = arrays(output, names.DECODE_NPZ_KEY)
    assert len(prefill["prefill_isl"]) >= 4
    assert len(decode["z_itl"]) >= 9
    assert prefill["prefill_isl"].dtype.kind == "i"
    assert decode["max_kv_tokens"].shape == (1,)


@pytest.mark.usefixtures("profiled")
def test_measurements_agree_with_the_data_of_the_engines(kube: Kube) -> None:
    truth = truth_of(points_of(kube, DGDR, NAMESPACE))
    medians = truth.medians()
    print(json.dumps({"truth": medians}))
    assert {name for name in medians if name.startswith("itl")} == {
        "itl p-tp1", "itl p-tp2", "itl p-tp4",
    }  # fmt: skip
    # Wide, because other work on the machine delays single requests: a wrong unit, a cached prompt
    # or a batch that was not reached is off by far more. The figures above say how good it was.
    assert all(error <= 0.15 for name, error in medians.items() if name.startswith("itl")), medians
    assert all(error <= 0.75 for name, error in medians.items() if name.startswith("ttft")), medians


@pytest.mark.usefixtures("profiled")
def test_the_choice_is_the_fewest_gpus_that_meet_the_targets(kube: Kube) -> None:
    report = report_of(output_of(kube, DGDR, NAMESPACE))
    assert report["slaReachable"] is True
    dgd = kube.get("dgd", DGD, NAMESPACE)
    assert dgd is not None
    assert scaling.desired(dgd) == scaling.Replicas(prefill=1, decode=1)


@pytest.mark.usefixtures("profiled")
def test_the_planner_scales_up_and_down_under_load_and_no_request_is_lost(kube: Kube) -> None:
    scaling.shrink_soon(kube, DGD, NAMESPACE)
    high = loads.Load(name="high", url=URL, rate_per_s=6, requests=480, isl=2048, osl=64)
    loads.start_load(kube, high, NAMESPACE)
    wait_for(
        "more replicas, Ready",
        scaling.scaled(kube, DGD, NAMESPACE, lambda replicas: replicas.total > 2),
        timeout_s=180,
    )
    result = loads.load_result(kube, high, NAMESPACE)
    assert result["completed"] == result["sent"] == high.requests

    low = loads.Load(name="low", url=URL, rate_per_s=1, requests=60, isl=2048, osl=64)
    loads.start_load(kube, low, NAMESPACE)
    result = loads.load_result(kube, low, NAMESPACE)
    assert result["completed"] == result["sent"] == low.requests
    wait_for(
        "the minimum, once the load has gone",
        scaling.scaled(kube, DGD, NAMESPACE, lambda replicas: replicas.total == 2),
        timeout_s=240,
    )
    described = kube.run("describe", "slap", DGD, "--namespace", NAMESPACE)
    assert "Scaled" in described


def applied_hash(kube: Kube) -> str | None:
    """What the operator says that it applied last."""
    dgd = kube.get("dgd", DGD, NAMESPACE) or {}
    found: str | None = dgd["metadata"].get("annotations", {}).get(APPLIED_HASH)
    return found


@pytest.mark.usefixtures("profiled")
def test_three_applies_of_the_operator_keep_the_replicas_that_were_scaled(kube: Kube) -> None:
    suspend(kube, True)
    kube.run("scale", "dgdsa", f"{DGD}-decode", "--replicas=2", "--namespace", NAMESPACE)
    wait_for(
        "two decode replicas",
        scaling.scaled(kube, DGD, NAMESPACE, lambda replicas: replicas.decode == 2),
        timeout_s=60,
    )
    applied = applied_hash(kube)
    for _ in range(3):
        kube.run(
            "annotate", "dgd", DGD, f"{APPLIED_HASH}=stale", "--overwrite",
            "--namespace", NAMESPACE,
        )  # fmt: skip
        wait_for("another apply", lambda: applied_hash(kube) == applied, timeout_s=60)
        assert scaling.desired(kube.get("dgd", DGD, NAMESPACE) or {}).decode == 2
    managed = kube.run(
        "get", "dgd", DGD, "--namespace", NAMESPACE, "--output=json", "--show-managed-fields"
    )
    writers = {entry["manager"] for entry in json.loads(managed)["metadata"]["managedFields"]}
    assert {"dgdr-operator", "dgdr-scale"} <= writers
    suspend(kube, False)


def suspend(kube: Kube, suspended: bool) -> None:
    """Stop the planner, or let it go on."""
    kube.run(
        "patch", "slap", DGD, "--namespace", NAMESPACE, "--type=merge",
        "--patch", json.dumps({"spec": {"suspend": suspended}}),
    )  # fmt: skip


@pytest.mark.usefixtures("profiled")
def test_a_dead_prometheus_changes_nothing_and_is_a_condition(kube: Kube) -> None:
    before = scaling.desired(kube.get("dgd", DGD, NAMESPACE) or {})
    kube.run("scale", "deployment", "prometheus", "--replicas=0", "--namespace", "monitoring")
    wait_for(
        "MetricsAvailable=False",
        lambda: (
            condition(kube.get("slap", DGD, NAMESPACE), "MetricsAvailable").get("status") == "False"
        ),
        timeout_s=60,
    )
    assert scaling.desired(kube.get("dgd", DGD, NAMESPACE) or {}) == before
    kube.run("scale", "deployment", "prometheus", "--replicas=1", "--namespace", "monitoring")
    wait_for(
        "MetricsAvailable=True",
        lambda: (
            condition(kube.get("slap", DGD, NAMESPACE), "MetricsAvailable").get("status") == "True"
        ),
        timeout_s=90,
    )
