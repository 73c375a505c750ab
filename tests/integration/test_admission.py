"""What a real API server accepts and refuses, and how the kinds look to a user.

Every manifest under ``tests/golden/api/manifests/invalid`` begins with the text that ``kubectl
apply`` must answer.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cluster import TestCluster

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "tests/golden/api/manifests"
SAYS = "# says: "
NAMESPACE = "admission"

DGDR = """
apiVersion: nvidia.com/v1beta1
kind: DynamoGraphDeploymentRequest
metadata: {name: NAME}
spec: {model: m, backend: vllm, image: "registry.test/vllm-runtime:1", autoApply: false}
"""
DGD = """
apiVersion: nvidia.com/v1beta1
kind: DynamoGraphDeployment
metadata: {name: typed}
spec:
  components:
  - {name: frontend, type: frontend}
  - {name: w, type: WORKER}
"""


@pytest.fixture(scope="module")
def kubectl(light_cluster: TestCluster) -> Iterator["Kubectl"]:
    """kubectl in a namespace of these tests, with the CRDs installed."""
    run = Kubectl(light_cluster)
    light_cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    light_cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    light_cluster.kubectl("create", "namespace", NAMESPACE)
    yield run
    light_cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


class Kubectl:
    """Commands in one namespace; a refusal is a value, not a failure."""

    def __init__(self, cluster: TestCluster) -> None:
        self._cluster = cluster

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        return self._cluster.kubectl("--namespace", NAMESPACE, *arguments, stdin=stdin)

    def refusal(self, *arguments: str, stdin: str = "") -> str:
        with pytest.raises(AssertionError) as caught:
            self(*arguments, stdin=stdin)
        return str(caught.value)


def dgdr(kubectl: Kubectl, name: str, phase: str | None = None) -> None:
    kubectl("apply", "-f", "-", stdin=DGDR.replace("NAME", name))
    if phase:
        status = f'{{"status": {{"phase": "{phase}"}}}}'
        kubectl("patch", "dgdr", name, "--subresource=status", "--type=merge", "-p", status)


def patch(name: str, spec: str) -> tuple[str, ...]:
    return ("patch", "dgdr", name, "--type=merge", "-p", f'{{"spec": {{{spec}}}}}')


@pytest.mark.parametrize("how", ["--server-side=false", "--server-side=true"])
def test_upstreams_manifests_are_accepted(kubectl: Kubectl, how: str) -> None:
    # Nobody converts here: `test_webhooks.py` tries the older version.
    stored = [
        path for path in (MANIFESTS / "valid").glob("*.yaml") if path.stem != "dgdsa-v1alpha1"
    ]
    files = [part for path in stored for part in ("-f", str(path))]
    kubectl("apply", "--dry-run=server", how, *files)


@pytest.mark.parametrize(
    "path", sorted((MANIFESTS / "invalid").glob("*.yaml")), ids=lambda path: path.stem
)
def test_a_bad_manifest_is_refused_in_clear_words(kubectl: Kubectl, path: Path) -> None:
    says = path.read_text().splitlines()[0].removeprefix(SAYS)
    assert says in kubectl.refusal("apply", "--dry-run=server", "-f", str(path))


@pytest.mark.parametrize("phase", ["Profiling", "Deploying", "Ready", "Deployed"])
def test_a_spec_in_use_is_locked(kubectl: Kubectl, phase: str) -> None:
    name = f"locked-{phase.lower()}"
    dgdr(kubectl, name, phase)
    said = kubectl.refusal(*patch(name, '"model": "other"'))
    assert (
        f'spec: Forbidden: updates are forbidden while the resource is in phase "{phase}"; '
        "delete and recreate the resource to change its spec"
    ) in said


@pytest.mark.parametrize("phase", [None, "Pending", "Failed"])
def test_a_spec_that_nobody_uses_may_change(kubectl: Kubectl, phase: str | None) -> None:
    name = f"free-{phase}".lower()
    dgdr(kubectl, name, phase)
    kubectl(*patch(name, '"model": "other"'))


def test_ready_waits_for_auto_apply_alone(kubectl: Kubectl) -> None:
    dgdr(kubectl, "ready", "Ready")
    both = patch("ready", '"autoApply": true, "model": "other"')
    assert "updates are forbidden" in kubectl.refusal(*both)
    kubectl(*patch("ready", '"autoApply": true'))
    assert "updates are forbidden" in kubectl.refusal(*patch("ready", '"autoApply": false'))


def test_labels_of_a_locked_request_may_change(kubectl: Kubectl) -> None:
    dgdr(kubectl, "labelled", "Deployed")
    kubectl("label", "dgdr", "labelled", "team=a")


def test_the_server_adds_nothing_to_a_spec(kubectl: Kubectl) -> None:
    dgdr(kubectl, "untouched")
    spec = kubectl("get", "dgdr", "untouched", "-o", "jsonpath={.spec}")
    assert spec == (
        '{"autoApply":false,"backend":"vllm","image":"registry.test/vllm-runtime:1","model":"m"}'
    )


def test_the_type_of_a_component_may_change(kubectl: Kubectl) -> None:
    for role in ("prefill", "decode"):
        kubectl("apply", "-f", "-", stdin=DGD.replace("WORKER", role))
    assert kubectl("get", "dgd", "typed", "-o", "jsonpath={.spec.components[1].type}") == "decode"


def test_an_adapter_scales(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", str(MANIFESTS / "valid/dgdsa-v1beta1.yaml"))
    kubectl("scale", "dgdsa/vllm-disagg-decode", "--replicas=4")
    found = kubectl("get", "dgdsa", "vllm-disagg-decode", "-o", "jsonpath={.spec.replicas}")
    assert found == "4"


def test_a_version_that_nobody_converts_is_refused_and_not_taken_for_the_other_one(
    kubectl: Kubectl,
) -> None:
    old = DGDR.replace("v1beta1", "v1alpha1").replace("NAME", "old")
    said = kubectl.refusal("apply", "--validate=false", "-f", "-", stdin=old)
    assert "conversion webhook for nvidia.com/v1alpha1" in said


def test_a_request_shows_upstreams_columns(kubectl: Kubectl) -> None:
    dgdr(kubectl, "columns", "Deployed")
    header, row = kubectl("get", "dgdr", "columns").splitlines()
    wanted = ["NAME", "MODEL", "BACKEND", "PHASE", "PROFILING", "REASON", "MESSAGE", "DGD", "AGE"]
    assert header.split() == wanted
    assert row.split()[:4] == ["columns", "m", "vllm", "Deployed"]


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("dgdr.spec.sla.ttft", "Time to first token in milliseconds. Needs itl. Default: 2000."),
        ("dgdr.spec.autoApply", "otherwise stop at Ready."),
        ("dgd.spec.components.replicas", "Pods (engines, when one spans several nodes)."),
        ("profpol.spec.candidateEngine", "backend: candidates run the DGDR's engine."),
        ("slap.spec.sla.itlMs", "Time between output tokens in milliseconds."),
    ],
)
def test_explain_tells_unit_and_default(kubectl: Kubectl, field: str, says: str) -> None:
    told = " ".join(kubectl("explain", field).split())
    assert says in told
