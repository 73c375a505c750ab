"""A review of conversions: all objects or none, in order, whatever they hold."""

from typing import Any

import pytest

from dgdr_api.conversion import ALPHA, BETA, converted, dgd_spec
from dgdr_webhooks.core.conversion_review import BadReview, answer


def review(*objects: Any, to: str = BETA) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "ConversionReview",
        "request": {"uid": "705ab4f5", "desiredAPIVersion": to, "objects": list(objects)},
    }


def graph(name: str = "g", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": ALPHA,
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}", "labels": {"a": "b"}},
        "spec": spec,
    }


def response(*objects: Any, to: str = BETA) -> dict[str, Any]:
    made = answer(review(*objects, to=to)).review
    assert (made["kind"], made["apiVersion"]) == ("ConversionReview", "apiextensions.k8s.io/v1")
    assert made["response"]["uid"] == "705ab4f5"
    found: dict[str, Any] = made["response"]
    return found


def test_objects_come_back_in_their_order_with_their_metadata() -> None:
    given = [graph(name, services={"Frontend": {"replicas": 1}}) for name in "cab"]
    found = response(*given)
    assert found["result"] == {"status": "Success"}
    assert [one["metadata"]["uid"] for one in found["convertedObjects"]] == [
        "uid-c",
        "uid-a",
        "uid-b",
    ]
    assert found["convertedObjects"] == [converted(one, BETA) for one in given]


def test_parts_of_objects_are_answered_with_the_metadata_that_they_have() -> None:
    """Server-side apply sends what one manager owns, and what is left without it."""
    bare = {"apiVersion": ALPHA, "kind": "DynamoGraphDeployment"}
    found = response(graph("x", services={"Frontend": {"replicas": 1}}), bare)["convertedObjects"]
    assert found[0]["metadata"]["name"] == "x"
    assert found[0]["spec"]["components"][0]["replicas"] == 1
    assert found[1] == {"apiVersion": BETA, "kind": "DynamoGraphDeployment"}


@pytest.mark.parametrize(
    "spec",
    [
        None,
        {},
        {"services": None},
        {"services": {"": {"replicas": 1}}},
        {"services": {"a": {"extraPodSpec": {"containers": []}}}},
        {"services": {"a": {"extraPodSpec": {"mainContainer": {"name": "", "image": ""}}}}},
    ],
)
def test_empty_things_come_back_from_the_other_version(spec: Any) -> None:
    given = {**graph(), "spec": spec}
    (there,) = response(given)["convertedObjects"]
    (back,) = response(there, to=ALPHA)["convertedObjects"]
    assert back == given


def test_an_object_that_is_in_the_wanted_version_already_is_returned_as_it_is() -> None:
    given = graph(services={"a": {}})
    assert response(given, to=ALPHA)["convertedObjects"] == [given]


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({**graph("odd"), "kind": "DynamoModel"}, "DynamoModel ns/odd: apiVersion, kind"),
        ({**graph("odd"), "apiVersion": "nvidia.com/v9"}, "DynamoGraphDeployment ns/odd: "),
        ("text", "object number 1: object: 'text' is not an object"),
    ],
)
def test_one_bad_object_fails_the_review_and_is_named(bad: Any, named: str) -> None:
    found = response(graph(), bad, graph("z"))
    assert found["result"]["status"] == "Failure"
    assert found["result"]["message"].startswith(named)
    assert "convertedObjects" not in found


DIGITS = "9" * 5000


def unreadable(version: str) -> dict[str, Any]:
    """An object whose one component asks for more GPUs than Python reads."""
    if version == ALPHA:
        return graph("odd", services={"w": {"resources": {"limits": {"gpu": DIGITS}}}})
    main = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": DIGITS}}}
    component = {"name": "w", "podTemplate": {"spec": {"containers": [main]}}}
    return {**graph("odd", components=[component]), "apiVersion": BETA}


@pytest.mark.parametrize(("version", "other"), [(ALPHA, BETA), (BETA, ALPHA)])
def test_a_number_of_thousands_of_digits_hides_no_other_object(version: str, other: str) -> None:
    odd = unreadable(version)
    found = response(odd, graph(), to=other)["convertedObjects"]
    assert len(found) == 2
    assert converted(found[0], version) == odd


@pytest.mark.parametrize(("version", "other"), [(ALPHA, BETA), (BETA, ALPHA)])
def test_a_component_that_fails_unexpectedly_is_kept_whole(
    version: str, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> Any:
        raise ZeroDivisionError

    for reader in ("read_service", "write_service"):
        monkeypatch.setattr(dgd_spec, reader, failing)
    (there,) = response(unreadable(version), to=other)["convertedObjects"]
    assert converted(there, version) == unreadable(version)


def test_a_list_of_a_thousand_is_answered() -> None:
    given = [graph(f"g{n}", services={"w": {"replicas": n % 9}}) for n in range(1000)]
    made = answer(review(*given))
    assert (made.objects, made.failed) == (1000, False)


def test_the_old_blob_keeps_its_meaning() -> None:
    blob = {
        "sweep": {"use_ai_configurator": True},
        "hardware": {"num_gpus_per_node": 8},
        "deployment": {"model_cache": {"pvc_name": "c", "pvc_path": "m", "mount_path": "/models"}},
        "planner": {"planner_min_endpoint": 2},
        "sla": {"isl": 3000, "osl": 150, "ttft": 200, "itl": 20},
    }
    spec = {"model": "m", "backend": "vllm", "profilingConfig": {"config": blob}}
    given = {**graph("old"), "kind": "DynamoGraphDeploymentRequest", "spec": spec}
    (there,) = response(given)["convertedObjects"]
    assert there["spec"] == {
        "model": "m",
        "backend": "vllm",
        "autoApply": False,
        "searchStrategy": "rapid",
        "hardware": {"numGpusPerNode": 8},
        "modelCache": {"pvcName": "c", "pvcModelPath": "m", "pvcMountPath": "/models"},
        "features": {"planner": {"planner_min_endpoint": 2}},
        "workload": {"isl": 3000, "osl": 150},
        "sla": {"ttft": 200, "itl": 20},
    }
    (back,) = response(there, to=ALPHA)["convertedObjects"]
    assert back == given


def test_an_empty_list_is_a_success() -> None:
    assert response()["convertedObjects"] == []


@pytest.mark.parametrize("body", [None, [], {}, {"request": None}, {"request": {"objects": []}}])
def test_what_is_no_review_is_said_to_be_none(body: Any) -> None:
    with pytest.raises(BadReview, match=r"request\.uid is missing"):
        answer(body)
