"""The demo's manifests in the tests' own namespace."""

import yaml

from dgdr_api import names
from hack.demo.kube import Kube, Manifest
from hack.demo.platform import ROOT, run_module

CLUSTER = "e2e"
NAMESPACE = "dgdr-e2e"
DGDR = "qwen"
DGD = names.dgd_name(DGDR)


def example(kind: str, name: str, **spec: object) -> Manifest:
    """A demo manifest of ours, renamed, with some fields of its spec changed."""
    manifest: Manifest = yaml.safe_load((ROOT / f"examples/demo/{kind}.yaml").read_text())
    manifest["metadata"].update(name=name, namespace=NAMESPACE)
    manifest["spec"].update(spec)
    return manifest


def prepare(kube: Kube) -> None:
    """Make the namespace, the mockers' data and the policy; twice does no harm."""
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    mocked = run_module(
        "hack.mocker_profiles", "--configmap", "mocker-profiles", "--namespace", NAMESPACE
    )
    kube.run("apply", "--server-side", "--filename", "-", stdin=mocked)
    kube.apply(example("policy", "demo"))
