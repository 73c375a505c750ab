"""Manifests of a run, read into the frozen values that decisions rest on."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from dgdr_api import names, problem
from dgdr_api.models.base import ConditionStatus
from dgdr_api.models.dgd_v1beta1 import DgdState, DGDStatus
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec, DGDRStatus
from dgdr_api.names import Annotation, FieldManager, Label, OutputKey
from dgdr_api.pods import GPU, GPU_PRODUCT, whole_number
from dgdr_api.redaction import without_secrets
from dgdr_api.request import ProfilingRequest
from dgdr_api.run_verdict import read_verdict
from dgdr_api.validate_override import name_in_override
from dgdr_kube.kinds import DGDR
from dgdr_kube.manifests import is_owned_by, is_written_by
from dgdr_operator.core.final_config import APPLIED_HASH
from dgdr_operator.core.hardware import Node
from dgdr_operator.core.job import REQUEST_KEY
from dgdr_operator.core.observation import (
    CandidateSeen,
    ComponentSeen,
    DgdSeen,
    Origin,
    Output,
    PullFailure,
    Request,
)
from dgdr_operator.core.observed_job import MESSAGE_CHARS

Json = Mapping[str, Any]

_WRITERS = (FieldManager.INIT, FieldManager.OPERATOR)
_PULL_REASONS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")


def request_seen(dgdr: Json) -> Request:
    """Read the DGDR; a spec that cannot be read becomes problems, not an exception."""
    meta = dgdr["metadata"]
    spec: DGDRSpec | None = None
    problems: tuple[str, ...] = ()
    try:
        spec = DGDRSpec.model_validate(dgdr.get("spec") or {})
    except ValidationError as exc:
        problems = tuple(str(found) for found in problem.from_validation(exc, "spec"))
    return Request(
        api_version=dgdr["apiVersion"],
        name=meta["name"],
        namespace=meta["namespace"],
        uid=meta["uid"],
        generation=meta.get("generation", 1),
        deleting=bool(meta.get("deletionTimestamp")),
        spec=spec,
        problems=problems,
        suspended=(meta.get("annotations") or {}).get(Annotation.SUSPEND) == "true",
        rerun_requested_at=(meta.get("annotations") or {}).get(Annotation.RERUN_REQUESTED_AT),
        status=status_seen(dgdr),
    )


def status_seen(dgdr: Json) -> DGDRStatus:
    """Read the status; one that somebody else wrote in another shape counts as none."""
    try:
        return DGDRStatus.model_validate(dgdr.get("status") or {})
    except ValidationError:
        return DGDRStatus()


def accepted_seen(config_map: Json | None) -> ProfilingRequest | None:
    """Read what the Job was told; one that cannot be read counts as none."""
    if config_map is None:
        return None
    text = (config_map.get("data") or {}).get(REQUEST_KEY, "")
    try:
        return ProfilingRequest.from_text(text)
    except ValidationError:
        return None


def output_seen(config_map: Json | None) -> Output | None:
    """Read what the Job has written so far."""
    if config_map is None:
        return None
    data = config_map.get("data") or {}

    def text(key: OutputKey) -> str:
        return str(data.get(key.value) or "")

    return Output(
        phase=text(OutputKey.PHASE),
        message=without_secrets(text(OutputKey.MESSAGE))[:MESSAGE_CHARS],
        status=text(OutputKey.STATUS),
        version=config_map["metadata"].get("resourceVersion"),
        error=without_secrets(text(OutputKey.ERROR))[:MESSAGE_CHARS],
        final_config=text(OutputKey.FINAL_CONFIG),
        prefill_json=text(OutputKey.PREFILL_JSON),
        decode_json=text(OutputKey.DECODE_JSON),
        verdict=read_verdict(text(OutputKey.REPORT)),
        mocker_npz=str((config_map.get("binaryData") or {}).get(OutputKey.MOCKER_NPZ.value) or ""),
    )


def dgd_seen(dgd: Json, request: Request) -> DgdSeen:
    """Read the generated DGD; what belongs to it is added by the observer."""
    meta = dgd["metadata"]
    status = _dgd_status(dgd)
    stale = (status.observed_generation or 0) < meta.get("generation", 0)
    return DgdSeen(
        name=meta["name"],
        origin=origin_of(dgd, request),
        going=bool(meta.get("deletionTimestamp")),
        state=(status.state or DgdState.INITIALIZING).value,
        ready=_is_ready(status) and not (stale and status.observed_generation is not None),
        applied_hash=(meta.get("annotations") or {}).get(APPLIED_HASH),
        components=tuple(
            ComponentSeen(
                name=name,
                replicas=component.replicas or 0,
                available=component.available_replicas or 0,
            )
            for name, component in sorted((status.components or {}).items())
        ),
    )


def origin_of(generated: Json | None, request: Request) -> Origin:
    """Say for whom an object was generated that has the name of one of ours."""
    if generated is None:
        return Origin.NOBODY
    labels = generated["metadata"].get("labels") or {}
    named = labels.get(Label.DGDR_NAME.value), labels.get(Label.DGDR_NAMESPACE.value)
    if None in named and any(is_written_by(generated, ours) for ours in _WRITERS):
        return Origin.RELEASED
    if named != (request.name, request.namespace):
        return Origin.FOREIGN
    uid = labels.get(Label.REQUEST_UID.value)
    if uid == request.uid:
        return Origin.OURS
    # NVIDIA's operator gives a deployment of its own request these names and labels, too: it has
    # left it, unless it is there and requests to us are of another group.
    made_by_us = uid is not None or any(is_written_by(generated, ours) for ours in _WRITERS)
    is_left = request.api_version == DGDR.api_version
    return Origin.EARLIER if made_by_us or is_left else Origin.FOREIGN


def _dgd_status(dgd: Json) -> DGDStatus:
    try:
        return DGDStatus.model_validate(dgd.get("status") or {})
    except ValidationError:
        return DGDStatus()


def _is_ready(status: DGDStatus) -> bool:
    """Whether state or condition says so: releases differ in which of the two they fill."""
    ready = next((c for c in status.conditions if c.type == "Ready"), None)
    if ready is not None and ready.status is ConditionStatus.FALSE:
        return False
    return status.state is DgdState.SUCCESSFUL or (ready is not None and ready.is_true)


def pull_failures(pods: Iterable[Json]) -> tuple[PullFailure, ...]:
    """Return the containers whose image does not come."""
    return tuple(
        PullFailure(
            pod=pod["metadata"]["name"],
            pod_uid=pod["metadata"].get("uid", ""),
            container=status["name"],
            image=status.get("image", ""),
            message=without_secrets(str(waiting.get("message") or waiting["reason"]))[
                :MESSAGE_CHARS
            ],
        )
        for pod in pods
        for status in (pod.get("status") or {}).get("containerStatuses") or ()
        if (waiting := (status.get("state") or {}).get("waiting") or {}).get("reason")
        in _PULL_REASONS
    )


def is_candidate(dgd: Json) -> bool:
    """Whether a profiling Job made a deployment to measure it: labels alone can be copied."""
    run = (dgd["metadata"].get("labels") or {}).get(Label.RUN)
    if run is None:
        return False
    return is_owned_by(dgd, run) or is_written_by(dgd, FieldManager.PROFILER)


def candidates_seen(dgds: Iterable[Json]) -> tuple[CandidateSeen, ...]:
    """Return the candidates that are not being deleted already."""
    return tuple(
        CandidateSeen(
            name=dgd["metadata"]["name"],
            uid=dgd["metadata"]["uid"],
            created=datetime.fromisoformat(dgd["metadata"]["creationTimestamp"]),
        )
        for dgd in dgds
        if is_candidate(dgd) and not dgd["metadata"].get("deletionTimestamp")
    )


def node_seen(node: Json) -> Node:
    """Read the GPUs of a node."""
    labels = node["metadata"].get("labels") or {}
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    memory = labels.get("nvidia.com/gpu.memory")
    return Node(
        name=node["metadata"]["name"],
        product=labels.get(GPU_PRODUCT),
        labelled=whole_number(labels.get("nvidia.com/gpu.count")),
        allocatable=whole_number(allocatable.get(GPU)),
        memory_mib=None if memory is None else whole_number(memory),
    )


def stranger(objects: Sequence[Json | None], uid: str) -> str | None:
    """Name the first object that has one of our names and is not ours."""
    for found in objects:
        if found is None:
            continue
        owners = found["metadata"].get("ownerReferences") or ()
        if not any(owner.get("uid") == uid for owner in owners):
            return f"{found['kind']} {found['metadata']['name']}"
    return None


def dgd_name_of(request: Request, accepted: ProfilingRequest | None) -> str:
    """Return the name that the generated DGD has, or will have."""
    if request.status.dgd_name:
        return request.status.dgd_name
    spec = accepted.spec if accepted else request.spec
    override = spec.overrides.dgd if spec and spec.overrides else None
    return names.dgd_name(request.name, name_in_override(override))
