"""What Argo CD, Flux and kstatus make of every status that we can write, by their own packages."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from dgdr_operator.core.steps import Step
from hack.cluster import tools
from support.written_statuses import STEPS, Read, Written, all_written

pytestmark = pytest.mark.integration

GITOPS = Path(__file__).resolve().parents[2] / "helm/dgdr-operator/gitops"
LUA = yaml.safe_load((GITOPS / "argocd/argocd-cm.yaml").read_text())["data"]
FLUX = {
    check["kind"]: {key: check[key] for key in ("inProgress", "failed", "current") if key in check}
    for check in yaml.safe_load((GITOPS / "flux/kustomization.yaml").read_text())["spec"][
        "healthCheckExprs"
    ]
}
ARGO = {Read.CURRENT: "Healthy", Read.FAILED: "Degraded", Read.IN_PROGRESS: "Progressing"}

Answer = dict[str, Any]


def lua_of(manifest: dict[str, Any]) -> str:
    group = manifest["apiVersion"].split("/")[0]
    return str(LUA[f"resource.customizations.health.{group}_{manifest['kind']}"])


@pytest.fixture(scope="module")
def judge() -> Path:
    return tools.ensure(tools.VERDICTS) / "verdicts"


def asked(judge: Path, manifests: Sequence[dict[str, Any]]) -> list[Answer]:
    questions = (
        {"object": one, "lua": lua_of(one)}
        | ({"flux": FLUX[one["kind"]]} if one["kind"] in FLUX else {})
        for one in manifests
    )
    done = subprocess.run(
        [str(judge)],
        input="\n".join(json.dumps(question) for question in questions),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def judged(judge: Path) -> list[tuple[Written, Answer]]:
    written = all_written()
    return list(zip(written, asked(judge, [one.manifest for one in written]), strict=True))


def test_the_matrix_has_every_step_of_a_request() -> None:
    assert {type(step) for step in STEPS} == set(get_args(Step))


def test_argo_cd_reads_every_status_as_it_is_meant(judged: list[tuple[Written, Answer]]) -> None:
    for one, told in judged:
        expected = Read.CURRENT if one.suspended else one.expected
        assert told["argo"]["status"] == ARGO[expected], (one, told)


def test_argo_cd_says_why(judged: list[tuple[Written, Answer]]) -> None:
    silent = [one.name for one, told in judged if not told["argo"].get("message")]
    assert silent == ["budget: unused"]


def test_flux_reads_every_status_as_it_is_meant(judged: list[tuple[Written, Answer]]) -> None:
    for one, told in judged:
        expected = Read.CURRENT if one.suspended else one.expected
        if one.manifest["kind"] in FLUX:
            assert told["flux"] == expected, (one, told)


def test_kstatus_reads_every_status_as_it_is_meant(judged: list[tuple[Written, Answer]]) -> None:
    """kstatus knows no Suspended: it waits for one.

    A planner whose pods are starting is Current for us, and in progress for kstatus.
    """
    for one, told in judged:
        if _is_scaling(one.manifest):
            assert told["kstatus"] == Read.IN_PROGRESS
        else:
            assert told["kstatus"] == one.expected, (one, told)


def _is_scaling(manifest: dict[str, Any]) -> bool:
    return manifest["kind"] == "SLAPlanner" and any(
        one["type"] == "Reconciling" and one["status"] == "True"
        for one in manifest["status"]["conditions"]
    )


NEW = [
    ("nvidia.com/v1beta1", "DynamoGraphDeploymentRequest"),
    ("nvidia.com/v1beta1", "DynamoGraphDeployment"),
    ("nvidia.com/v1beta1", "DynamoGraphDeploymentScalingAdapter"),
    ("dgdr.dev/v1alpha1", "SLAPlanner"),
]


@pytest.mark.parametrize(("version", "kind"), NEW)
def test_what_nobody_has_looked_at_is_not_healthy(judge: Path, version: str, kind: str) -> None:
    new = {"apiVersion": version, "kind": kind, "metadata": {"name": "q", "generation": 1}}
    (told,) = asked(judge, [new])
    assert told["argo"]["status"] == "Progressing"
    assert told["flux"] == "Unknown"
    # Why the scripts are needed.
    assert told["kstatus"] == "Current"


@pytest.mark.parametrize(("version", "kind"), NEW)
def test_an_edit_that_nobody_has_looked_at_is_not_healthy(
    judge: Path, version: str, kind: str
) -> None:
    edited = {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": "q", "namespace": "ns", "generation": 2},
        "status": {
            "observedGeneration": 1,
            "conditions": [{"type": "Ready", "status": "True", "reason": "R", "message": "m"}],
        },
    }
    (told,) = asked(judge, [edited])
    assert (told["argo"]["status"], told["flux"]) == ("Progressing", "InProgress")


def test_an_edit_that_came_too_late_is_degraded_with_the_reason(judge: Path) -> None:
    text = "Cannot modify spec in state 'Deployed'."
    edited = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeploymentRequest",
        "metadata": {"name": "q", "namespace": "ns", "generation": 2},
        "status": {
            "observedGeneration": 1,
            "conditions": [{"type": "SpecChangeRejected", "status": "True", "message": text}],
        },
    }
    (told,) = asked(judge, [edited])
    assert told["argo"] == {"status": "Degraded", "message": text}
