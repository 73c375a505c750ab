"""ConversionReview: the objects of a review in the version that it asks for.

All of them or none: the API server takes no half of a list. So one object that cannot be converted
fails the review, with a message that names it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dgdr_api.conversion import converted
from dgdr_api.reading import CodecError

Json = Mapping[str, Any]

API_VERSION, KIND = "apiextensions.k8s.io/v1", "ConversionReview"


class BadReview(ValueError):
    """A body that is no review; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A review with its answer; ``objects`` counts what was converted."""

    review: dict[str, Any]
    objects: int
    failed: bool


def answer(review: Any) -> Conversion:
    """Return the answer to a review.

    Raises:
        BadReview: it is none.
    """
    request = requested(review, KIND)
    version, objects = str(request.get("desiredAPIVersion")), request.get("objects")
    made: list[dict[str, Any]] = []
    for number, one in enumerate(objects if isinstance(objects, list) else ()):
        try:
            made.append(_converted(one, version))
        except Exception as exc:
            # Whatever it is: without an answer nobody learns which object it was.
            return _answered(review, _failure(f"{_name(one, number)}: {_reason(exc)}"), 0)
    return _answered(review, {"result": {"status": "Success"}, "convertedObjects": made}, len(made))


def requested(review: Any, kind: str) -> Json:
    """Return what a review asks.

    Raises:
        BadReview: it asks nothing.
    """
    request = review.get("request") if isinstance(review, Mapping) else None
    if not isinstance(request, Mapping) or not isinstance(request.get("uid"), str):
        raise BadReview(f"no {kind}: request.uid is missing")
    return request


def _converted(one: Any, version: str) -> dict[str, Any]:
    if not isinstance(one, Mapping):
        raise CodecError("object", one, "an object")
    return converted(one, version)


def _answered(review: Json, response: dict[str, Any], objects: int) -> Conversion:
    said = {
        "apiVersion": review.get("apiVersion", API_VERSION),
        "kind": review.get("kind", KIND),
        "response": {"uid": review["request"]["uid"], **response},
    }
    return Conversion(said, objects, "convertedObjects" not in response)


def _failure(message: str) -> dict[str, Any]:
    return {"result": {"status": "Failure", "message": message}}


def _name(one: Any, number: int) -> str:
    metadata = one.get("metadata") if isinstance(one, Mapping) else None
    kind = one.get("kind") if isinstance(one, Mapping) else None
    found = metadata if isinstance(metadata, Mapping) else {}
    parts = [str(found[key]) for key in ("namespace", "name") if found.get(key)]
    return f"{kind or 'object'} {'/'.join(parts) or f'number {number}'}"


def _reason(exc: Exception) -> str:
    return str(exc) if isinstance(exc, CodecError) else f"{type(exc).__name__}: {exc}"
