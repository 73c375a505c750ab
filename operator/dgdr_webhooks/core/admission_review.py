"""AdmissionReview: may this object be stored, what is to say about it, and what it lacks."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dgdr_api.problem import Problem
from dgdr_webhooks.core.conversion_review import requested
from dgdr_webhooks.core.verdict import REQUEST, verdict

Json = Mapping[str, Any]

API_VERSION, KIND = "admission.k8s.io/v1", "AdmissionReview"
# The API server cuts a warning at 256 characters and drops all beyond 4,096 in sum.
WARNING_CHARS, WARNINGS_CHARS = 256, 4000
_UNPROCESSABLE = 422
_WRITES = ("CREATE", "UPDATE")


@dataclass(frozen=True, slots=True)
class Admission:
    """A review with its answer."""

    review: dict[str, Any]
    allowed: bool


def validated(review: Any) -> Admission:
    """Return whether the object may be stored, with the reasons or with warnings.

    Raises:
        BadReview: it is no review.
    """
    request = requested(review, KIND)
    new = request.get("object")
    if request.get("operation") not in _WRITES or not isinstance(new, Mapping) or _is_going(new):
        return _answered(review, {"allowed": True})
    old = request.get("oldObject")
    found = verdict(new, old if isinstance(old, Mapping) else None)
    warnings = fitting(found.warnings)
    said: dict[str, Any] = {"warnings": warnings} if warnings else {}
    if found.refusals:
        return _answered(review, {"allowed": False, "status": _status(found.refusals), **said})
    return _answered(review, {"allowed": True, **said})


def defaulted(review: Any, image: str) -> Admission:
    """Return what a new request of v1beta1 lacks: the image, where the installation names one.

    Raises:
        BadReview: it is no review.
    """
    request = requested(review, KIND)
    new = request.get("object")
    if request.get("operation") != "CREATE" or not isinstance(new, Mapping):
        return _answered(review, {"allowed": True})
    spec = new.get("spec")
    lacks = new.get("kind") == REQUEST and isinstance(spec, Mapping) and not spec.get("image")
    if not (image and lacks):
        return _answered(review, {"allowed": True})
    patch = [{"op": "add", "path": "/spec/image", "value": image}]
    text = base64.b64encode(json.dumps(patch).encode()).decode()
    return _answered(review, {"allowed": True, "patchType": "JSONPatch", "patch": text})


def fitting(warnings: Iterable[str]) -> list[str]:
    """Return as many warnings as the API server passes on; the last one counts those left out."""
    cut = [
        one if len(one) <= WARNING_CHARS else f"{one[: WARNING_CHARS - 3]}..." for one in warnings
    ]
    found: list[str] = []
    for number, one in enumerate(cut):
        if sum(map(len, found)) + len(one) > WARNINGS_CHARS:
            return [*found, f"and {len(cut) - number} more"]
        found.append(one)
    return found


def _is_going(manifest: Json) -> bool:
    metadata = manifest.get("metadata")
    return isinstance(metadata, Mapping) and metadata.get("deletionTimestamp") is not None


def _status(problems: Sequence[Problem]) -> dict[str, Any]:
    texts = [str(one) for one in problems]
    message = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return {"code": _UNPROCESSABLE, "reason": "Invalid", "message": message}


def _answered(review: Json, response: dict[str, Any]) -> Admission:
    said = {
        "apiVersion": review.get("apiVersion", API_VERSION),
        "kind": review.get("kind", KIND),
        "response": {"uid": review["request"]["uid"], **response},
    }
    return Admission(said, response["allowed"] is True)
