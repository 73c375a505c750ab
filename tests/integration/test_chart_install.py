"""Install, use, uninstall: what is there at each step, and what is left at the end."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from support.cluster import TestCluster, cluster

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
CHART = str(ROOT / "helm/dgdr-operator")
SYSTEM = "dgdr-system"
TEAM = "team"
# A busy machine takes half a minute for a program's imports alone.
PATIENCE_S = 120.0
OURS = "app.kubernetes.io/part-of=dgdr-operator"
CRD_NAMES = {
    "dynamographdeploymentrequests.nvidia.com",
    "dynamographdeployments.nvidia.com",
    "dynamographdeploymentscalingadapters.nvidia.com",
    "dynamoworkermetadatas.nvidia.com",
    "gpubudgets.dgdr.dev",
    "profilingpolicies.dgdr.dev",
    "slaplanners.dgdr.dev",
}


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[TestCluster]:
    """A cluster without our CRDs: tests beside these may have installed them in the shared one."""
    with cluster(f"chart-{os.getpid()}") as booted:
        booted.add_gpu_nodes(1)
        booted.kubectl("create", "namespace", TEAM)
        yield booted


def helm(where: TestCluster, *arguments: str) -> str:
    done = subprocess.run(
        [
            *(str(where.bin_dir / "helm"), "--kubeconfig", str(where.kubeconfig)),
            *("--namespace", SYSTEM, *arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(where: TestCluster) -> str:
    return helm(
        where,
        *("install", "dgdr-operator", CHART, "--create-namespace", "--wait", "--timeout", "180s"),
        *("--values", str(ROOT / "hack/demo/values.yaml")),
    )


@pytest.fixture(scope="module")
def installed(own_cluster: TestCluster) -> TestCluster:
    """The chart, installed; its pods run as far as a cluster without containers can tell."""
    notes = install(own_cluster)
    assert "kubectl get dynamographdeploymentrequests.nvidia.com" in notes
    return own_cluster


def names(where: TestCluster, kind: str, *arguments: str) -> set[str]:
    listed = json.loads(where.kubectl("get", kind, "--output", "json", *arguments))
    return {item["metadata"]["name"] for item in listed["items"]}


def test_operator_planner_and_crds_are_there(installed: TestCluster) -> None:
    assert names(installed, "deployments", "--namespace", SYSTEM) == {
        "dgdr-operator",
        "dgdr-operator-planner",
        "dgdr-operator-webhooks",
    }
    assert names(installed, "crds", "--selector", OURS) == CRD_NAMES


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").rglob("*.yaml")), ids=lambda path: path.name
)
def test_the_api_server_accepts_every_example(installed: TestCluster, path: Path) -> None:
    documents = list(yaml.safe_load_all(path.read_text()))
    spaces = {d["metadata"].get("namespace") for d in documents} - {None}
    for space in spaces - names(installed, "namespaces"):
        installed.kubectl("create", "namespace", space)
    namespace = () if spaces else ("--namespace", TEAM)
    # Strict: a field that the schema does not know is an error, not a warning.
    installed.kubectl("apply", "--validate=strict", *namespace, "--filename", str(path))


def test_a_release_that_owns_nvidias_kinds_does_not_change_its_mode(
    installed: TestCluster,
) -> None:
    values = ("--values", str(ROOT / "hack/demo/values.yaml"), "--dry-run=server")
    helm(installed, "upgrade", "dgdr-operator", CHART, *values)
    with pytest.raises(AssertionError, match="mode Beside: this release is Standalone"):
        helm(installed, "upgrade", "dgdr-operator", CHART, *values, "--set", "mode=Beside")


OPERATOR = f"system:serviceaccount:{SYSTEM}:dgdr-operator"
PLANNER = f"system:serviceaccount:{SYSTEM}:dgdr-operator-planner"
WEBHOOKS = f"system:serviceaccount:{SYSTEM}:dgdr-operator-webhooks"


@pytest.mark.parametrize(
    ("who", "verb", "what", "may"),
    [
        (OPERATOR, "create", "jobs.batch", "yes"),
        (OPERATOR, "patch", "dynamographdeployments.nvidia.com", "yes"),
        (OPERATOR, "patch", "dynamographdeploymentrequests.nvidia.com/status", "yes"),
        (OPERATOR, "bind", "clusterroles/dgdr-operator-profiling-job", "yes"),
        (OPERATOR, "bind", "clusterroles/cluster-admin", "no"),
        (OPERATOR, "patch", "dynamographdeploymentrequests.nvidia.com", "no"),
        (OPERATOR, "delete", "dynamographdeploymentrequests.nvidia.com", "no"),
        (OPERATOR, "patch", "slaplanners.dgdr.dev", "yes"),
        (OPERATOR, "delete", "slaplanners.dgdr.dev", "yes"),
        (OPERATOR, "get", "secrets", "no"),
        (OPERATOR, "get", "pods/log", "no"),
        (WEBHOOKS, "patch", "customresourcedefinitions.apiextensions.k8s.io", "no"),
        (WEBHOOKS, "get", "secrets", "no"),
        (WEBHOOKS, "get", "dynamographdeployments.nvidia.com", "no"),
        (PLANNER, "patch", "dynamographdeploymentscalingadapters.nvidia.com/scale", "yes"),
        (PLANNER, "patch", "slaplanners.dgdr.dev/status", "yes"),
        (PLANNER, "delete", "dynamographdeployments.nvidia.com", "no"),
        (PLANNER, "create", "pods", "no"),
        (PLANNER, "get", "secrets", "no"),
    ],
)
def test_rights_are_those_that_are_needed(
    installed: TestCluster, who: str, verb: str, what: str, may: str
) -> None:
    resource, _, rest = what.partition("/")
    subresource = ["--subresource", rest] if resource != "clusterroles" else []
    asked = [what] if resource == "clusterroles" else [resource]
    done = subprocess.run(
        [
            *(str(installed.bin_dir / "kubectl"), "--kubeconfig", str(installed.kubeconfig)),
            *("auth", "can-i", verb, *asked, "--as", who, "--namespace", TEAM),
            *(subresource if rest else ()),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == may, done.stderr


@pytest.mark.parametrize(
    ("role", "verb", "what", "may"),
    [
        ("view", "list", "dynamographdeploymentrequests.nvidia.com", "yes"),
        ("view", "create", "dynamographdeploymentrequests.nvidia.com", "no"),
        ("edit", "create", "dynamographdeploymentrequests.nvidia.com", "yes"),
        ("edit", "list", "gpubudgets.dgdr.dev", "yes"),
        ("edit", "create", "profilingpolicies.dgdr.dev", "no"),
        ("admin", "create", "profilingpolicies.dgdr.dev", "yes"),
        ("admin", "delete", "slaplanners.dgdr.dev", "yes"),
    ],
)
def test_people_have_rights_by_kubernetes_own_roles(
    installed: TestCluster, tmp_path: Path, role: str, verb: str, what: str, may: str
) -> None:
    person = f"{role}-of-{TEAM}"
    if person not in names(installed, "rolebindings", "--namespace", TEAM):
        whom = ("--clusterrole", role, "--user", person, "--namespace", TEAM)
        installed.kubectl("create", "rolebinding", person, *whom)
    asking = (*("auth", "can-i", verb, what), *("--as", person, "--namespace", TEAM))

    def answer() -> str:
        done = subprocess.run(
            [
                *(str(installed.bin_dir / "kubectl"), "--kubeconfig", str(installed.kubeconfig)),
                *asking,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip()

    log = tmp_path / "none"
    log.write_text("")
    # Kubernetes adds the rules to its roles in its own time; "no" is the answer until then.
    eventually(f"{role} {verb} {what}: {may}", lambda: answer() == may, log)


def looked(where: TestCluster, folder: Path, *deployments: str) -> subprocess.CompletedProcess[str]:
    """Look at the installation as the pod of ``helm test`` does; pods here run nothing."""
    return subprocess.run(
        [sys.executable, "-m", "dgdr_operator.installed", "Standalone", SYSTEM, *deployments],
        env=os.environ | {"KUBECONFIG": str(kubeconfig_of(where, "dgdr-operator-test", folder))},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_charts_test_can_do_its_work_with_the_rights_that_it_has(
    installed: TestCluster, tmp_path: Path
) -> None:
    rendered = helm(
        installed,
        *("template", "dgdr-operator", CHART, "--show-only", "templates/tests/installed.yaml"),
        *("--values", str(ROOT / "hack/demo/values.yaml"), "--kube-version", "1.34.0"),
    )
    hooks = [d for d in yaml.safe_load_all(rendered) if d and d["kind"] != "Pod"]
    installed.kubectl("apply", "--filename", "-", stdin=yaml.safe_dump_all(hooks))
    well = looked(installed, tmp_path, "dgdr-operator", "dgdr-operator-planner")
    assert (well.returncode, well.stderr) == (0, ""), well.stdout
    ill = looked(installed, tmp_path, "somebody-else")
    assert ill.returncode == 1
    assert "Deployment dgdr-system/somebody-else cannot be read" in ill.stdout
    installed.kubectl("delete", "--filename", "-", stdin=yaml.safe_dump_all(hooks))


def kubeconfig_of(where: TestCluster, account: str, folder: Path, namespace: str = SYSTEM) -> Path:
    """A kubeconfig that is this account and nobody else."""
    config = json.loads(where.kubeconfig.read_text())
    token = where.kubectl("create", "token", account, "--namespace", namespace).strip()
    config["users"] = [{"name": user["name"], "user": {"token": token}} for user in config["users"]]
    path = folder / f"{account}.kubeconfig"
    path.write_text(json.dumps(config))
    return path


@contextmanager
def program(where: TestCluster, name: str, account: str, folder: Path) -> Iterator[Path]:
    """Run operator or planner with the chart's settings and rights; yields its log."""
    settings = json.loads(
        where.kubectl(
            *("get", "configmap", "dgdr-operator", "--namespace", SYSTEM, "--output", "json")
        )
    )["data"]["config.yaml"]
    (folder / f"{name}.yaml").write_text(settings.replace("port: 8080", "port: 0"))
    log = folder / f"{name}.log"
    with log.open("w") as sink:
        running = subprocess.Popen(
            [sys.executable, "-m", name],
            env=os.environ
            | {
                "DGDR_CONFIG": str(folder / f"{name}.yaml"),
                "KUBECONFIG": str(kubeconfig_of(where, account, folder)),
            },
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        try:
            yield log
            assert running.poll() is None, log.read_text()
        finally:
            running.terminate()
            running.wait(timeout=30)


def eventually(
    what: str, holds: Callable[[], bool], log: Path, patience_s: float = PATIENCE_S
) -> None:
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {patience_s} s\n{log.read_text()}"
        time.sleep(0.5)


def status_of(where: TestCluster, kind: str, name: str) -> dict[str, object]:
    found = json.loads(where.kubectl("get", kind, name, "--namespace", TEAM, "--output", "json"))
    status: dict[str, object] = found.get("status", {})
    return status


def test_the_operator_can_do_its_work_with_the_rights_that_it_has(
    installed: TestCluster, tmp_path: Path
) -> None:
    for example in ("deployment", "profiling-policy", "review-first"):
        path = ROOT / f"examples/{example}.yaml"
        installed.kubectl("apply", "--namespace", TEAM, "--filename", str(path))
    with program(installed, "dgdr_operator", "dgdr-operator", tmp_path) as log:
        eventually(
            "the deployment's status",
            lambda: status_of(installed, "dgd", "my-graph").get("state") == "successful",
            log,
        )
        installed.kubectl("scale", "dgdsa", "my-graph-decode", "--replicas=3", "--namespace", TEAM)
        eventually(
            "three decode replicas",
            lambda: status_of(installed, "dgdsa", "my-graph-decode").get("replicas") == 3,
            log,
        )
        eventually(
            "the profiling Job",
            # Pods of this cluster end at once and write no result, which fails the request.
            lambda: status_of(installed, "dgdr", "qwen-review").get("phase") == "Failed",
            log,
        )
        assert "profile-qwen-review" in names(installed, "jobs", "--namespace", TEAM)
    assert "forbidden" not in log.read_text().lower()


JOB_ACCOUNT = "dgdr-profiling-job-qwen-review"


def as_job(where: TestCluster, folder: Path, *arguments: str, stdin: str = "") -> str:
    """Call as the profiling Job of qwen-review; returns what was said, refusals included."""
    config = kubeconfig_of(where, JOB_ACCOUNT, folder, TEAM)
    done = subprocess.run(
        [str(where.bin_dir / "kubectl"), "--kubeconfig", str(config), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def made_by_job(where: TestCluster, kind: str, owner: str, **labels: str) -> str:
    """A ConfigMap or a deployment that names a request as its owner."""
    request = json.loads(where.kubectl("get", "dgdr", owner, "-n", TEAM, "--output", "json"))
    versions = {"ConfigMap": "v1", "DynamoGraphDeployment": "nvidia.com/v1beta1"}
    reference = {"apiVersion": request["apiVersion"], "kind": request["kind"], "name": owner}
    component = {"name": "decode", "type": "decode"}
    return json.dumps(
        {
            "apiVersion": versions[kind],
            "kind": kind,
            "metadata": {
                "name": "made-by-job",
                "labels": {k: v or request["metadata"]["uid"] for k, v in labels.items()},
                "ownerReferences": [{**reference, "uid": request["metadata"]["uid"]}],
            },
            **({} if kind == "ConfigMap" else {"spec": {"components": [component]}}),
        }
    )


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("get", "secrets"), id="Secrets"),
        pytest.param(("get", "configmaps"), id="all ConfigMaps"),
        pytest.param(("get", "configmap", "dgdr-points-other-0"), id="points of another model"),
        pytest.param(("get", "configmap", "dgdr-output-other"), id="another's result"),
        pytest.param(
            ("patch", "configmap", "profile-qwen-review", "-p={}"), id="what it was told itself"
        ),
        pytest.param(("get", "dgdr"), id="requests"),
        pytest.param(("get", "dgd"), id="all deployments"),
        pytest.param(("logs", "any-pod"), id="logs"),
        pytest.param(("delete", "pod", "any-pod"), id="deleting pods"),
        pytest.param(("create", "token", "default"), id="tokens"),
        pytest.param(("get", "configmap", "x", "--namespace", SYSTEM), id="another namespace"),
        pytest.param(("get", "pods", "--namespace", SYSTEM), id="pods of another namespace"),
        pytest.param(("get", "nodes"), id="nodes"),
        pytest.param(("create", "serviceaccount", "x"), id="accounts"),
    ],
)
def test_a_profiling_job_may_not(
    installed: TestCluster, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    space = () if "--namespace" in arguments else ("--namespace", TEAM)
    assert "is forbidden: User" in as_job(installed, tmp_path, *arguments, *space)


def test_a_profiling_job_may_read_and_write_its_own_records(
    installed: TestCluster, tmp_path: Path
) -> None:
    for name in ("dgdr-points-qwen-review-0", "dgdr-journal-qwen-review-15"):
        told = as_job(installed, tmp_path, "get", "configmap", name, "--namespace", TEAM)
        assert "(NotFound)" in told
    for kind, labels in (("ConfigMap", {}), ("DynamoGraphDeployment", {"dgdr.dev/run": ""})):
        mine = made_by_job(installed, kind, "qwen-review", **labels)
        create = ("create", "--namespace", TEAM, "--filename", "-")
        assert " created" in as_job(installed, tmp_path, *create, stdin=mine)
    gone = as_job(installed, tmp_path, "delete", "dgd", "made-by-job", "--namespace", TEAM)
    assert " deleted" in gone


def test_a_profiling_job_touches_nothing_of_others(installed: TestCluster, tmp_path: Path) -> None:
    installed.kubectl(
        *("apply", "--namespace", TEAM, "--filename", "-"),
        stdin=json.dumps(
            {
                "apiVersion": "nvidia.com/v1beta1",
                "kind": "DynamoGraphDeploymentRequest",
                "metadata": {"name": "other"},
                "spec": {"model": "another", "backend": "vllm", "image": "registry.test/v:1"},
            }
        ),
    )
    create = ("create", "--namespace", TEAM, "--filename", "-")
    refusals = {
        "belongs to its own request": [
            (create, made_by_job(installed, "ConfigMap", "other")),
            (create, made_by_job(installed, "DynamoGraphDeployment", "other")),
        ],
        "is a candidate of its run": [
            (create, made_by_job(installed, "DynamoGraphDeployment", "qwen-review")),
        ],
        "what its own request owns, and nothing else": [
            (("delete", "dgd", "my-graph", "--namespace", TEAM), ""),
        ],
    }
    for words, calls in refusals.items():
        for arguments, stdin in calls:
            assert words in as_job(installed, tmp_path, *arguments, stdin=stdin)
    assert "my-graph" in names(installed, "dgd", "--namespace", TEAM)


def test_the_planner_can_do_its_work_with_the_rights_that_it_has(
    installed: TestCluster, tmp_path: Path
) -> None:
    gone = ("my-graph", "--namespace", TEAM, "--ignore-not-found")
    installed.kubectl("delete", "dgd", *gone)
    installed.kubectl(
        "apply", "--namespace", TEAM, "--filename", str(ROOT / "examples/sla-planner.yaml")
    )
    with program(installed, "dgdr_planner", "dgdr-operator-planner", tmp_path) as log:
        eventually(
            "a condition that names the missing target",
            lambda: (
                "no DynamoGraphDeployment" in json.dumps(status_of(installed, "slap", "my-graph"))
            ),
            log,
        )
    assert "forbidden" not in log.read_text().lower()


def test_after_an_uninstall_users_objects_and_crds_are_still_there(installed: TestCluster) -> None:
    before = names(installed, "dgdr", "--all-namespaces")
    helm(installed, "uninstall", "dgdr-operator", "--wait")
    assert before
    assert names(installed, "dgdr", "--all-namespaces") == before
    assert names(installed, "crds", "--selector", OURS) == CRD_NAMES
    everything = "serviceaccounts,configmaps,deployments,services,clusterroles,clusterrolebindings"
    assert names(installed, everything, "--all-namespaces", "--selector", OURS) == set()


def test_a_second_install_takes_its_crds_back(installed: TestCluster) -> None:
    install(installed)
    helm(installed, "uninstall", "dgdr-operator", "--wait")


def test_the_documented_last_step_removes_the_crds(installed: TestCluster) -> None:
    installed.kubectl("delete", "dgdr,dgd,slap,profpol", "--all", "--all-namespaces")
    installed.kubectl("delete", "crd", "--selector", OURS)
    assert names(installed, "crds", "--selector", OURS) == set()
