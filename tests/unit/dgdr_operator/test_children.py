"""Whose an object is, and whether it must be written."""

import copy
from typing import Any

import pytest

from dgdr_operator.core.children import Standing, is_settled, standing
from dgdr_operator.core.workloads import render_workloads
from support.dgds import OWNER, PLANE, decode_worker, graph

OURS_BY_LABEL = {
    "nvidia.com/managed-by": "dynamo-operator",
    "nvidia.com/dynamo-graph-deployment-name": "g",
}
ANOTHER = {"kind": "Deployment", "name": "x", "uid": "u", "controller": True}


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        pytest.param(None, Standing.FREE, id="nothing there"),
        pytest.param({"ownerReferences": [OWNER]}, Standing.OURS, id="ours"),
        pytest.param(
            {"labels": OURS_BY_LABEL, "managedFields": [{"manager": "dgdr-operator"}]},
            Standing.OURS,
            id="orphaned on purpose",
        ),
        pytest.param(
            {"labels": OURS_BY_LABEL, "managedFields": [{"manager": "kubectl-create"}]},
            Standing.FOREIGN,
            id="a user's copy",
        ),
        pytest.param(
            {"ownerReferences": [OWNER], "deletionTimestamp": "t"}, Standing.LEAVING, id="going"
        ),
        pytest.param(
            {"ownerReferences": [{**OWNER, "uid": "old"}]}, Standing.LEAVING, id="predecessor's"
        ),
        pytest.param({}, Standing.FOREIGN, id="a user's"),
        pytest.param(
            {"labels": OURS_BY_LABEL, "ownerReferences": [ANOTHER]},
            Standing.FOREIGN,
            id="another controller's, whatever its labels say",
        ),
    ],
)
def test_standing(metadata: dict[str, Any] | None, expected: Standing) -> None:
    live = None if metadata is None else {"metadata": {"name": "x", **metadata}}
    assert standing(live, OWNER) is expected


def deployment() -> dict[str, Any]:
    workloads = render_workloads(graph(decode_worker()), OWNER, PLANE)
    return copy.deepcopy(workloads.manifests[-1])


def test_defaults_of_the_api_server_are_no_difference() -> None:
    live = deployment()
    live["spec"]["revisionHistoryLimit"] = 10
    live["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    assert is_settled(live, deployment())


def test_somebody_elses_edit_is_a_difference() -> None:
    live = deployment()
    live["spec"]["replicas"] = 9
    assert not is_settled(live, deployment())


def test_something_that_we_no_longer_want_is_a_difference() -> None:
    component = decode_worker()
    component["podTemplate"]["metadata"] = {"annotations": {"old": "1"}}
    live = copy.deepcopy(render_workloads(graph(component), OWNER, PLANE).manifests[-1])
    assert not is_settled(live, deployment())


def test_what_the_api_server_writes_its_own_way_is_no_difference() -> None:
    resources = {"limits": {"cpu": "0.5", "memory": "1024Mi"}}
    component = decode_worker(main={"env": [{"name": "A", "value": ""}], "resources": resources})
    wanted = render_workloads(graph(component), OWNER, PLANE).manifests[-1]
    live = copy.deepcopy(wanted)
    (main,) = live["spec"]["template"]["spec"]["containers"]
    main["resources"]["limits"] = {"cpu": "500m", "memory": "1Gi"}
    del main["env"][-1]["value"]
    assert is_settled(live, wanted)
