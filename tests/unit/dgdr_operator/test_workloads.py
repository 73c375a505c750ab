"""Rules that every rendered workload keeps, one at a time."""

from dataclasses import replace
from typing import Any

import pytest

from dgdr_operator.core.workloads import render_workloads
from support.dgds import OWNER, PLANE, decode_worker, entry, frontend, graph


def rendered(*components: dict[str, Any], plane: Any = PLANE, **spec: Any) -> dict[str, Any]:
    """Everything by ``Kind/name``."""
    workloads = render_workloads(graph(*components, **spec), OWNER, plane)
    return {f"{m['kind']}/{m['metadata']['name']}": m for m in workloads.manifests}


def pod(component: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    name = component["name"].lower()
    spec = rendered(component, **kwargs)[f"Deployment/g-{name}"]["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def main(component: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    container = pod(component, **kwargs)["containers"][0]
    assert isinstance(container, dict)
    return container


def env(component: dict[str, Any], **kwargs: Any) -> dict[str, str]:
    return {e["name"]: e.get("value", "") for e in main(component, **kwargs)["env"]}


@pytest.mark.parametrize("role", ["frontend", "worker", "prefill", "decode", "planner"])
def test_every_role_gets_a_deployment_and_a_service(role: str) -> None:
    assert {"Deployment/g-x", "Service/g-x"} <= rendered(entry("x", role)).keys()


@pytest.mark.parametrize("role", ["decode", "prefill", "worker", "frontend"])
def test_selectors_hold_only_what_no_edit_changes(role: str) -> None:
    made = rendered(entry("decode", role))
    selector = {"nvidia.com/selector": "g-decode"}
    assert made["Deployment/g-decode"]["spec"]["selector"] == {"matchLabels": selector}
    assert made["Service/g-decode"]["spec"]["selector"] == selector


def test_a_users_label_cannot_take_a_pod_out_of_its_selector() -> None:
    component = decode_worker()
    component["podTemplate"]["metadata"] = {"labels": {"nvidia.com/selector": "x", "own": "y"}}
    labels = rendered(component)["Deployment/g-decode"]["spec"]["template"]["metadata"]["labels"]
    assert (labels["nvidia.com/selector"], labels["own"]) == ("g-decode", "y")


def test_everything_goes_with_the_graph() -> None:
    made = rendered(frontend(), decode_worker())
    assert all(m["metadata"]["ownerReferences"] == [OWNER] for m in made.values())


def test_a_priority_is_every_pods_unless_it_has_its_own() -> None:
    own = decode_worker()
    own["podTemplate"]["spec"]["priorityClassName"] = "own"
    assert pod(frontend(), priorityClassName="high")["priorityClassName"] == "high"
    assert pod(own, priorityClassName="high")["priorityClassName"] == "own"


def untyped(**main: Any) -> dict[str, Any]:
    return {key: one for key, one in entry("Router", "", main=main).items() if key != "type"}


def test_a_component_without_a_type_runs_as_it_is_written() -> None:
    container = main(untyped(command=["route"]))
    assert container["command"] == ["route"]
    assert not {"livenessProbe", "readinessProbe", "startupProbe"} & container.keys()
    assert not container.get("ports")
    assert {"DYN_COMPONENT", "DYN_SYSTEM_PORT"}.isdisjoint(env(untyped()))
    made = rendered(untyped())
    labels = made["Deployment/g-router"]["spec"]["template"]["metadata"]["labels"]
    assert "nvidia.com/dynamo-component-type" not in labels
    assert "Service/g-router" not in made


def test_its_service_has_the_ports_that_it_names() -> None:
    component = untyped(ports=[{"name": "grpc", "containerPort": 9002}, {"containerPort": 1}])
    (port,) = rendered(component)["Service/g-router"]["spec"]["ports"]
    assert port == {"name": "grpc", "port": 9002, "targetPort": "grpc", "protocol": "TCP"}


def test_replicas_that_nobody_gave_are_one() -> None:
    assert rendered(decode_worker())["Deployment/g-decode"]["spec"]["replicas"] == 1


def test_zero_replicas_are_zero() -> None:
    made = rendered(decode_worker(replicas=0))
    assert made["Deployment/g-decode"]["spec"]["replicas"] == 0


@pytest.mark.parametrize("role", ["frontend", "worker", "prefill", "decode"])
def test_dynamo_finds_the_pods_of_every_service(role: str) -> None:
    labels = rendered(entry("x", role))["Service/g-x"]["metadata"]["labels"]
    assert labels["nvidia.com/dynamo-discovery-backend"] == "kubernetes"
    assert labels["nvidia.com/dynamo-discovery-enabled"] == "true"


def test_only_workers_open_the_system_port() -> None:
    assert env(decode_worker())["DYN_SYSTEM_PORT"] == "9090"
    assert "DYN_SYSTEM_PORT" not in env(frontend())


def test_a_graph_has_a_dynamo_namespace_of_its_own() -> None:
    assert env(frontend())["DYN_NAMESPACE"] == env(decode_worker())["DYN_NAMESPACE"] == "ns-g"


@pytest.mark.parametrize(("shared", "namespace"), [(True, "dynamo"), (False, "ns-g")])
def test_components_of_several_graphs_may_share_a_namespace(shared: bool, namespace: str) -> None:
    worker = decode_worker(globalDynamoNamespace=shared)
    assert env(worker)["DYN_NAMESPACE"] == namespace
    labels = rendered(worker)["Deployment/g-decode"]["spec"]["template"]["metadata"]["labels"]
    assert labels["nvidia.com/dynamo-namespace"] == namespace


@pytest.mark.parametrize(
    ("field", "variable"),
    [
        ("nats_url", "NATS_SERVER"),
        ("etcd_endpoints", "ETCD_ENDPOINTS"),
        ("model_express_url", "MODEL_EXPRESS_URL"),
    ],
)
def test_a_server_is_named_only_when_there_is_one(field: str, variable: str) -> None:
    assert variable not in env(decode_worker())
    there: Any = {field: "here:1"}
    assert env(decode_worker(), plane=replace(PLANE, **there))[variable] == "here:1"


def test_a_variable_of_the_component_beats_the_graphs_and_ours() -> None:
    own = decode_worker(main={"env": [{"name": "A", "value": "mine"}]})
    shared = [{"name": "A", "value": "graph"}, {"name": "DYN_EVENT_PLANE", "value": "nats"}]
    values = env(own, env=shared)
    assert (values["A"], values["DYN_EVENT_PLANE"]) == ("mine", "nats")


def test_a_replaced_variable_may_refer_to_those_written_before_it() -> None:
    variables = [{"name": "X", "value": "1"}, {"name": "DYN_COMPONENT", "value": "$(X)"}]
    names = [e["name"] for e in main(decode_worker(main={"env": variables}))["env"]]
    assert names.index("X") < names.index("DYN_COMPONENT")
    assert len(names) == len(set(names))


def test_a_users_probe_replaces_ours_whole() -> None:
    probe = {"exec": {"command": ["true"]}}
    assert main(decode_worker(main={"readinessProbe": probe}))["readinessProbe"] == probe


def test_a_slow_engine_has_two_hours_and_a_fast_one_waits_a_second() -> None:
    probe = main(decode_worker())["startupProbe"]
    assert probe["periodSeconds"] == 1
    assert probe["failureThreshold"] == 7200


@pytest.mark.parametrize("component", [frontend(), decode_worker()], ids=["frontend", "worker"])
def test_a_pod_that_must_go_serves_on_and_may_finish(component: dict[str, Any]) -> None:
    plane = replace(PLANE, pre_stop_s=9)
    assert main(component, plane=plane)["lifecycle"] == {"preStop": {"sleep": {"seconds": 9}}}
    assert pod(component, plane=plane)["terminationGracePeriodSeconds"] == 69


def test_a_hook_of_the_user_keeps_our_delay_unless_it_is_the_same_one() -> None:
    started = {"postStart": {"exec": {"command": ["x"]}}}
    assert set(main(decode_worker(main={"lifecycle": started}))["lifecycle"]) == {
        "postStart",
        "preStop",
    }
    stopped = {"preStop": {"exec": {"command": ["x"]}}}
    assert main(decode_worker(main={"lifecycle": stopped}))["lifecycle"] == stopped


def test_no_delay_when_the_installation_wants_none() -> None:
    assert "lifecycle" not in main(decode_worker(), plane=replace(PLANE, pre_stop_s=0))


@pytest.mark.parametrize(
    ("grace_s", "delay_s"),
    [
        pytest.param(30, 5, id="the whole delay fits"),
        pytest.param(3, 2, id="a shorter one, so that the API server takes the pod"),
        pytest.param(1, None, id="no time for any"),
    ],
)
def test_the_stop_delay_fits_into_the_users_grace_period(grace_s: int, delay_s: int | None) -> None:
    component = decode_worker(pod={"terminationGracePeriodSeconds": grace_s})
    lifecycle = main(component, plane=replace(PLANE, pre_stop_s=5)).get("lifecycle")
    assert lifecycle == (delay_s and {"preStop": {"sleep": {"seconds": delay_s}}})


@pytest.mark.parametrize(
    ("given", "cpu"),
    [
        pytest.param({}, "200m", id="no pod is BestEffort"),
        pytest.param({"requests": {"cpu": "3"}}, "3", id="the user's request"),
        pytest.param({"limits": {"cpu": "2"}}, None, id="a limit is the request already"),
    ],
)
def test_cpu_requests(given: dict[str, Any], cpu: str | None) -> None:
    resources = main(decode_worker(main={"resources": given}))["resources"]
    assert resources["requests"].get("cpu") == cpu


@pytest.mark.parametrize("side", ["limits", "requests"])
def test_gpus_are_limit_and_request(side: str) -> None:
    given = {side: {"nvidia.com/gpu": "4"}}
    resources = main(decode_worker(main={"resources": given}))["resources"]
    assert resources["limits"]["nvidia.com/gpu"] == "4"
    assert resources["requests"]["nvidia.com/gpu"] == "4"


def test_shared_memory_has_the_size_that_the_user_wants_or_is_off() -> None:
    def volumes(**fields: Any) -> Any:
        return pod(decode_worker(**fields)).get("volumes")

    assert volumes()[0]["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}
    assert volumes(sharedMemorySize="80Gi")[0]["emptyDir"]["sizeLimit"] == "80Gi"
    assert volumes(sharedMemorySize="0") is None


def test_a_users_own_shared_memory_is_the_only_one() -> None:
    mount = {"name": "mine", "mountPath": "/dev/shm"}
    volume = {"name": "mine", "emptyDir": {"medium": "Memory"}}
    component = decode_worker(main={"volumeMounts": [mount]}, pod={"volumes": [volume]})
    assert pod(component)["volumes"] == [volume]
    assert main(component)["volumeMounts"] == [mount]


def test_a_frontend_needs_no_command() -> None:
    program = main(frontend())
    assert program["command"] + program["args"] == ["python3", "-m", "dynamo.frontend"]


def test_arguments_of_a_frontend_go_to_our_command() -> None:
    program = main(frontend(main={"args": ["-m", "dynamo.frontend", "--router-mode", "kv"]}))
    assert program["command"] == ["python3"]
    assert program["args"][-1] == "kv"


def test_a_command_of_a_frontend_gets_no_arguments_of_ours() -> None:
    program = main(frontend(main={"command": ["own"]}))
    assert program["command"] == ["own"]
    assert "args" not in program


def test_a_mount_without_a_volume_means_the_claim_of_that_name() -> None:
    mounts = [{"name": "weights", "mountPath": "/w"}, {"name": "own", "mountPath": "/o"}]
    worker = decode_worker(
        main={"volumeMounts": mounts}, pod={"volumes": [{"name": "own", "emptyDir": {}}]}
    )
    volumes = {v["name"]: v for v in pod(worker)["volumes"]}
    assert volumes["weights"] == {
        "name": "weights",
        "persistentVolumeClaim": {"claimName": "weights"},
    }
    assert volumes["own"] == {"name": "own", "emptyDir": {}}


def test_a_planner_may_scale_its_own_graph_and_no_other_pod_may() -> None:
    made = rendered(decode_worker(), entry("Planner", "planner"))
    rules = made["Role/g-planner"]["rules"]
    scale = next(
        r for r in rules if r["resources"] == ["dynamographdeploymentscalingadapters/scale"]
    )
    assert (scale["verbs"], scale["resourceNames"]) == (["get", "patch"], ["g-decode", "g-planner"])
    patch = next(r for r in rules if "patch" in r["verbs"])
    assert (patch["resources"], patch["resourceNames"]) == (["dynamographdeployments"], ["g"])
    accounts = {
        name: made[f"Deployment/g-{name}"]["spec"]["template"]["spec"]["serviceAccountName"]
        for name in ("planner", "decode")
    }
    assert accounts == {"planner": "g-planner", "decode": "g-k8s-service-discovery"}
    subjects = made["RoleBinding/g-k8s-service-discovery"]["subjects"]
    assert "g-planner" in {subject["name"] for subject in subjects}


def test_a_global_planner_may_scale_every_graph_of_its_namespace() -> None:
    program = {"command": ["python3", "-m", "dynamo.global_planner"]}
    made = rendered(entry("GlobalPlanner", "planner", main=program))
    writes = [rule for rule in made["Role/g-planner"]["rules"] if "patch" in rule["verbs"]]
    assert [rule["resources"] for rule in writes] == [
        ["dynamographdeployments"], ["dynamographdeploymentscalingadapters/scale"],
    ]  # fmt: skip
    assert not any("resourceNames" in rule for rule in writes)


def test_an_account_of_the_users_gets_the_rights_of_a_planner() -> None:
    own = entry("Planner", "planner", pod={"serviceAccountName": "mine"})
    subjects = rendered(own)["RoleBinding/g-planner"]["subjects"]
    assert [s["name"] for s in subjects] == ["g-planner", "mine"]


def test_without_a_planner_there_are_no_rights_to_scale() -> None:
    assert "Role/g-planner" not in rendered(decode_worker())


def test_a_secret_stays_as_it_was_written() -> None:
    secret = [{"secretRef": {"name": "hf-token-secret"}}]
    assert main(decode_worker(main={"envFrom": secret}))["envFrom"] == secret


def test_an_account_of_the_users_gets_the_rights_of_discovery() -> None:
    made = rendered(frontend(), decode_worker(pod={"serviceAccountName": "own"}))
    subjects = made["RoleBinding/g-k8s-service-discovery"]["subjects"]
    assert [s["name"] for s in subjects] == ["g-k8s-service-discovery", "own"]


@pytest.mark.parametrize(
    ("component", "text"),
    [
        pytest.param(
            decode_worker(multinode={"nodeCount": 2}), "decode: multinode.nodeCount 2", id="nodes"
        ),
        pytest.param(entry("pick", "epp"), "pick: type epp", id="epp"),
        pytest.param(
            decode_worker(compilationCache={"pvcName": "c"}), "decode: compilationCache", id="cache"
        ),
        pytest.param(entry("FRONTEND.", "worker"), "its workload", id="same name"),
        pytest.param(
            decode_worker(main={"resources": {"limits": {"cpu": "lots"}}}),
            "decode: resources.limits.cpu of container main is 'lots'",
            id="quantity",
        ),
        pytest.param(
            decode_worker(
                pod={
                    "containers": [
                        {"name": "main", "image": "i"},
                        {"name": "beside", "resources": {"requests": {"memory": "8 GB"}}},
                    ]
                }
            ),
            "decode: resources.requests.memory of container beside is '8 GB'",
            id="quantity beside",
        ),
    ],
)
def test_what_cannot_be_run_is_named_and_holds_up_nothing_else(
    component: dict[str, Any], text: str
) -> None:
    other = entry("frontend-", "frontend")
    workloads = render_workloads(graph(other, component), OWNER, PLANE)
    assert [str(p) for p in workloads.problems if text in str(p)]
    deployments = [m for m in workloads.manifests if m["kind"] == "Deployment"]
    assert [d["metadata"]["name"] for d in deployments] == ["g-frontend-"]


def test_rendering_twice_gives_the_same() -> None:
    assert rendered(frontend(), decode_worker()) == rendered(frontend(), decode_worker())


SIDE = {"name": "side", "image": "dynamo:1", "args": ["-m", "dynamo.frontend"]}


def test_a_frontend_beside_an_engine_gets_what_a_frontend_gets() -> None:
    worker = decode_worker(frontendSidecar="side")
    worker["podTemplate"]["spec"]["containers"] += [SIDE, {"name": "other", "image": "i"}]
    _, side, other = pod(worker)["containers"]
    values = {one["name"]: one.get("value") for one in side["env"]}
    assert (values["DYN_COMPONENT"], values["DYN_HTTP_PORT"]) == ("frontend", "8000")
    assert (side["name"], side["command"], side["args"]) == ("side", ["python3"], SIDE["args"])
    assert side["readinessProbe"]["httpGet"]["port"] == "http"
    assert other == {"name": "other", "image": "i"}


@pytest.mark.parametrize(
    ("tag", "runtime", "wanted"),
    [("0.9.1", None, "true"), ("1.0.2", None, None), ("x", None, None), ("1.0.2", "0.7.0", "true")],
)
def test_releases_before_1_0_open_their_port_by_another_variable(
    tag: str, runtime: str | None, wanted: str | None
) -> None:
    worker = decode_worker(main={"image": f"r/vllm:{tag}"}, runtimeVersionOverride=runtime)
    assert env(worker).get("DYN_SYSTEM_ENABLED") == wanted


@pytest.mark.parametrize(
    ("tag", "runtime", "wanted"),
    [
        ("1.0.2", None, "ready"),
        ("1.1.0", None, None),
        ("x", None, None),
        ("x", "1.0.1", "ready"),
        ("0.9.1", None, "ready"),
    ],
)
def test_a_planner_that_never_tells_that_it_is_ready_is_ready_when_it_answers(
    tag: str, runtime: str | None, wanted: str | None
) -> None:
    main_of = {"image": f"r/dynamo-planner:{tag}"}
    planner = entry("Planner", "planner", main=main_of, runtimeVersionOverride=runtime)
    assert env(planner).get("DYN_SYSTEM_STARTING_HEALTH_STATUS") == wanted
    probes = {main(planner)[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe")}
    assert probes == {"/live", "/health"}


def test_an_engine_tells_itself_when_it_is_ready() -> None:
    worker = decode_worker(main={"image": "r/vllm:1.0.2"})
    assert "DYN_SYSTEM_STARTING_HEALTH_STATUS" not in env(worker)


def test_a_planner_before_1_0_opens_its_port_as_engines_do() -> None:
    planner = entry("Planner", "planner", main={"image": "r/dynamo-planner:0.9.1"})
    assert env(planner)["DYN_SYSTEM_ENABLED"] == "true"


def test_engines_tell_of_forward_passes_where_a_planner_component_reads_it() -> None:
    made = rendered(decode_worker(), entry("planner", "planner"))
    spec = made["Deployment/g-decode"]["spec"]["template"]["spec"]
    values = {one["name"]: one.get("value") for one in spec["containers"][0]["env"]}
    assert values["DYN_FORWARDPASS_METRIC_PORT"] == "20380"
    assert "DYN_FORWARDPASS_METRIC_PORT" not in env(decode_worker())


@pytest.mark.parametrize(
    ("path", "backend", "wanted"),
    [
        ("/cache", "vllm", "/cache"),
        ("/root/.cache/vllm", "vllm", None),
        (None, "vllm", None),
        ("/cache", "sglang", None),
    ],
)
def test_vllm_is_told_where_its_cache_is(
    path: str | None, backend: str, wanted: str | None
) -> None:
    worker = decode_worker(compilationCache={"pvcName": "c", "mountPath": path})
    assert env(worker, backendFramework=backend).get("VLLM_CACHE_ROOT") == wanted


def test_labels_of_a_components_pods_are_its_workloads_and_services_too() -> None:
    worker = decode_worker()
    worker["podTemplate"]["metadata"] = {"labels": {"team": "a", "nvidia.com/selector": "x"}}
    made = rendered(worker)
    for kind in ("Deployment", "Service"):
        labels = made[f"{kind}/g-decode"]["metadata"]["labels"]
        assert (labels["team"], labels["nvidia.com/selector"]) == ("a", "g-decode")


def test_a_probe_that_asks_nothing_asks_what_ours_asks_in_the_users_times() -> None:
    probe = main(decode_worker(main={"startupProbe": {"initialDelaySeconds": 180}}))["startupProbe"]
    assert probe.pop("httpGet")["path"] == "/live"
    assert probe == {"initialDelaySeconds": 180}


def test_a_probe_that_asks_something_is_the_users_alone() -> None:
    own = {"exec": {"command": ["true"]}, "periodSeconds": 3}
    assert main(decode_worker(main={"livenessProbe": own}))["livenessProbe"] == own


def test_a_planner_of_upstreams_account_gets_one_of_its_own() -> None:
    account = {"serviceAccountName": "planner-serviceaccount"}
    assert pod(entry("x", "planner", pod=account))["serviceAccountName"] == "g-planner"
    assert pod(decode_worker(pod=account))["serviceAccountName"] == "planner-serviceaccount"
