"""As whom pods of deployments may run, and what they may not do where an installation is strict."""

from dataclasses import replace
from typing import Any

import pytest

from dgdr_operator.core.pod_rules import PodRules
from dgdr_operator.core.workloads import render_workloads
from support.dgds import OWNER, PLANE, decode_worker, frontend, graph

STRICT = replace(PLANE, pods=PodRules(service_accounts=("default", "modelexpress")))


def problems(pod: dict[str, Any]) -> list[str]:
    rendered = render_workloads(graph(frontend(), decode_worker(pod=pod)), OWNER, STRICT)
    return [str(problem) for problem in rendered.problems]


@pytest.mark.parametrize("account", ["default", "modelexpress"])
def test_an_account_on_the_list_is_used(account: str) -> None:
    assert problems({"serviceAccountName": account}) == []


@pytest.mark.parametrize("field", ["serviceAccountName", "serviceAccount"])
def test_any_other_account_stops_its_component_and_names_the_cure(field: str) -> None:
    assert problems({field: "admin"}) == [
        f"decode: {field} admin is not allowed; leave it out, or have the chart's "
        "security.serviceAccounts list it"
    ]


def test_no_list_gives_away_the_account_of_a_profiling_job() -> None:
    loose = replace(PLANE, pods=PodRules(service_accounts=("*",)))
    worker = decode_worker(pod={"serviceAccountName": "dgdr-profiling-job-q"})
    (problem,) = render_workloads(graph(worker), OWNER, loose).problems
    assert "is a profiling Job's" in problem.message
    worker = decode_worker(pod={"serviceAccountName": "admin"})
    assert render_workloads(graph(worker), OWNER, loose).problems == ()


def pod_spec(component: dict[str, Any], rules: PodRules) -> dict[str, Any]:
    made = render_workloads(graph(component), OWNER, replace(PLANE, pods=rules)).manifests
    (deployment,) = (m for m in made if m["kind"] == "Deployment")
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def test_restricted_workers_keep_to_the_pod_security_standard() -> None:
    spec = pod_spec(decode_worker(), PodRules(restricted=True))
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "runAsUser": 1000,
        "fsGroup": 1000,
    }
    assert spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def test_what_a_template_says_wins() -> None:
    needs = {"capabilities": {"add": ["IPC_LOCK"]}}
    worker = decode_worker(main={"securityContext": needs}, pod={"securityContext": {"fsGroup": 7}})
    spec = pod_spec(worker, PodRules(restricted=True))
    assert spec["securityContext"] == {"fsGroup": 7}
    assert spec["containers"][0]["securityContext"]["capabilities"]["add"] == ["IPC_LOCK"]


def test_where_the_namespace_picks_the_user_none_is_asked_for() -> None:
    for restricted in (False, True):
        context = pod_spec(decode_worker(), PodRules(restricted=restricted, user_id=None))
        assert not {"runAsUser", "fsGroup"} & set(context["securityContext"])
