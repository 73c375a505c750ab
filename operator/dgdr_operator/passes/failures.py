"""What a user is told when a pass ends in an exception that no step accounts for."""

from dgdr_api.reading import CodecError
from dgdr_api.redaction import without_secrets
from dgdr_kube.errors import TRANSIENT, ClusterError, Rejected

MAX_CHARS = 500


def lasting(error: Exception) -> str | None:
    """Return what to say on the object; None for a failure that goes away by itself."""
    if isinstance(error, TRANSIENT):
        return None
    text = without_secrets(_words(error))
    return text if len(text) <= MAX_CHARS else f"{text[: MAX_CHARS - 3]}..."


def _words(error: Exception) -> str:
    match error:
        case Rejected():
            return f"the API server refused: {error.message}; it is tried again"
        case ClusterError():
            return f"the API server did not find it: {error}; it is tried again"
        case CodecError():
            return str(error)
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"unexpected {what}; the operator's log has the traceback, it is tried again"
