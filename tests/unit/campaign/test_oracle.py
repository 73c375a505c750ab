"""Each rule of the oracle is seen to fail."""

from dataclasses import replace
from typing import Any

import pytest

from campaign.oracle import Allowance, Ending, judge
from dgdr_kube.ports import Manifest

NOTHING = Allowance()


def meta(name: str, **more: Any) -> Manifest:
    return {"name": name, "namespace": "ns", "uid": f"uid-{name}", "generation": 1, **more}


def condition(type_: str, status: str = "True", reason: str = "R", message: str = "m") -> Manifest:
    return {"type": type_, "status": status, "reason": reason, "message": message}


def graph(name: str = "g", **status: Any) -> Manifest:
    said = {"observedGeneration": 1, "conditions": [condition("Ready")], **status}
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": meta(name),
        "status": said,
    }


def pod(name: str, graph_: str, gpus: int = 1) -> Manifest:
    container = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}
    labels = {"nvidia.com/dynamo-graph-deployment-name": graph_}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta(name, labels=labels),
        "spec": {"containers": [container]},
        "status": {"phase": "Running"},
    }


def config_map(name: str, **more: Any) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(name, **more), "data": {}}


def event(reason: str, number: int = 1) -> Manifest:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": meta(f"e-{reason}-{number}".lower()),
        "type": "Normal",
        "reason": reason,
        "regarding": {"kind": "DynamoGraphDeployment", "name": "g"},
    }


def ending(*manifests: Manifest, **more: Any) -> Ending:
    objects = {f"{m['kind']}/ns/{m['metadata']['name']}": m for m in manifests}
    start = Ending(
        objects=objects, births={}, wrong=(), errors=(), measured=(), writes=10, rested_s=60.0
    )
    return replace(start, **more)


WELL = ending(graph(), pod("p", "g"))


def rules(end: Ending, still: Ending = WELL, allowed: Allowance = NOTHING) -> set[str]:
    return {violation.rule for violation in judge(end, still, allowed)}


def test_the_same_end_violates_nothing() -> None:
    assert rules(WELL) == set()


@pytest.mark.parametrize(
    ("end", "rule"),
    [
        pytest.param(ending(graph()), "another end", id="a pod is missing"),
        pytest.param(
            ending(graph(), pod("p", "g"), config_map("c")), "another end", id="something is left"
        ),
        pytest.param(
            ending(graph(state="failed"), pod("p", "g")), "another end", id="another status"
        ),
        pytest.param(
            ending(graph(), pod("p", "g"), pod("x", "gone")), "leaked GPUs", id="a pod of nobody"
        ),
        pytest.param(
            ending(graph(), pod("p", "g"), graph("q-tp1")),
            "leaked GPUs",
            id="a candidate of nobody",
        ),
        pytest.param(
            ending(graph(), pod("p", "g"), config_map("c", ownerReferences=[{"uid": "gone"}])),
            "leaked",
            id="its owner is gone",
        ),
        pytest.param(ending(graph(conditions=[]), pod("p", "g")), "silent", id="no condition"),
        pytest.param(
            ending(graph(conditions=[condition("Ready", message="")]), pod("p", "g")),
            "silent",
            id="no message",
        ),
        pytest.param(ending(graph(observedGeneration=0), pod("p", "g")), "silent", id="stale"),
        pytest.param(
            ending(graph(conditions=[condition("Ready"), condition("Stalled")]), pod("p", "g")),
            "silent",
            id="ready and stalled",
        ),
        pytest.param(replace(WELL, births={("Job", "j"): 2}), "made twice", id="made twice"),
        pytest.param(replace(WELL, measured=("tp1",)), "made twice", id="measured again"),
        pytest.param(replace(WELL, writes=500), "storm", id="a storm of writes"),
        pytest.param(replace(WELL, rested_s=900.0), "late", id="late"),
        pytest.param(replace(WELL, stuck="never"), "stuck", id="stuck"),
        pytest.param(replace(WELL, wrong=("5 GPUs of 4",)), "at a moment", id="over a limit"),
        pytest.param(replace(WELL, errors=("oops",)), "unexpected exception", id="an exception"),
        pytest.param(
            ending(graph(), pod("p", "g"), event("Made"), event("Made", 2)),
            "told twice",
            id="told twice",
        ),
    ],
)
def test_a_violation_is_named(end: Ending, rule: str) -> None:
    assert rule in rules(end)


def test_an_event_that_is_lost_is_noticed() -> None:
    still = ending(graph(), pod("p", "g"), event("Made"))
    assert rules(WELL, still) == {"lost event"}
    assert rules(WELL, still, Allowance(events=True)) == set()


def test_what_a_fault_may_change_is_no_violation() -> None:
    remade = replace(WELL, births={("Job", "j"): 2}, measured=("tp1",))
    assert rules(remade, allowed=Allowance(births={("Job", "j"): 1}, measured=1)) == set()
    assert rules(ending(graph(state="x")), allowed=Allowance(end=False)) == set()


def test_the_order_of_conditions_and_their_times_are_no_difference() -> None:
    one, other = condition("Ready"), condition("Reconciling", "False")
    dated = {**one, "lastTransitionTime": "2025-01-01T00:00:00Z"}
    first = ending(graph(conditions=[one, other]))
    second = ending(graph(conditions=[other, dated]))
    assert rules(second, first) == set()
