from typing import Any

import pytest

from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_api.models.profiling_policy import ProfilingPolicySpec
from dgdr_api.problem import Problem, summary
from dgdr_api.validate import problems
from dgdr_api.validate_name import names_with_grove
from dgdr_api.validate_references import missing_claim, missing_config_map, missing_policy

GOOD: dict[str, Any] = {"model": "m", "image": "r.test/vllm-runtime:1"}
MOCKERS = ProfilingPolicySpec.model_validate({"candidateEngine": "mocker"})
ENGINES = ProfilingPolicySpec()
DGD = {"apiVersion": "nvidia.com/v1beta1", "kind": "DynamoGraphDeployment"}


def said(policy: ProfilingPolicySpec | None = None, name: str = "", **fields: Any) -> list[str]:
    spec = DGDRSpec.model_validate(GOOD | fields)
    return [str(problem) for problem in problems(spec, policy, name)]


def test_a_good_spec_has_no_problem() -> None:
    assert said(name="qwen") == []


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        pytest.param(
            {"sla": {"ttft": 5}},
            'spec.sla: Invalid value: {"ttft": 5.0}: ttft and itl belong together: give both in '
            "milliseconds, or none of them",
            id="ttft alone",
        ),
        pytest.param(
            {"sla": {"ttft": 5, "itl": 5, "e2eLatency": 9}},
            "spec.sla.e2eLatency: Invalid value: 9.0: e2eLatency replaces ttft and itl: give "
            "either e2eLatency, or ttft with itl",
            id="e2e with ttft",
        ),
        pytest.param(
            {"workload": {"requestRate": 5, "concurrency": 5}},
            "spec.workload.requestRate: Invalid value: 5.0: requestRate and concurrency exclude "
            "each other: give requests per second or requests in flight",
            id="rate with concurrency",
        ),
        pytest.param(
            {"searchStrategy": "thorough"},
            'spec.searchStrategy: Invalid value: "thorough": is incompatible with spec.backend '
            '"auto"; set spec.backend to a specific backend (sglang, trtllm, or vllm)',
            id="thorough with auto",
        ),
        pytest.param(
            {"image": "r.test/dynamo-planner@sha256:00"},
            'spec.image: Invalid value: "r.test/dynamo-planner@sha256:00": a digest names this '
            "image alone, so the runtime image cannot be derived from it; name the runtime image, "
            "or give a tag",
            id="profiler image by digest",
        ),
        pytest.param(
            {"backend": "sglang", "image": "r.test/vllm-runtime:1@sha256:00"},
            'spec.image: Invalid value: "r.test/vllm-runtime:1@sha256:00": a digest names this '
            "image alone, so the runtime image cannot be derived from it; name the runtime image, "
            "or give a tag",
            id="another backend's image by digest",
        ),
        pytest.param(
            {"modelCache": {"pvcModelPath": "a"}},
            "spec.modelCache.pvcName: Required value: pvcModelPath and pvcMountPath need the "
            "PersistentVolumeClaim that they are in",
            id="path without claim",
        ),
        pytest.param(
            {"overrides": {"dgd": DGD | {"apiVersion": "v1"}}},
            'spec.overrides.dgd.apiVersion: Invalid value: "v1": use one of nvidia.com/v1beta1, '
            "nvidia.com/v1alpha1",
            id="override of another version",
        ),
        pytest.param(
            {"overrides": {"dgd": DGD | {"kind": "Pod"}}},
            'spec.overrides.dgd.kind: Invalid value: "Pod": use DynamoGraphDeployment',
            id="override of another kind",
        ),
        pytest.param(
            {"overrides": {"dgd": DGD | {"status": {"state": "failed"}}}},
            "spec.overrides.dgd.status: Invalid value: {}: status cannot be overridden; remove it",
            id="override of the status",
        ),
        pytest.param(
            {"overrides": {"dgd": DGD | {"spec": {"components": [{"replicas": None}]}}}},
            'spec.overrides.dgd.spec.components[0].replicas: Invalid value: "null": null removes '
            "nothing here; leave the field out",
            id="null in an override",
        ),
        pytest.param(
            {"features": {"planner": {"ttft": "fast"}}},
            'spec.features.planner.ttft: Invalid value: "fast": input should be a valid number, '
            "unable to parse string as a number",
            id="planner key of the wrong type",
        ),
        pytest.param(
            {
                "features": {
                    "mocker": {"enabled": True},
                    "planner": {"pre_deployment_sweeping_mode": "none"},
                }
            },
            'spec.features.planner.pre_deployment_sweeping_mode: Invalid value: "none": the '
            "mocker and the planner live on measured curves; use rapid or thorough, or switch "
            "features.mocker off",
            id="mocker without curves",
        ),
    ],
)
def test_one_problem_says_field_value_and_cure(fields: dict[str, Any], text: str) -> None:
    assert said(**fields) == [text]


@pytest.mark.parametrize(
    ("mocker", "policy", "needed"),
    [
        pytest.param(False, ENGINES, True, id="engines everywhere"),
        pytest.param(False, MOCKERS, True, id="the deployment runs it"),
        pytest.param(True, ENGINES, True, id="the candidates run it"),
        pytest.param(True, MOCKERS, False, id="nobody runs it"),
        pytest.param(True, None, False, id="the policy is not known yet"),
        pytest.param(False, None, True, id="whatever the policy says"),
    ],
)
def test_an_image_is_needed_as_soon_as_something_runs_it(
    mocker: bool, policy: ProfilingPolicySpec | None, needed: bool
) -> None:
    found = said(policy, image=None, features={"mocker": {"enabled": mocker}})
    assert bool(found) is needed
    assert all(text.startswith("spec.image: Required value: name the") for text in found)


@pytest.mark.parametrize(
    ("name", "override", "field"),
    [
        ("a" * 50, None, None),
        ("a" * 51, None, "metadata.name"),
        ("a" * 51, "b" * 36, None),
        ("a", "b" * 54, None),
        ("a", "b" * 55, "spec.overrides.dgd.metadata.name"),
        ("a", "Upper", "spec.overrides.dgd.metadata.name"),
        ("7b-chat", None, "metadata.name"),
        ("7b-chat", "chat", "metadata.name"),
        ("chat", "7b", "spec.overrides.dgd.metadata.name"),
    ],
)
def test_names_fit_the_budget(name: str, override: str | None, field: str | None) -> None:
    dgd = DGD | {"metadata": {"name": override}} if override else DGD
    found = problems(DGDRSpec.model_validate(GOOD | {"overrides": {"dgd": dgd}}), None, name)
    assert [problem.field for problem in found] == ([field] if field else [])


@pytest.mark.parametrize(
    ("name", "metadata", "field"),
    [
        ("a" * 33, {}, None),
        ("a" * 34, {}, "metadata.name"),
        ("a" * 34, {"name": "b" * 37}, None),
        ("a", {"name": "b" * 38}, "spec.overrides.dgd.metadata.name"),
        ("a" * 34, {"annotations": {"nvidia.com/enable-grove": "false"}}, None),
    ],
)
def test_names_fit_what_nvidias_operator_makes_with_grove(
    name: str, metadata: dict[str, Any], field: str | None
) -> None:
    dgd = DGD | {"metadata": metadata}
    spec = DGDRSpec.model_validate(GOOD | {"overrides": {"dgd": dgd}})
    found = [*names_with_grove(spec, name)]
    assert [problem.field for problem in found] == ([field] if field else [])
    assert all("use at most 3" in str(problem) for problem in found)


@pytest.mark.parametrize(
    ("version", "spec", "says"),
    [
        pytest.param("v1beta1", {"components": [{"name": "decode"}]}, None, id="v1beta1"),
        pytest.param(
            "v1beta1",
            {"components": [{"name": "decode", "podTemplate": {"spec": {"containers": "x"}}}]},
            "spec.overrides.dgd.spec.components[0].podTemplate.spec.containers: Invalid value",
            id="another shape",
        ),
        pytest.param(
            "v1beta1", {"components": [{"replicas": 2}]}, "spec.components[0].name", id="no name"
        ),
        pytest.param("v1beta1", "x", "spec.overrides.dgd.spec: Invalid value", id="no object"),
        pytest.param("v1beta1", None, None, id="nothing"),
        pytest.param(
            "v1alpha1", {"envs": [{"name": "A", "value": "b"}], "imagePullSecrets": []}, None,
            id="v1alpha1",
        ),
        pytest.param(
            "v1alpha1",
            {"services": {"decode": {"ingress": {"enabled": True}}}},
            "spec.services.decode.ingress: Forbidden: has no place in a generated deployment",
            id="a field of v1alpha1 alone",
        ),
    ],
)  # fmt: skip
def test_an_override_that_nobody_could_merge_is_said_before_profiling(
    version: str, spec: Any, says: str | None
) -> None:
    dgd = {**DGD, "apiVersion": f"nvidia.com/{version}", **({} if spec is None else {"spec": spec})}
    found = problems(DGDRSpec.model_validate(GOOD | {"overrides": {"dgd": dgd}}), None, "q")
    assert len(found) == (says is not None)
    assert says is None or says in str(found[0])


def test_what_the_cluster_lacks_is_said_in_upstreams_words() -> None:
    claim = missing_claim("c", "ns").message
    assert claim == "model cache PVC c not found in namespace ns; create it, or name another"
    data = missing_config_map("m", "ns", "p")
    assert data.field == "ProfilingPolicy p spec.mocker.profilesConfigMap"
    assert data.message.startswith("ConfigMap m not found in namespace ns; create it with")
    assert "ProfilingPolicy p not found in namespace ns" in missing_policy("p", "ns").message


def test_summary_is_one_sentence() -> None:
    found = (Problem("a", None, "give it"), Problem("b", 1, "use 2"))
    assert summary(found) == "a: Required value: give it; b: Invalid value: 1: use 2"


@pytest.mark.parametrize(
    ("planner", "least", "enough"),
    [
        pytest.param({}, None, True, id="the default holds the smallest pair"),
        pytest.param({}, 4, True, id="and one of four"),
        pytest.param({}, 8, False, id="but none of eight"),
        pytest.param({"max_gpu_budget": 16}, 8, True, id="a budget of one's own"),
        pytest.param({"max_gpu_budget": 1}, None, False, id="no pair has one GPU"),
        pytest.param({"min_endpoint": 5}, None, False, id="more replicas than GPUs"),
    ],
)
def test_a_budget_that_no_pair_can_fit_is_told_before_profiling(
    planner: dict[str, Any], least: int | None, enough: bool
) -> None:
    policy = ProfilingPolicySpec(min_gpus_per_engine=least)
    found = said(policy, features={"planner": planner})
    assert (not found) is enough
    assert all(text.startswith("spec.features.planner.max_gpu_budget: Invalid") for text in found)
