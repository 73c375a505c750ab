"""What is kept of objects is what passes read."""

from typing import Any

import pytest

from dgdr_kube.store import PARTIAL
from dgdr_operator.core import kept
from dgdr_operator.core.adapter import components_written_by
from dgdr_operator.core.observed_run import node_seen
from dgdr_operator.core.observed_workloads import pods_seen
from support.dgdr_world import node


def manifest(kind: str, **more: Any) -> dict[str, Any]:
    meta = {"name": "a", "namespace": "ns", "uid": "u", "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, **more}


def test_a_node_is_its_gpus() -> None:
    whole = node()
    whole["metadata"] |= {"resourceVersion": "1", "uid": "u", "annotations": {"much": "x" * 9999}}
    whole["status"] |= {"images": [{"names": ["x" * 9999]}], "conditions": [{"type": "Ready"}]}
    assert node_seen(kept.of_node(whole)) == node_seen(whole)
    assert len(str(kept.of_node(whole))) < 500


def test_a_pod_is_its_troubles() -> None:
    stuck = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    status = {
        "phase": "Pending",
        "podIPs": [{"ip": "10.0.0.1"}],
        "conditions": [
            {"type": "Ready", "status": "False"},
            {"type": "PodScheduled", "status": "False", "message": "no node"},
        ],
        "containerStatuses": [{"name": "main", "ready": False, "state": stuck}],
    }
    whole = manifest("Pod", spec={"containers": [{"env": ["x" * 999]}]}, status=status)
    assert pods_seen([kept.of_pod(whole)]) == pods_seen([whole])
    assert "spec" not in kept.of_pod(whole)


def test_who_wrote_is_kept_and_of_what_only_an_adapters_numbers() -> None:
    fields = {"f:spec": {"f:components": {'k:{"name":"decode"}': {"f:replicas": {}}}}}
    written = [
        {"manager": who, "operation": "Apply", "fieldsV1": fields, "time": "t"}
        for who in ("dgdr-scale", "kubectl")
    ]
    whole = manifest("DynamoGraphDeployment")
    whole["metadata"]["managedFields"] = written
    whole["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": "{}", "dgdr.dev/applied-hash": "1",
    }  # fmt: skip
    meta = kept.without_history(whole)["metadata"]
    assert components_written_by({"metadata": meta}, "dgdr-scale") == {"decode"}
    assert meta["managedFields"][1] == {"manager": "kubectl", "operation": "Apply"}
    assert meta["annotations"] == {"dgdr.dev/applied-hash": "1"}


@pytest.mark.parametrize(
    ("name", "chars", "has_data", "partial"),
    [
        ("dgdr-output-q", 1000, True, False),
        ("profile-q", 1000, True, False),
        ("dgdr-output-q", 400_000, False, True),
        ("planner-profile-data-1", 1000, False, False),
    ],
)
def test_of_results_all_is_kept_that_is_not_huge(
    name: str, chars: int, has_data: bool, partial: bool
) -> None:
    whole = manifest("ConfigMap", data={"a": "x" * chars})
    whole["metadata"]["name"] = name
    once = kept.of_config_map(whole)
    assert ("data" in once, bool(once.get(PARTIAL))) == (has_data, partial)
    assert kept.of_config_map(once) == once
