"""The demo's manifests in the tests' own namespaces."""

import yaml

from dgdr_api import names
from dgdr_api.models.worker_metadata import DynamoWorkerMetadata, ModelCard
from dgdr_api.names import Label
from hack.demo.kube import Kube, Manifest
from hack.demo.platform import ROOT, run_module

CLUSTER = "e2e"
NAMESPACE = "dgdr-e2e"
DGDR = "qwen"
DGD = names.dgd_name(DGDR)
POLICY = "demo"
PROFILES = "mocker-profiles"
MOCKER_IMAGE = "registry.test/dgdr/dynamo-mocker:dev"
SMALL_JOB = {"requests": {"cpu": "50m", "memory": "64Mi"}}
"""Requests of a profiler, so that many find room on a small machine."""


def example(kind: str, name: str, namespace: str = NAMESPACE, **spec: object) -> Manifest:
    """A demo manifest of ours, renamed, with some fields of its spec changed."""
    manifest: Manifest = yaml.safe_load((ROOT / f"examples/demo/{kind}.yaml").read_text())
    manifest["metadata"].update(name=name, namespace=namespace)
    manifest["spec"].update(spec)
    return manifest


def policy(
    name: str, namespace: str, *, mocker: Manifest | None = None, **spec: object
) -> Manifest:
    """The demo's policy with some fields changed, also of its mockers."""
    manifest = example("policy", name, namespace, **spec)
    manifest["spec"]["mocker"].update(mocker or {})
    return manifest


def mocked_request(
    name: str, namespace: str, policy: str, *, dgd: Manifest | None = None, **spec: object
) -> Manifest:
    """A request for mockers under a policy; ``dgd`` overrides its deployments."""
    container = {"name": "profiler", "resources": SMALL_JOB}
    job = {"template": {"spec": {"containers": [container]}}}
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeploymentRequest",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": {"dgdr.dev/profiling-policy": policy},
        },
        "spec": {
            "model": "model",
            "backend": "vllm",
            "searchStrategy": "thorough",
            "features": {"mocker": {"enabled": True}},
            "overrides": {"profilingJob": job, **({"dgd": dgd} if dgd else {})},
            **spec,
        },
    }


def workers(kube: Kube, dgd: str, namespace: str = NAMESPACE) -> list[Manifest]:
    """Pods of a deployment that serve the model."""
    pods = kube.list("pods", namespace, f"{Label.GRAPH}={dgd}")
    return [pod for pod in pods if pod["metadata"]["labels"][Label.COMPONENT_TYPE] != "frontend"]


def card_of(kube: Kube, pod: Manifest) -> ModelCard:
    """What a worker says about its model."""
    found = kube.get("dynamoworkermetadata", pod["metadata"]["name"], pod["metadata"]["namespace"])
    assert found is not None
    (card, *_) = DynamoWorkerMetadata.parse(found).cards()
    return card


def prepare(kube: Kube, namespace: str = NAMESPACE) -> None:
    """Make a namespace, the mockers' data and the policy; twice does no harm."""
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    mocked = run_module("hack.mocker_profiles", "--configmap", PROFILES, "--namespace", namespace)
    kube.run("apply", "--server-side", "--filename", "-", stdin=mocked)
    kube.apply(example("policy", POLICY, namespace))
