"""What the chart renders: whole manifests as goldens, and the promises that they must keep.

A changed golden is reviewed like code; ``DGDR_WRITE_GOLDEN=1 make integration`` writes it anew.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm/dgdr-operator"
CRDS = sorted((ROOT / "crds").glob("*.yaml"))
GOLDEN = Path(__file__).with_name("golden")
CASES = ("default", "namespaced", "nats", "platform", "beside", "takeover")
# Compared with their sources below; a golden of them would be a third copy.
ELSEWHERE = tuple(
    f"# Source: dgdr-operator/templates/{name}.yaml" for name in ("crds", "rules", "dashboard")
)

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def helm() -> Path:
    """Helm from the pinned tools; built when nobody has done so yet."""
    built = subprocess.run(
        [sys.executable, "-m", "hack.cluster", "build", "--tier", "light"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(built.stdout.strip().splitlines()[-1]) / "helm"


def template(helm: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Render with the least that an installation says, and what a test says."""
    return bare_template(helm, *values_of("default"), *arguments)


def bare_template(helm: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(str(helm), "template", "dgdr-operator", str(CHART)),
            *("--namespace", "dgdr-system", "--kube-version", "1.34.4", *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def values_of(case: str) -> list[str]:
    return ["--values", str(CHART / f"ci/{case}-values.yaml")]


def rendered_mode(case: str) -> str:
    text = (CHART / f"ci/{case}-values.yaml").read_text()
    return str((yaml.safe_load(text) or {}).get("mode", "Standalone"))


def rendered(helm: Path, *arguments: str) -> list[Manifest]:
    ran = template(helm, *arguments)
    assert ran.returncode == 0, ran.stderr
    return [document for document in yaml.safe_load_all(ran.stdout) if document]


def named(documents: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = (d for d in documents if d["kind"] == kind and d["metadata"]["name"] == name)
    return found


def reviewed(text: str) -> str:
    """Drop what is generated, or compared with its source."""
    return "---\n".join(part for part in text.split("---\n") if not part.startswith(ELSEWHERE))


@pytest.mark.parametrize("case", CASES)
def test_the_chart_renders_as_reviewed(helm: Path, case: str) -> None:
    ran = template(helm, *values_of(case))
    assert ran.returncode == 0, ran.stderr
    text, golden = reviewed(ran.stdout), GOLDEN / f"chart-{case}.yaml"
    if os.environ.get("DGDR_WRITE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("case", CASES)
def test_helm_lint_is_content(helm: Path, case: str) -> None:
    ran = subprocess.run(
        [
            *(str(helm), "lint", "--strict", "--kube-version", "1.34.4", str(CHART)),
            *values_of("default"),
            *values_of(case),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_crds_are_those_that_the_models_generate(helm: Path) -> None:
    documents = [d for d in rendered(helm) if d["kind"] == "CustomResourceDefinition"]
    sources = [yaml.safe_load(path.read_text()) for path in CRDS]
    assert {d["metadata"]["name"]: d["spec"] for d in documents} == {
        d["metadata"]["name"]: d["spec"] for d in sources
    }
    for document in documents:
        assert document["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert document["metadata"]["labels"]["app.kubernetes.io/part-of"] == "dgdr-operator"


def test_crds_that_are_not_kept_go_with_the_release(helm: Path) -> None:
    documents = rendered(helm, "--set", "crds.keep=false")
    crd = named(documents, "CustomResourceDefinition", "slaplanners.dgdr.dev")
    assert "helm.sh/resource-policy" not in crd["metadata"].get("annotations", {})


def test_whole_numbers_of_a_schema_stay_whole(helm: Path) -> None:
    assert not re.search(r": \d(\.\d+)?e\+\d", template(helm).stdout)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        pytest.param("mode=Both", "/mode", id="a mode that is none"),
        pytest.param("mode=Takeover", "name them", id="a takeover of no namespace"),
        pytest.param("namspaces={a}", "namspaces", id="a misspelt value"),
        pytest.param("operator.replicas=0", "replicas", id="no operator"),
        pytest.param("dataPlane.eventPlane=nats", "/dataPlane/natsUrl", id="NATS without a URL"),
        pytest.param("dataPlane.discovery=etcd", "/dataPlane/etcdEndpoints", id="etcd without one"),
        pytest.param("prometheus.url=prometheus:9090", "/prometheus/url", id="no URL"),
        pytest.param("prometheus.url=http://a:b@p", "/prometheus/url", id="a URL with a password"),
        pytest.param("prometheus.url=http://p/?a=b", "/prometheus/url", id="a URL with a query"),
        pytest.param("prometheus.parameters.query=x", "'query'", id="a query of one's own"),
        pytest.param("prometheus.timeoutSeconds=0", "/prometheus/timeoutSeconds", id="no time"),
        pytest.param("health.port=80", "/health/port", id="a port for root only"),
        pytest.param("images.pullPolicy=Sometimes", "/images/pullPolicy", id="an unknown policy"),
        pytest.param("namespaces={Team_A}", "/namespaces/0", id="no namespace's name"),
        pytest.param("logLevel=LOUD", "/logLevel", id="an unknown level"),
        pytest.param("global.imageRegistry=https://r", "/global/imageRegistry", id="a URL"),
        pytest.param(
            r"planner.podLabels.app\.kubernetes\.io/name=x",
            "app.kubernetes.io/name",
            id="a label that selects",
        ),
        pytest.param("operator.extraEnv[0].nmae=x", "/operator/extraEnv/0", id="no variable"),
    ],
)
def test_a_wrong_value_is_refused_by_name(helm: Path, setting: str, message: str) -> None:
    ran = template(helm, "--set", setting)
    assert ran.returncode != 0
    assert message in ran.stderr


@pytest.mark.parametrize("image", ["operator", "profiler"])
def test_without_an_image_the_chart_says_what_to_do(helm: Path, image: str) -> None:
    ran = template(helm, "--set", f"images.{image}=")
    assert ran.returncode != 0
    assert f"--set images.{image}=REGISTRY/dgdr/{image}:TAG" in ran.stderr
    assert "docs/install.md" in ran.stderr


def images(documents: list[Manifest]) -> dict[str, str]:
    (config,) = (d for d in documents if d["kind"] == "ConfigMap" and "config.yaml" in d["data"])
    settings = yaml.safe_load(config["data"]["config.yaml"])["images"]
    (operator,) = {pod["containers"][0]["image"] for pod in pods(documents)}
    return {"operator": operator} | {key: settings[key] for key in ("profiler", "dynamoMocker")}


def test_a_registry_alone_names_all_images(helm: Path) -> None:
    ran = bare_template(helm, "--set", "global.imageRegistry=mirror.example.com/ai")
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert images([d for d in yaml.safe_load_all(ran.stdout) if d]) == {
        "operator": f"mirror.example.com/ai/dgdr/operator:{version}",
        "profiler": f"mirror.example.com/ai/dgdr/profiler:{version}",
        "dynamoMocker": f"mirror.example.com/ai/dgdr/dynamo-mocker:{version}",
    }


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("registry.test/dgdr/operator:1", "m:5000/dgdr/operator:1"),
        ("localhost/operator:1", "m:5000/operator:1"),
        ("r:80/operator@sha256:00", "m:5000/operator@sha256:00"),
        ("dgdr/operator:1", "m:5000/dgdr/operator:1"),
        ("operator:1", "m:5000/operator:1"),
    ],
)
def test_a_registry_takes_the_place_of_the_one_in_a_reference(
    helm: Path, reference: str, expected: str
) -> None:
    settings = f"global.imageRegistry=m:5000,images.operator={reference}"
    assert images(rendered(helm, "--set", settings))["operator"] == expected


def test_mockers_need_no_image_until_somebody_asks_for_one(helm: Path) -> None:
    assert images(rendered(helm, "--set", "images.dynamoMocker="))["dynamoMocker"] == ""


def values(node: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return what can be set, by its path: what is no object with fields of ours."""
    if not isinstance(node, dict) or not node or path[-1:] in OPAQUE:
        return {path: node}
    return {k: v for key, child in node.items() for k, v in values(child, (*path, key)).items()}


OPAQUE = (("resources",), ("labels",))


def test_every_value_is_changed_in_some_reviewed_case() -> None:
    defaults = values(yaml.safe_load((CHART / "values.yaml").read_text()))
    cases = [yaml.safe_load((CHART / f"ci/{case}-values.yaml").read_text()) for case in CASES]
    changed = {
        path
        for path, default in defaults.items()
        for case in cases
        if (set_to := setting(case, path)) is not None and set_to != default
    }
    assert set(defaults) - changed == set()


def setting(case: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        case = case.get(key) if isinstance(case, dict) else None
    return case


def test_every_value_has_a_comment() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    bare = [
        line.strip()
        for before, line in zip(["", *lines], lines, strict=False)
        if re.match(r"^ *[A-Za-z]+:( .*)?$", line) and not before.strip().startswith("#")
    ]
    # What resources consist of is Kubernetes' own.
    assert [line for line in bare if line.split(":")[0] not in ("requests", "limits")] == []


def pods(documents: list[Manifest]) -> list[Manifest]:
    return [d["spec"]["template"]["spec"] for d in documents if d["kind"] == "Deployment"]


def test_a_second_pod_of_each_program_stands_by(helm: Path) -> None:
    documents = rendered(helm)
    for name in ("dgdr-operator", "dgdr-operator-planner", "dgdr-operator-webhooks"):
        spec = named(documents, "Deployment", name)["spec"]
        assert spec["replicas"] == 2
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        budget = named(documents, "PodDisruptionBudget", name)["spec"]
        assert budget["minAvailable"] == 1
        assert budget["selector"] == spec["selector"]
        labels = spec["template"]["metadata"]["labels"]
        assert budget["selector"]["matchLabels"].items() <= labels.items()


def test_a_budget_for_one_pod_would_hold_up_every_drain(helm: Path) -> None:
    documents = rendered(
        helm, "--set", "operator.replicas=1,planner.replicas=1,webhooks.replicas=1"
    )
    assert not [d for d in documents if d["kind"] == "PodDisruptionBudget"]


@pytest.mark.parametrize("release", ["dgdr-operator", "second"])
def test_each_program_may_write_its_own_lease_and_no_other(helm: Path, release: str) -> None:
    from dgdr_operator import settings

    documents = rendered(helm, "--set", f"fullnameOverride={release}")
    config = named(documents, "ConfigMap", release)["data"]["config.yaml"]
    election = settings.parse(config).leader_election
    assert election is not None
    assert election.namespace == "dgdr-system"
    for lease in (election.operator_lease, election.planner_lease):
        role = named(documents, "Role", f"{lease}-lease")
        assert role["metadata"]["namespace"] == election.namespace
        held = [(rule.get("resourceNames"), rule["verbs"]) for rule in role["rules"]]
        assert held == [(None, ["create"]), ([lease], ["get", "patch"])]
        (subject,) = named(documents, "RoleBinding", f"{lease}-lease")["subjects"]
        pod = named(documents, "Deployment", lease)["spec"]["template"]["spec"]
        assert subject["name"] == pod["serviceAccountName"]


def test_pods_of_a_program_avoid_each_other_unless_told_where_to_be(helm: Path) -> None:
    for pod in pods(rendered(helm)):
        assert "podAntiAffinity" in pod["affinity"]
    own = {"nodeAffinity": {}}
    documents = rendered(helm, "--set-json", f"operator.affinity={json.dumps(own)}")
    assert (
        named(documents, "Deployment", "dgdr-operator")["spec"]["template"]["spec"]["affinity"]
        == own
    )


def test_programs_run_with_the_least_that_a_pod_can_have(helm: Path) -> None:
    for pod in pods(rendered(helm)):
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"]["cpu"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container)


@pytest.mark.parametrize("case", CASES)
def test_both_programs_understand_the_settings(helm: Path, case: str) -> None:
    from dgdr_operator import settings
    from dgdr_planner import settings as planner_settings

    documents = rendered(helm, *values_of(case))
    (config,) = (d for d in documents if d["kind"] == "ConfigMap" and "config.yaml" in d["data"])
    assert settings.parse(config["data"]["config.yaml"]).mode == rendered_mode(case)
    assert planner_settings.parse(config["data"]["config.yaml"]).prometheus.url


def test_people_get_the_kinds_with_kubernetes_own_roles(helm: Path) -> None:
    documents = rendered(helm)
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    granted = {
        label.removeprefix(prefix): {
            (resource, verb)
            for rule in d["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        for d in documents
        if d["kind"] == "ClusterRole"
        for label in d["metadata"]["labels"]
        if label.startswith(prefix)
    }
    kinds = {yaml.safe_load(p.read_text())["spec"]["names"]["plural"] for p in CRDS}
    assert {resource for resource, verb in granted["view"] if verb == "watch"} >= kinds
    assert {verb for _, verb in granted["view"]} == {"get", "list", "watch"}
    assert ("dynamographdeployments", "create") in granted["edit"]
    # What binds others is not written by those whom it binds.
    assert not {r for r, _ in granted["edit"]} & {"profilingpolicies", "gpubudgets"}
    assert {r for r, _ in granted["admin"]} == {"profilingpolicies", "gpubudgets"}
    assert not any("status" in resource for held in granted.values() for resource, _ in held)


def test_the_charts_test_looks_at_what_the_chart_installs(helm: Path) -> None:
    from dgdr_kube.crd_check import crd_name
    from dgdr_kube.served import Mode, installed

    documents = rendered(helm)
    assert {crd_name(kind) for kind in installed(Mode.STANDALONE)} == {
        d["metadata"]["name"] for d in documents if d["kind"] == "CustomResourceDefinition"
    }
    deployments = {d["metadata"]["name"] for d in documents if d["kind"] == "Deployment"}
    (container,) = named(documents, "Pod", "dgdr-operator-test")["spec"]["containers"]
    assert container["args"][:2] == ["Standalone", "dgdr-system"]
    assert set(container["args"][2:]) == deployments
    (rule,) = named(documents, "Role", "dgdr-operator-test")["rules"]
    assert set(rule["resourceNames"]) == deployments


@pytest.mark.parametrize("case", CASES)
def test_each_mode_installs_the_kinds_that_are_its_own(helm: Path, case: str) -> None:
    from dgdr_kube.crd_check import crd_name
    from dgdr_kube.served import Mode, installed

    documents = rendered(helm, *values_of(case))
    there = {d["metadata"]["name"] for d in documents if d["kind"] == "CustomResourceDefinition"}
    assert there in (set(map(crd_name, installed(Mode(rendered_mode(case))))), set())


def test_a_values_file_of_before_renders_as_it_did(helm: Path) -> None:
    now, before = template(helm), template(helm, "--set", "mode=standalone")
    assert before.returncode == 0, before.stderr
    assert before.stdout == now.stdout


def test_beside_nvidias_operator_nothing_of_its_is_touched_but_deployments(helm: Path) -> None:
    documents = rendered(helm, *values_of("beside"))
    held = {
        (group, resource, verb)
        for name in ("dgdr-operator", "dgdr-operator-cluster")
        for rule in rules(documents, name)
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    nvidias = {(resource, verb) for group, resource, verb in held if group == "nvidia.com"}
    assert nvidias == {
        ("dynamographdeployments", verb)
        for verb in ("get", "list", "watch", "create", "patch", "delete")
    }
    writes = {resource for _, resource, verb in held if verb not in ("get", "list", "watch")}
    assert not writes & {"deployments", "services", "leaderworkersets", "leases"}
    assert ("dgdr.dev", "dynamographdeploymentrequests/status", "patch") in held
    assert not [d for d in documents if d["kind"].endswith("WebhookConfiguration")]


def test_a_takeover_holds_its_namespaces_and_no_other(helm: Path) -> None:
    documents = rendered(helm, *values_of("takeover"))
    leases = [r for r in rules(documents, "dgdr-operator") if r["resources"] == ["leases"]]
    assert leases[0]["resourceNames"] == ["dynamo-operator-namespace-scope"]
    bound = [d for d in documents if d["kind"] == "RoleBinding"]
    assert "team-c" in {d["metadata"]["namespace"] for d in bound}
    assert not [d for d in documents if d["kind"].endswith("WebhookConfiguration")]


def rules(documents: list[Manifest], role: str) -> list[Manifest]:
    found: list[Manifest] = named(documents, "ClusterRole", role)["rules"]
    return found


@pytest.mark.parametrize(
    "role", ["dgdr-operator", "dgdr-operator-planner", "dgdr-operator-profiling-job"]
)
def test_no_right_is_a_wildcard_and_no_secret_can_be_read(helm: Path, role: str) -> None:
    for rule in rules(rendered(helm), role):
        assert "*" not in json.dumps(rule)
        assert "secrets" not in rule["resources"]
        assert "escalate" not in rule["verbs"]
        assert "impersonate" not in rule["verbs"]


def test_tenants_secrets_can_be_read_by_their_names_only(helm: Path) -> None:
    documents = rendered(helm, "--set", "prometheus.tenantSecrets={dgdr-prometheus}")
    held = [
        rule for rule in rules(documents, "dgdr-operator-planner") if "secrets" in rule["resources"]
    ]
    assert held == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["dgdr-prometheus"],
            "verbs": ["get"],
        }
    ]


def test_the_planner_alone_gets_the_credentials_of_prometheus(helm: Path) -> None:
    from dgdr_planner import settings

    documents = rendered(helm, "--set", "prometheus.credentialsSecret=prometheus-token")
    mounting = [pod for pod in pods(documents) if "prometheus-token" in json.dumps(pod)]
    assert [pod["containers"][0]["name"] for pod in mounting] == ["planner"]
    (config,) = (d for d in documents if d["kind"] == "ConfigMap" and "config.yaml" in d["data"])
    folder = settings.parse(config["data"]["config.yaml"]).prometheus.credentials_directory
    mounts = {m["name"]: m["mountPath"] for m in mounting[0]["containers"][0]["volumeMounts"]}
    assert mounts["prometheus"] == folder


def test_both_kinds_of_prometheus_get_the_same_rules(helm: Path) -> None:
    documents = rendered(helm, "--set", "metrics.rules.prometheusRule=true")
    source = yaml.safe_load((CHART / "monitoring/rules.yaml").read_text())
    plain = named(documents, "ConfigMap", "dgdr-operator-rules")["data"]["dgdr-rules.yaml"]
    assert yaml.safe_load(plain) == source
    assert named(documents, "PrometheusRule", "dgdr-operator")["spec"] == source


def test_the_dashboards_are_those_that_are_tested(helm: Path) -> None:
    found = named(rendered(helm), "ConfigMap", "dgdr-operator-dashboard")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    sources = (CHART / "monitoring/dashboards").glob("*.json")
    told = {f"dgdr-{path.name}": json.loads(path.read_text()) for path in sources}
    assert {name: json.loads(text) for name, text in found["data"].items()} == told
    assert sorted(told) == ["dgdr-operator.json", "dgdr-planner.json", "dgdr-profiling.json"]
    assert sum(map(len, found["data"].values())) < 1_000_000  # of a ConfigMap's MiB


def test_the_operator_holds_what_it_grants_to_dynamo(helm: Path) -> None:
    from dgdr_operator.core.discovery_rbac import DISCOVERY_RULES

    held = rules(rendered(helm), "dgdr-operator")
    for granted in DISCOVERY_RULES:
        assert any(
            set(granted["apiGroups"]) <= set(rule["apiGroups"])
            and set(granted["resources"]) <= set(rule["resources"])
            and set(granted["verbs"]) <= set(rule["verbs"])
            for rule in held
        ), granted


def test_rights_of_a_namespaced_install_end_at_its_namespaces(helm: Path) -> None:
    documents = rendered(helm, *values_of("namespaced"))
    everywhere = [d for d in documents if d["kind"] == "ClusterRoleBinding"]
    # The second one is there while `helm test` runs, and reads CRDs.
    assert [d["roleRef"]["name"] for d in everywhere] == [
        "dgdr-operator-cluster",
        "dgdr-operator-test",
    ]
    (read,) = rules(documents, "dgdr-operator-test")
    assert (read["resources"], read["verbs"]) == (["customresourcedefinitions"], ["get"])
    without_namespace = rules(documents, "dgdr-operator-cluster")
    assert {resource for rule in without_namespace for resource in rule["resources"]} == {
        "nodes",
        "customresourcedefinitions",
    }
    bindings = [d for d in documents if d["kind"] == "RoleBinding"]
    own = [d for d in bindings if d["metadata"]["namespace"] == "dgdr-system"]
    assert {d["roleRef"]["name"] for d in own} == {
        "dgdr-operator-lease",
        "dgdr-operator-planner-lease",
        "dgdr-operator-planner-switch",
        "dgdr-operator-test",
    }
    assert {d["metadata"]["namespace"] for d in bindings} == {"team-a", "team-b", "dgdr-system"}


def test_the_switch_that_stops_planners_is_all_they_read_beside_it(helm: Path) -> None:
    switch = named(rendered(helm), "Role", "dgdr-operator-planner-switch")
    assert switch["metadata"]["namespace"] == "dgdr-system"
    assert switch["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": ["dgdr-planner-switch"],
            "verbs": ["get"],
        }
    ]


def test_the_operator_may_watch_what_its_passes_read(helm: Path) -> None:
    from dgdr_operator.followed import COLLECTIONS

    documents = rendered(helm)
    held = rules(documents, "dgdr-operator") + rules(documents, "dgdr-operator-cluster")
    for followed in COLLECTIONS:
        assert any(
            followed.kind.group in rule["apiGroups"]
            and followed.kind.plural in rule["resources"]
            and {"list", "watch"} <= set(rule["verbs"])
            for rule in held
        ), followed.kind


def test_planners_may_watch_what_they_look_at(helm: Path) -> None:
    from dgdr_kube.workqueue import WorkQueue
    from dgdr_planner.adapters.planners import PlannerIndex
    from dgdr_planner.handlers import stores
    from support.fake_cluster import FakeCluster

    held = rules(rendered(helm), "dgdr-operator-planner")
    for kind in stores(WorkQueue(), WorkQueue(), PlannerIndex(FakeCluster())):
        assert any(
            kind.group in rule["apiGroups"]
            and kind.plural in rule["resources"]
            and {"get", "list", "watch"} <= set(rule["verbs"])
            for rule in held
        ), kind


def test_planners_may_write_numbers_and_reports_and_nothing_else(helm: Path) -> None:
    writes = {
        (resource, verb)
        for rule in rules(rendered(helm), "dgdr-operator-planner")
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if verb not in ("get", "list", "watch")
    }
    assert writes == {
        ("slaplanners/status", "patch"),
        ("gpubudgets/status", "patch"),
        ("dynamographdeployments", "patch"),
        ("dynamographdeploymentscalingadapters/scale", "patch"),
        ("events", "create"),
        ("events", "patch"),
    }


def test_the_demos_prometheus_scrapes_what_the_chart_says(helm: Path) -> None:
    chart = named(rendered(helm), "ConfigMap", "dgdr-operator-scrape-config")["data"]["dgdr.yaml"]
    demo = list(yaml.safe_load_all((ROOT / "hack/demo/prometheus.yaml").read_text()))
    (config,) = (d["data"] for d in demo if d["kind"] == "ConfigMap")
    assert config["dgdr.yaml"] == chart


def test_where_the_namespace_picks_users_no_pod_asks_for_one(helm: Path) -> None:
    from dgdr_operator import settings

    documents = rendered(helm, "--set", "security.runAsUser=null")
    for pod in pods(documents):
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
    (config,) = (d for d in documents if d["kind"] == "ConfigMap" and "config.yaml" in d["data"])
    assert settings.parse(config["data"]["config.yaml"]).security.run_as_user is None


def test_policies_that_are_kept_apart_may_be_read_there(helm: Path) -> None:
    documents = rendered(helm, "--set", "profiling.policyNamespace=platform")
    role = named(documents, "Role", "dgdr-operator-policies")
    assert role["metadata"]["namespace"] == "platform"
    assert role["rules"] == [
        {"apiGroups": ["dgdr.dev"], "resources": ["profilingpolicies"], "verbs": ["get"]}
    ]


def test_network_policies_let_planners_and_jobs_reach_what_they_need(helm: Path) -> None:
    from dgdr_operator import settings

    assert not [d for d in rendered(helm) if d["kind"] == "NetworkPolicy"]
    url = "prometheus.url=https://prometheus.example"
    documents = rendered(helm, "--set", "security.networkPolicy.enabled=true", "--set", url)
    policy = named(documents, "NetworkPolicy", "dgdr-operator-planner")
    (deployment,) = (
        d for d in documents if d["kind"] == "Deployment" and "planner" in d["metadata"]["name"]
    )
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    ports = [p["port"] for rule in policy["spec"]["egress"] for p in rule["ports"]]
    assert ports == [53, 53, 443, 6443, 443]
    (config,) = (d for d in documents if d["kind"] == "ConfigMap" and "config.yaml" in d["data"])
    assert settings.parse(config["data"]["config.yaml"]).security.job_egress_ports == (443, 6443)


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://10.0.0.5", 80),
        ("http://10.0.0.5:9090", 9090),
        ("https://thanos-query-0/prometheus", 443),
        ("http://thanos-query-0.monitoring.svc:10902/x", 10902),
    ],
)
def test_planners_reach_the_port_of_their_prometheus(helm: Path, url: str, port: int) -> None:
    set_url = f"prometheus.url={url}"
    documents = rendered(helm, "--set", "security.networkPolicy.enabled=true", "--set", set_url)
    policy = named(documents, "NetworkPolicy", "dgdr-operator-planner")
    assert policy["spec"]["egress"][-1]["ports"] == [{"protocol": "TCP", "port": port}]


def test_a_profiling_job_reads_logs_only_where_somebody_wants_it(helm: Path) -> None:
    assert "pods/log" not in json.dumps(rules(rendered(helm), "dgdr-operator-profiling-job"))
    allowed = rendered(helm, "--set", "profiling.readLogs=true")
    assert "pods/log" in json.dumps(rules(allowed, "dgdr-operator-profiling-job"))


def test_jobs_that_an_earlier_version_started_keep_what_they_need(helm: Path) -> None:
    documents = rendered(helm)
    held = {
        (resource, verb)
        for rule in rules(documents, "dgdr-operator-profiling")
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert held == {
        *(("dynamographdeployments", verb) for verb in ("create", "get", "delete")),
        *(("configmaps", verb) for verb in ("create", "get", "list", "patch")),
        ("dynamoworkermetadatas", "get"),
        ("pods", "list"),
        ("pods/log", "get"),
        ("events", "list"),
    }
    # The operator may not bind it anew.
    assert '"dgdr-operator-profiling"' not in json.dumps(rules(documents, "dgdr-operator"))


CONVERTED = [
    path for path in CRDS if yaml.safe_load(path.read_text())["spec"]["conversion"].get("webhook")
]


def test_the_api_server_asks_the_releases_own_webhooks(helm: Path) -> None:
    from dgdr_webhooks.adapters.authority import CONVERTED as NAMES
    from dgdr_webhooks.core.trust import Place
    from dgdr_webhooks.settings import parse

    documents = rendered(
        helm, "--set", "fullnameOverride=own,admission.defaultImage=r/vllm-runtime:1"
    )
    (config,) = (d for d in documents if d["kind"] == "ConfigMap" and "config.yaml" in d["data"])
    own = parse(config["data"]["config.yaml"]).webhooks
    place = Place(namespace=own.namespace, service=own.service)
    crds = [named(documents, "CustomResourceDefinition", name) for name in NAMES]
    assert len(crds) == len(CONVERTED) == 3
    for crd in crds:
        assert place.is_meant_by(crd["spec"]["conversion"]["webhook"]["clientConfig"])
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
        for webhook in named(documents, kind, own.configuration)["webhooks"]:
            assert place.is_meant_by(webhook["clientConfig"])
    assert named(documents, "Secret", own.certificate.secret).get("data") is None
    service = named(documents, "Service", own.service)["spec"]
    pod = named(documents, "Deployment", "own-webhooks")["spec"]["template"]
    assert service["selector"].items() <= pod["metadata"]["labels"].items()
    ports = {one["name"]: one["containerPort"] for one in pod["spec"]["containers"][0]["ports"]}
    assert ports["webhooks"] == own.port


def test_webhooks_may_write_certificates_and_whom_to_trust_and_nothing_else(helm: Path) -> None:
    documents = rendered(helm)
    role = named(documents, "Role", "dgdr-operator-webhooks")
    assert role["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["dgdr-operator-webhooks"],
            "verbs": ["get", "patch"],
        }
    ]
    for rule in rules(documents, "dgdr-operator-webhooks"):
        assert rule["verbs"] == ["get", "patch"]
        assert rule["resourceNames"]
    managed = rendered(helm, "--set", "admission.certificate.certManager.enabled=true")
    assert not [
        d
        for d in managed
        if d["kind"] == "ClusterRole"
        and "webhooks" in str(d["metadata"]["name"])
        and not d["metadata"]["name"].endswith(("farewell", "comeback"))
    ]
    (read,) = named(managed, "Role", "dgdr-operator-webhooks")["rules"]
    assert read["verbs"] == ["get"]


def test_without_webhooks_there_is_one_version_and_nobody_to_ask(helm: Path) -> None:
    documents = rendered(helm, "--set", "admission.enabled=false")
    kinds = {d["kind"] for d in documents if "webhooks" in json.dumps(d["metadata"])}
    assert kinds == set()
    for crd in (d for d in documents if d["kind"] == "CustomResourceDefinition"):
        assert crd["spec"]["conversion"] == {"strategy": "None"}
        is_one_schema = "adapters" in crd["metadata"]["name"]
        for version in crd["spec"]["versions"]:
            assert version["served"] is (version["storage"] or is_one_schema)


def test_an_image_of_the_installation_is_filled_in_by_a_webhook_of_its_own(helm: Path) -> None:
    assert not [d for d in rendered(helm) if d["kind"] == "MutatingWebhookConfiguration"]


def test_crds_that_are_kept_are_taken_leave_of(helm: Path) -> None:
    job = named(rendered(helm), "Job", "dgdr-operator-webhooks-farewell")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    for setting in ("crds.keep=false", "crds.install=false", "admission.enabled=false"):
        assert not [d for d in rendered(helm, "--set", setting) if d["kind"] == "Job"]


def test_an_install_with_cert_manager_has_the_kinds_converted_again(helm: Path) -> None:
    documents = rendered(helm, "--set", "admission.certificate.certManager.enabled=true")
    job = named(documents, "Job", "dgdr-operator-webhooks-comeback")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install"
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["python3", "-m", "dgdr_webhooks.comeback"]
    assert rules(documents, "dgdr-operator-webhooks-comeback")
