"""Every example is a manifest that our own models accept."""

from pathlib import Path

import pytest
import yaml

from dgdr_api.models.base import Resource
from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_api.models.dgdr_v1beta1 import DynamoGraphDeploymentRequest
from dgdr_api.models.gpu_budget import GPUBudget
from dgdr_api.models.profiling_policy import ProfilingPolicy
from dgdr_api.models.sla_planner import SLAPlanner

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
KINDS: dict[str, type[Resource]] = {
    "DynamoGraphDeployment": DynamoGraphDeployment,
    "DynamoGraphDeploymentRequest": DynamoGraphDeploymentRequest,
    "GPUBudget": GPUBudget,
    "ProfilingPolicy": ProfilingPolicy,
    "SLAPlanner": SLAPlanner,
}
# What the examples stand on; the API server judges these (test_chart_install).
OTHER_KINDS = {"ClusterRole", "ClusterRoleBinding", "ConfigMap", "Deployment", "Namespace"}
OTHER_KINDS |= {"Service", "ServiceAccount"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.yaml")), ids=lambda path: path.name)
def test_an_example_parses(path: Path) -> None:
    documents = list(yaml.safe_load_all(path.read_text()))
    assert documents
    for document in documents:
        if document["kind"] not in OTHER_KINDS:
            KINDS[document["kind"]].parse(document)


def test_there_is_an_example_of_each_kind_that_a_user_writes() -> None:
    kinds = {
        document["kind"]
        for path in EXAMPLES.rglob("*.yaml")
        for document in yaml.safe_load_all(path.read_text())
    }
    assert kinds == set(KINDS) | OTHER_KINDS
