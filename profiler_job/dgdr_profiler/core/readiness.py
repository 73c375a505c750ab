"""Whether a deployed candidate serves, and what stands against it. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dgdr_api.cluster_words import shortened
from dgdr_api.graph import Role
from dgdr_api.models.dgd_v1beta1 import DgdState, DynamoGraphDeployment
from dgdr_api.names import Label
from dgdr_api.pods import MAIN
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.pod_troubles import main_image_digest

READY = "Ready"
# What the operator says about a deployment, the more particular first.
_TOLD_BY = ("DataPlaneReady", READY)
# Of the cluster autoscaler and of Karpenter: a node is on its way to the pod.
SCALE_UP_REASONS = ("TriggeredScaleUp", "Nominated")
# Name of the port that serves a worker's probes and metrics.
SYSTEM_PORT = "system"
# Which role's worker says what an engine holds, the first that there is.
_TELLING = (Role.DECODE, Role.WORKER, Role.PREFILL)
MAX_WORDS_CHARS = 400

Json = Mapping[str, Any]


def is_ready(dgd: DynamoGraphDeployment) -> bool:
    """Whether the reconciler says so about this very spec.

    Raises:
        CandidateFailed: it says that the deployment failed.
    """
    ready = next((c for c in dgd.status.conditions if c.type == READY), None)
    if dgd.status.state is DgdState.FAILED:
        said = f": {ready.message}" if ready else ""
        raise CandidateFailed(f"the deployment {dgd.metadata.name} failed{said}")
    # NVIDIA's first releases do not say which spec they saw; a candidate has but one.
    current = dgd.status.observed_generation in (None, dgd.metadata.generation)
    return current and ready is not None and ready.is_true


def words_of(dgd: DynamoGraphDeployment) -> str:
    """Return what the deployment itself says stands against it; empty when nothing does."""
    false = {c.type: c.message for c in dgd.status.conditions if not c.is_true and c.message}
    said = [false[kind] for kind in _TOLD_BY if kind in false]
    return "; ".join(dict.fromkeys(said))


def in_short(words: str) -> str:
    """Return what a deployment says as far as others quote it."""
    return shortened(words, MAX_WORDS_CHARS)


def with_words(reason: str, words: str, told: str = "") -> str:
    """Return a reason with what the deployment says about it, unless it says the same.

    ``told`` is the part of the reason that the deployment may repeat.
    """
    if not words or words in reason or (told and told in words):
        return reason
    return f"{reason}; the deployment says: {in_short(words)}"


def is_scaling_up(events: Iterable[Json], pod: str) -> bool:
    """Whether an autoscaler has ordered a node for a pod."""
    ours = (e for e in events if (e.get("involvedObject") or {}).get("name") == pod)
    return any(event.get("reason") in SCALE_UP_REASONS for event in ours)


def role_of(pod: Json) -> Role | None:
    """Return which role a pod of a deployment has; None when its labels say nothing known."""
    labels = pod["metadata"].get("labels") or {}
    # NVIDIA's v1alpha1 calls both roles of a pair worker, and tells them apart by a second label.
    said = (labels.get(Label.SUB_COMPONENT_TYPE.value), labels.get(Label.COMPONENT_TYPE.value))
    return next((role for value in said for role in Role if role.value == value), None)


def telling_pods(pods: Iterable[Json]) -> tuple[Json, ...]:
    """Return the pods whose workers say what an engine holds: all of the role that decodes.

    An engine over several nodes has several, and only one of them speaks for it.
    """
    by_role: dict[Role | None, list[Json]] = {}
    for pod in pods:
        by_role.setdefault(role_of(pod), []).append(pod)
    return tuple(next((by_role[role] for role in _TELLING if role in by_role), ()))


def metrics_url(pod: Json) -> str | None:
    """Return where a worker's metrics are; None for a pod without address or such a port."""
    address = (pod.get("status") or {}).get("podIP")
    containers = (pod.get("spec") or {}).get("containers") or ()
    ports = (port for c in containers if c.get("name") == MAIN for port in c.get("ports") or ())
    number = next((p["containerPort"] for p in ports if p.get("name") == SYSTEM_PORT), None)
    if not address or number is None:
        return None
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{number}/metrics"


def engine_images(pods: Iterable[Json]) -> str:
    """Return the digest that all engines run, or each role's where they differ.

    Raises:
        CandidateFailed: a pod does not say which image it runs.
    """
    found = dict.fromkeys(_images(pods))
    digests = dict.fromkeys(digest for _, digest in found)
    if len(digests) == 1:
        return next(iter(digests))
    return " ".join(sorted(f"{role}={digest}" for role, digest in found))


def _images(pods: Iterable[Json]) -> Iterator[tuple[str, str]]:
    for pod in pods:
        digest = main_image_digest(pod)
        if not digest:
            raise CandidateFailed(f"pod {pod['metadata']['name']} does not say which image it runs")
        yield str(role_of(pod) or ""), digest
