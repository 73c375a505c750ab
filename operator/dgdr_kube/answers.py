"""What the API server answers: JSON, and our error for each refusal."""

import json
from typing import Any, NamedTuple

from dgdr_kube import errors
from dgdr_kube.kinds import Kind
from dgdr_kube.ports import Manifest, Manifests

LONGEST_WAIT_S = 30.0
"""So long at most a server that asks for time gets it."""

_REFUSALS = (400, 403, 405, 413, 422)
# What server-side apply says, with status 500, of fields that have another type than the kind's:
# the body is refused as one that is invalid, for another try will not change it.
_MALFORMED = ("failed to create typed patch object", "failed to convert new object")
_INVALID = 422
# What the API server says of a group or version that it does not serve, as Go's http.NotFound does.
_NO_SUCH_PATH = "404 page not found"


def read_json(data: bytes) -> Manifest:
    """Read a body; one that is no JSON object, or deeper than the stack, becomes a message."""
    try:
        answer: Any = json.loads(data)
    except (ValueError, RecursionError):
        return {"message": data[:200].decode(errors="replace")}
    return answer if isinstance(answer, dict) else {"message": str(answer)[:200]}


class Page(NamedTuple):
    """A part of a collection; ``token`` asks for the next, and is empty in the last."""

    items: Manifests
    version: str
    token: str


def check_identity(manifest: Manifest, *, namespaced: bool = True) -> None:
    """Raise KeyError, TypeError or ValueError where an object cannot be told from others."""
    meta = manifest["metadata"]
    for key in ("name", "namespace") if namespaced else ("name",):
        if not isinstance(meta[key], str):
            raise TypeError(f"metadata.{key} is no string")
    int(meta["resourceVersion"])


def page_of(answer: Manifest, kind: Kind, call: str) -> Page:
    """Read a list; raises Unreachable where it is none.

    A proxy's error page with status 200 must not read as a collection without objects: whoever
    believed it would take everything for deleted.
    """
    # Items of built-in kinds come without apiVersion and kind.
    typed = {"apiVersion": kind.api_version, "kind": kind.kind}
    try:
        meta = answer["metadata"]
        items = [{**typed, **item} for item in answer["items"] or ()]
        int(meta["resourceVersion"])
        for item in items:
            check_identity(item, namespaced=kind.namespaced)
        return Page(items, str(meta["resourceVersion"]), str(meta.get("continue") or ""))
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        said = str(answer.get("message") or "")[:100]
        raise errors.Unreachable(f"{call}: the answer is no list: {said or exc!r}") from exc


def retry_after_s(header: str | None) -> float | None:
    """Read ``Retry-After``; a date, which no API server sends, counts as nothing said.

    A page for maintenance may name an hour, and be gone after seconds.
    """
    text = (header or "").strip()
    return min(float(text), LONGEST_WAIT_S) if text.isdecimal() else None


def error_of(
    status: int, call: str, answer: Manifest, retry_after: str | None = None
) -> errors.ClusterError:
    """Return our error for a status that is no success; ``call`` is the method and the path."""
    message = str(answer.get("message") or call)
    if status == 404 and answer.get("kind") == "Status":
        return errors.NotFound(message)
    if status == 410:
        return errors.Expired(message)
    if status == 409:
        existing = answer.get("reason") == "AlreadyExists"
        return errors.AlreadyExists(message) if existing else errors.Conflict(message)
    if status in _REFUSALS:
        return errors.Rejected(status, message)
    if status == 500 and message.startswith(_MALFORMED):
        return errors.Rejected(_INVALID, message)
    if status == 404 and message.strip() == _NO_SUCH_PATH:
        return errors.NotServed(f"{call}: {message.strip()}")
    # 401 too: a token that is just being rotated is accepted again at the next try. And a 404 that
    # is a page: a proxy has lost its way, or a kind is not served yet; an object is not gone by it.
    return errors.Unreachable(f"{call}: {status}: {message}", retry_after_s(retry_after))
