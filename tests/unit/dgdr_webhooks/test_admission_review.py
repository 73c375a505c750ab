"""What is refused, what is warned of, and that an old fault blocks no other edit."""

import base64
import json
from typing import Any

import pytest

from dgdr_api.conversion import ALPHA, BETA
from dgdr_webhooks.core.admission_review import WARNING_CHARS, defaulted, fitting, validated

REQUEST, GRAPH = "DynamoGraphDeploymentRequest", "DynamoGraphDeployment"
POD = {"spec": {"containers": [{"name": "main", "image": "registry.test/r:1.0.2"}]}}

MAIN = POD["spec"]["containers"][0]
GPUS = {"resources": {"limits": {"nvidia.com/gpu": "9" * 5000}}}
TOO_MANY_GPUS = {"spec": {"containers": [{**MAIN, **GPUS}]}}


def made(kind: str, version: str, spec: Any, name: str = "q", **more: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec, **more}


def request(**spec: Any) -> dict[str, Any]:
    usual = {"model": "m", "backend": "vllm", "image": "registry.test/vllm-runtime:1.0.2"}
    return made(REQUEST, BETA, {**usual, **spec})


def old_request(config: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    profiling = {"profilerImage": "registry.test/vllm-runtime:1.0.2", "config": config or {}}
    return made(
        REQUEST, ALPHA, {"model": "m", "backend": "vllm", "profilingConfig": profiling, **spec}
    )


def graph(*components: dict[str, Any], name: str = "g", **spec: Any) -> dict[str, Any]:
    return made(GRAPH, BETA, {"components": list(components), **spec}, name)


def old_graph(name: str = "g", **services: Any) -> dict[str, Any]:
    return made(GRAPH, ALPHA, {"services": services}, name)


def service(**fields: Any) -> dict[str, Any]:
    pod = {"mainContainer": {"image": "registry.test/r:1.0.2"}}
    return {"componentType": "worker", "extraPodSpec": pod, **fields}


def review(new: Any, old: Any = None, operation: str = "") -> dict[str, Any]:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u1",
            "operation": operation or ("UPDATE" if old else "CREATE"),
            "object": new,
            "oldObject": old,
        },
    }


def said(new: Any, old: Any = None) -> dict[str, Any]:
    found: dict[str, Any] = validated(review(new, old)).review["response"]
    assert found["uid"] == "u1"
    return found


def refusal(new: Any, old: Any = None) -> str:
    found = said(new, old)
    assert found["allowed"] is False
    assert (found["status"]["code"], found["status"]["reason"]) == (422, "Invalid")
    return str(found["status"]["message"])


def warnings(new: Any, old: Any = None) -> list[str]:
    found = said(new, old)
    assert found["allowed"] is True, found
    return list(found.get("warnings", []))


@pytest.mark.parametrize(
    "good",
    [
        request(),
        graph({"name": "w", "type": "worker", "podTemplate": POD}),
        graph({"name": "GlobalRouter", "podTemplate": POD}),
        graph({"name": "VllmPrefillWorker", "podTemplate": POD}, name="a" * 33),
    ],
)
def test_what_runs_is_let_in_without_a_word(good: dict[str, Any]) -> None:
    assert said(good) == {"uid": "u1", "allowed": True}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        pytest.param(
            request(backend="auto", searchStrategy="thorough"),
            'spec.searchStrategy: Invalid value: "thorough": is incompatible with spec.backend '
            '"auto"; set spec.backend to a specific backend (sglang, trtllm, or vllm)',
            id="upstream's words",
        ),
        pytest.param(
            request(sla={"ttft": 10}), "spec.sla: Invalid value", id="one target of the two"
        ),
        pytest.param(
            {**request(), "metadata": {"name": "1q"}},
            'metadata.name: Invalid value: "1q": begin with a letter: Services of that name must',
            id="a name that begins with a digit",
        ),
        pytest.param(
            graph(), "spec.components: Required value: must have at least one component", id="none"
        ),
        pytest.param(
            graph({"name": "w", "podTemplate": {"spec": {"containers": ["x"]}}}),
            'spec.components[0].podTemplate.spec.containers: Invalid value: ["x"]: must be an '
            "array of objects",
            id="a malformed raw field",
        ),
        pytest.param(
            graph({"name": "w", "podTemplate": {"spec": {"terminationGracePeriodSeconds": "30s"}}}),
            "spec.components[0].podTemplate.spec.terminationGracePeriodSeconds: Invalid value",
            id="a text for a number",
        ),
        pytest.param(
            graph({"name": "w", "podTemplate": TOO_MANY_GPUS}),
            "spec.components[0].podTemplate.spec.containers[main].resources.limits[nvidia.com/gpu]",
            id="a number of thousands of digits",
        ),
        pytest.param(
            old_graph(w=service(resources={"limits": {"gpu": "9" * 5000}})),
            "spec.services.w.resources.limits.gpu: Invalid value",
            id="a number of thousands of digits in v1alpha1",
        ),
        pytest.param(
            graph({"name": "w", "type": "worker"}),
            "spec.components[0].podTemplate.spec.containers[0].image: Required value: is required",
            id="no image",
        ),
        pytest.param(
            graph({"name": "VllmPrefillWorker", "podTemplate": POD}, name="a" * 50),
            f'metadata.name: Invalid value: "{"a" * 50}": the workload {"a" * 50}-vllmprefillworker'
            " of component VllmPrefillWorker has 68 characters; names of Services have at most 63,"
            " so shorten either by 5",
            id="names that are too long together",
        ),
        pytest.param(
            old_graph(A=service(), a=service()), "spec.services: Invalid value", id="two alike"
        ),
        pytest.param(
            old_graph(Decode={"componentType": "worker"}),
            "spec.services[Decode].extraPodSpec.mainContainer.image: Required value: is required",
            id="no image, in the words of v1alpha1",
        ),
        pytest.param(
            old_graph(w=service(extraPodSpec={"mainContainer": {"image": "r:1", "args": "x"}})),
            'spec.services.w.extraPodSpec.mainContainer.args: Invalid value: "x": must be',
            id="a malformed raw field of v1alpha1",
        ),
        pytest.param(
            old_request({"sla": {"ttft": -1}}),
            "spec.profilingConfig.config.sla.ttft: Invalid value: -1",
            id="a wrong value of the blob",
        ),
    ],
)
def test_what_cannot_run_is_refused_with_field_value_and_cure(bad: Any, says: str) -> None:
    assert refusal(bad).startswith(says)


def nested(levels: int) -> Any:
    deep: Any = "x"
    for _ in range(levels):
        deep = {"a": deep}
    return deep


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (graph({"name": "w"}, providerOverride=nested(300)), "spec.providerOverride.a.a.a.a.a.a.a"),
        (
            graph({"name": "w", "experimental": nested(300)}),
            "spec.components[0].experimental.a.a.a.a.a",
        ),
        (
            graph({"name": "w", "podTemplate": {"spec": {"affinity": nested(300)}}}),
            "spec.components[0].podTemplate.spec.affinity.a.a.a",
        ),
        (
            old_graph(w=service(extraPodSpec=nested(300))),
            "spec.services.w.extraPodSpec.a.a.a.a.a",
        ),
        (request(overrides={"dgd": nested(300)}), "spec.overrides.dgd.a.a.a.a.a.a"),
        (old_request(nested(300)), "spec.profilingConfig.config.a.a.a.a.a.a"),
    ],
)
def test_what_is_nested_too_deeply_is_refused_by_the_beginning_of_its_path(
    bad: Any, field: str
) -> None:
    assert refusal(bad) == (
        f"{field}: Forbidden: is nested more than 200 levels deep; make it flatter, or keep it as "
        "a text or in a ConfigMap"
    )


def test_what_is_stored_and_nested_too_deeply_blocks_no_other_edit() -> None:
    deep = {"name": "w", "podTemplate": POD, "experimental": nested(300)}
    more = {"name": "x", "podTemplate": POD}
    assert said(graph(more, {**deep, "replicas": 2}), graph(deep))["allowed"] is True
    other = graph({**more, "experimental": nested(300)}, deep)
    assert refusal(other, graph(deep)).startswith("spec.components[0].experimental.")
    assert said(graph({**deep, "experimental": nested(150)}))["allowed"] is True


def test_two_faults_are_said_at_once() -> None:
    text = refusal(request(backend="auto", searchStrategy="thorough", sla={"itl": 5}))
    assert text.startswith("[spec.sla: ")
    assert text.endswith("]")
    assert "spec.searchStrategy" in text


@pytest.mark.parametrize(
    ("new", "says"),
    [
        pytest.param(
            made(REQUEST, BETA, {"model": "m"}),
            "spec.image: Required value: name the workers' image",
            id="no image",
        ),
        pytest.param(
            old_request({"sweep": {"dryRun": True, "use_ai_configurator": True}}),
            "spec.profilingConfig.config.sweep.dryRun: kept, without effect",
            id="a section that has no words in v1beta1",
        ),
        pytest.param(
            old_request({"planner": {"planer_min_endpoint": 2}}),
            "spec.profilingConfig.config.planner.planer_min_endpoint is unknown",
            id="a misspelt planner key of v1alpha1",
        ),
        pytest.param(
            request(features={"planner": {"planer_min_endpoint": 2}}),
            "spec.features.planner.planer_min_endpoint is unknown",
            id="a misspelt planner key",
        ),
        pytest.param(
            request(overrides={"dgd": {"apiVersion": "nvidia.com/v3", "kind": GRAPH}}),
            'spec.overrides.dgd.apiVersion: Invalid value: "nvidia.com/v3"',
            id="an override of no version",
        ),
        pytest.param(
            request(overrides={"dgd": graph({"name": "w", "podTemplate": TOO_MANY_GPUS})}),
            "spec.overrides.dgd.spec.components[0].podTemplate.spec.containers[main].resources",
            id="an override with a number of thousands of digits",
        ),
        pytest.param(
            graph({"name": "w", "podTemplate": POD, "modelRef": {"name": "m"}}),
            "spec.components[w].modelRef (a Service of the model): accepted, without effect",
            id="a field without effect",
        ),
        pytest.param(
            graph({"name": "pick", "type": "epp", "podTemplate": POD}),
            "spec.components[pick]: type epp (endpoint picker of the Gateway API) is not run",
            id="a component that nothing runs",
        ),
        pytest.param(
            request(sla={"ttft": 0.5, "itl": 0.05}),
            "spec.sla.itl is 0.05 ms; did you mean 50?",
            id="another unit",
        ),
        pytest.param(
            old_request({"sla": {"ttft": 200, "itl": 20, "isl": 20_000_000}}),
            "spec.profilingConfig.config.sla.isl is 20000000 tokens, which is above",
            id="a value that nobody means, in v1alpha1",
        ),
        pytest.param(
            old_graph(w=service(ingress={"enabled": True})),
            "spec.services.w.ingress: kept, without effect",
            id="a field of v1alpha1 alone",
        ),
        pytest.param(
            old_graph(w=service(replcas=2)),
            "spec.services.w.replcas: kept, without effect",
            id="a misspelt field of v1alpha1",
        ),
    ],
)
def test_what_has_no_effect_or_fails_later_is_said_at_once(new: Any, says: str) -> None:
    found = warnings(new)
    assert [one for one in found if one.startswith(says)], found


def test_of_very_many_fields_without_effect_the_rest_is_counted() -> None:
    unknown: dict[str, Any] = {f"u{number}": 1 for number in range(50)}
    found = warnings(old_graph(w=service(**unknown)))
    assert found[-1] == "and 20 more that may be kept without effect"
    assert len(found) == 31


def test_v1alpha1_has_a_default_for_each_target() -> None:
    assert warnings(old_request({"sla": {"ttft": 200}})) == []


def test_a_fault_that_was_there_blocks_no_other_edit() -> None:
    old = graph({"name": "w", "type": "worker"})
    edited = graph({"name": "w", "type": "worker", "replicas": 2})
    assert said(edited, old)["allowed"] is True
    worse = graph({"name": "w", "type": "worker"}, {"name": "x", "type": "worker"})
    assert refusal(worse, old).startswith("spec.components[1]")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(
            graph({"name": "a", "podTemplate": POD}, {"name": "b"}), graph({"name": "b"}), id="gone"
        ),
        pytest.param(
            graph({"name": "b"}),
            graph({"name": "a", "podTemplate": POD}, {"name": "b"}),
            id="put before it",
        ),
        pytest.param(
            old_graph(a=service(), b={"componentType": "worker"}),
            old_graph(b={"componentType": "worker"}),
            id="gone in v1alpha1",
        ),
    ],
)
def test_a_fault_is_known_by_its_components_name(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert said(new, old)["allowed"] is True


def test_a_fault_of_another_component_in_its_place_is_a_new_one() -> None:
    assert refusal(graph({"name": "c"}), graph({"name": "b"})).startswith("spec.components[0]")


def long_override(values: int) -> dict[str, Any]:
    env = [{"name": f"E{number}", "value": "x" * 100} for number in range(values)]
    pod = {"spec": {"containers": [{**MAIN, "env": env}]}}
    return request(overrides={"dgd": graph({"name": "w", "podTemplate": pod})})


def long_graph(services: int, values: int) -> dict[str, Any]:
    envs = [{"name": f"E{number}", "value": "x" * 100} for number in range(values)]
    return old_graph(**{f"w{number}": service(envs=envs) for number in range(services)})


def applied(manifest: dict[str, Any], size: int) -> dict[str, Any]:
    notes = {"kubectl.kubernetes.io/last-applied-configuration": "x" * size}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": notes}}


@pytest.mark.parametrize(
    ("bad", "field", "cure"),
    [
        pytest.param(
            long_override(2100), "spec.overrides.dgd.spec.components", "shorten it", id="v1beta1"
        ),
        pytest.param(
            long_graph(20, 60),
            "spec.services",
            "shorten it, or write the object in nvidia.com/v1beta1",
            id="v1alpha1",
        ),
        pytest.param(
            applied(long_override(1500), 100_000),
            "spec.overrides.dgd.spec.components",
            "shorten it, or use kubectl apply --server-side",
            id="beside what kubectl keeps",
        ),
    ],
)
def test_what_no_annotation_has_room_for_is_refused(
    bad: dict[str, Any], field: str, cure: str
) -> None:
    text = refusal(bad)
    assert text.startswith(f"{field}: Too long: what nvidia.com/v1")
    assert text.endswith(f"at most 262144 are allowed: {cure}")


def test_what_has_room_is_let_in() -> None:
    assert said(long_override(1500))["allowed"] is True
    assert said(applied(long_graph(5, 60), 100_000))["allowed"] is True


def test_annotations_that_leave_no_room_are_refused_too() -> None:
    old = long_override(1500)
    assert "Too long" in refusal(applied(old, 100_000), old)


def test_what_had_no_room_already_blocks_no_other_edit() -> None:
    old = long_override(2100)
    assert said(long_override(2101), old)["allowed"] is True


def test_labels_and_status_of_a_bad_object_may_change() -> None:
    old = graph()
    new = {**old, "metadata": {"name": "g", "labels": {"a": "b"}}, "status": {"state": "failed"}}
    assert said(new, old) == {"uid": "u1", "allowed": True}


def test_a_bad_object_may_go() -> None:
    going = {**graph(), "metadata": {"name": "g", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert said(going, graph({"name": "w"}))["allowed"] is True
    assert validated(review(None, graph(), "DELETE")).allowed


@pytest.mark.parametrize("phase", ["Profiling", "Deploying", "Ready", "Deployed"])
def test_a_request_in_use_is_locked_in_v1alpha1_too(phase: str) -> None:
    state = "Ready" if phase == "Deployed" else phase
    status = {"state": state, "deployment": {"name": "d", "created": phase == "Deployed"}}
    old = {**old_request(), "status": status}
    new = {**old_request({"sla": {"isl": 100}}), "status": status}
    assert refusal(new, old) == (
        f'spec: Forbidden: updates are forbidden while the resource is in phase "{phase}"; '
        "delete and recreate the resource to change its spec"
    )


def test_ready_waits_for_auto_apply_alone() -> None:
    old = {**request(autoApply=False), "status": {"phase": "Ready"}}
    assert said({**old, "spec": {**old["spec"], "autoApply": True}}, old)["allowed"] is True
    both = {**old, "spec": {**old["spec"], "autoApply": True, "model": "n"}}
    assert "Forbidden" in refusal(both, old)


def patch_of(new: Any, image: str = "registry.test/planner:1", **more: Any) -> Any:
    found = defaulted(review(new, **more), image).review["response"]
    assert found["allowed"] is True
    return json.loads(base64.b64decode(found["patch"])) if "patch" in found else None


def test_a_request_without_an_image_gets_the_installations() -> None:
    assert patch_of(made(REQUEST, BETA, {"model": "m"})) == [
        {"op": "add", "path": "/spec/image", "value": "registry.test/planner:1"}
    ]


@pytest.mark.parametrize(
    ("new", "more"),
    [
        (request(), {}),
        (made(REQUEST, BETA, {"model": "m"}), {"image": ""}),
        (made(REQUEST, BETA, {"model": "m"}), {"old": request()}),
        (made(REQUEST, BETA, None), {}),
        (graph({"name": "w"}), {}),
    ],
)
def test_nothing_else_is_written_into_an_object(new: Any, more: dict[str, Any]) -> None:
    assert patch_of(new, **more) is None


def test_warnings_fit_what_the_api_server_passes_on() -> None:
    found = fitting(["x" * 300] * 20)
    assert all(len(one) <= WARNING_CHARS for one in found)
    assert sum(map(len, found)) < 4096
    assert found[-1] == "and 5 more"
