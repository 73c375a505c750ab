"""``final_config.yaml`` of a finished run: read, checked, and turned into what is deployed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import ValidationError

from dgdr_api import codec_v1beta1, names
from dgdr_api.envelope import KIND
from dgdr_api.graph import Graph
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.problem import from_validation, summary
from dgdr_api.reading import CodecError, Reader
from dgdr_operator.core.job import run_labels
from dgdr_operator.core.observation import Output

Manifest = dict[str, Any]

# Each pass over a deployed request reads the result; in Python that takes ten times as long.
_SAFE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

APPLIED_HASH = "dgdr.dev/applied-hash"
"""Content that we applied last. A DGD is applied again when our content changes, not when
somebody edited it: an edit of a generated DGD is its owner's decision."""


class BadResult(Exception):
    """The result of a run cannot be used; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What one finished run deploys.

    ``dgd`` carries its first replicas, and ``graph`` is what it says; ``data`` are the curves that
    the planner mounts, ``binary_data`` what mockers that replay them mount, in base64.
    """

    dgd: Manifest
    graph: Graph
    planner: Manifest | None = None
    data_name: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    binary_data: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the DGD."""
        return str(self.dgd["metadata"]["name"])

    @property
    def content_hash(self) -> str:
        """Identity of the content, replicas left out: those belong to the planner."""
        text = json.dumps(without_replicas(self.dgd), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_deployment(output: Output, dgdr: str, namespace: str, uid: str) -> Deployment:
    """Read the result of a run.

    Raises:
        BadResult: something is missing, or cannot be read.
    """
    documents = _documents(output.final_config)
    dgd = _one(documents, KIND)
    if dgd is None:
        raise BadResult(f"{names.FINAL_CONFIG_KEY} has no {KIND}")
    labels = run_labels(dgdr, namespace) | {names.Label.REQUEST_UID.value: uid}
    dgd = _placed(dgd, names.dgd_name(dgdr), namespace, labels)
    try:
        graph = codec_v1beta1.decode(dgd)
    except CodecError as exc:
        raise BadResult(f"{names.FINAL_CONFIG_KEY}: {exc}") from exc
    if not graph.components:
        raise BadResult(f"{names.FINAL_CONFIG_KEY}: spec.components is empty")
    planner = _one(documents, "SLAPlanner")
    return Deployment(
        dgd=dgd,
        planner=None if planner is None else _planner(planner, graph.name, namespace, labels),
        data_name=names.profile_data_config_map(uid),
        data=_given(
            {
                names.PREFILL_JSON_KEY: output.prefill_json,
                names.DECODE_JSON_KEY: output.decode_json,
            }
        ),
        binary_data=_given({names.MOCKER_NPZ_KEY: output.mocker_npz}),
        graph=graph,
    )


def _documents(text: str) -> list[Manifest]:
    if not text:
        raise BadResult(f"the output has no {names.FINAL_CONFIG_KEY}")
    try:
        documents = [_json(document) for document in yaml.load_all(text, _SAFE) if document]
    except yaml.YAMLError as exc:
        raise BadResult(f"{names.FINAL_CONFIG_KEY} is not YAML: {exc}") from exc
    except (TypeError, ValueError, RecursionError) as exc:
        raise BadResult(f"{names.FINAL_CONFIG_KEY} holds something that is no JSON: {exc}") from exc
    if not all(isinstance(document, dict) for document in documents):
        raise BadResult(f"{names.FINAL_CONFIG_KEY} holds something that is no object")
    return documents


def _json(document: object) -> Manifest:
    """Return the document as the API server would read it: YAML knows dates, and keys of any type.

    Raises:
        TypeError, ValueError: it has no JSON.
    """
    read: Manifest = json.loads(json.dumps(document, sort_keys=True, allow_nan=False))
    return read


def _one(documents: list[Manifest], kind: str) -> Manifest | None:
    found = [document for document in documents if document.get("kind") == kind]
    if len(found) > 1:
        raise BadResult(f"{names.FINAL_CONFIG_KEY} has {len(found)} {kind} documents")
    return found[0] if found else None


def _placed(manifest: Manifest, name: str, namespace: str, labels: Mapping[str, str]) -> Manifest:
    """Return the object in the request's namespace, under our labels."""
    try:
        meta = Reader(manifest.get("metadata"), "metadata")
        own_name, own_labels = meta.text("name"), meta.strings("labels")
        annotations = meta.strings("annotations")
    except CodecError as exc:
        raise BadResult(f"{names.FINAL_CONFIG_KEY}: {manifest['kind']}: {exc}") from exc
    kept = {"annotations": annotations} if annotations else {}
    return {
        **{key: value for key, value in manifest.items() if key != "status"},
        "metadata": {
            "name": own_name or name,
            "namespace": namespace,
            "labels": {**own_labels, **labels},
            **kept,
        },
    }


def _planner(manifest: Manifest, dgd: str, namespace: str, labels: Mapping[str, str]) -> Manifest:
    placed = _placed(manifest, dgd, namespace, labels)
    try:
        SLAPlanner.parse(placed)
    except ValidationError as exc:
        found = summary(from_validation(exc))
        raise BadResult(f"{names.FINAL_CONFIG_KEY}: SLAPlanner: {found}") from exc
    return placed


def _given(data: Mapping[str, str]) -> dict[str, str]:
    return {key: text for key, text in data.items() if text}


def without_replicas(dgd: Manifest) -> Manifest:
    """Return the DGD as we apply it after its creation: replicas are no longer ours.

    Left out from the first apply on, they keep whatever value they have; applying them once and
    leaving them out later would delete them.
    """
    components = [
        {key: value for key, value in component.items() if key != "replicas"}
        for component in dgd["spec"]["components"]
    ]
    return {**dgd, "spec": {**dgd["spec"], "components": components}}


def applied_manifest(deployment: Deployment) -> Manifest:
    """Return what the operator applies, marked with its hash."""
    manifest = without_replicas(deployment.dgd)
    meta = manifest["metadata"]
    annotations = {**meta.get("annotations", {}), APPLIED_HASH: deployment.content_hash}
    return {**manifest, "metadata": {**meta, "annotations": annotations}}


def succeeding_spec(live: Manifest, wanted: Manifest) -> Manifest:
    """Return the spec that makes the DGD of an earlier request ours.

    Replicas that somebody scales stay; the new SLAPlanner, with its own curves and bounds, decides
    about them. Others start as the result says.
    """
    scaled = {c["name"]: c["replicas"] for c in live["spec"]["components"] if "replicas" in c}
    components = [
        {**component, "replicas": scaled[component["name"]]}
        if component.get("scalingAdapter") is not None and component["name"] in scaled
        else component
        for component in wanted["spec"]["components"]
    ]
    return {**wanted["spec"], "components": components}


def data_manifest(deployment: Deployment, owner: Manifest) -> Manifest:
    """Return the ConfigMap with the curves; it lives as long as the DGD."""
    meta = deployment.dgd["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": deployment.data_name,
            "namespace": meta["namespace"],
            "labels": meta["labels"],
            "ownerReferences": [owner],
        },
        "data": dict(deployment.data),
        **({"binaryData": dict(deployment.binary_data)} if deployment.binary_data else {}),
    }


def planner_manifest(planner: Manifest, owner: Manifest) -> Manifest:
    """Return the SLAPlanner; it lives as long as the DGD."""
    return {**planner, "metadata": {**planner["metadata"], "ownerReferences": [owner]}}
