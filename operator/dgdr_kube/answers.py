"""What the API server answers: JSON, and our error for each refusal."""

import json
from typing import Any

from dgdr_kube import errors
from dgdr_kube.ports import Manifest

_REFUSALS = (400, 403, 405, 413, 422)


def read_json(data: bytes) -> Manifest:
    """Read a body; one that is no JSON object becomes a message."""
    try:
        answer: Any = json.loads(data)
    except ValueError:
        return {"message": data[:200].decode(errors="replace")}
    return answer if isinstance(answer, dict) else {"message": str(answer)[:200]}


def error_of(status: int, call: str, answer: Manifest) -> errors.ClusterError:
    """Return our error for a status that is no success; ``call`` is the method and the path."""
    message = str(answer.get("message") or call)
    if status == 404:
        return errors.NotFound(message)
    if status == 410:
        return errors.Expired(message)
    if status == 409:
        existing = answer.get("reason") == "AlreadyExists"
        return errors.AlreadyExists(message) if existing else errors.Conflict(message)
    if status in _REFUSALS:
        return errors.Rejected(status, message)
    # 401 too: a token that is just being rotated is accepted again at the next try.
    return errors.Unreachable(f"{call}: {status}: {message}")
