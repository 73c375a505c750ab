"""What can go wrong between us and the API server, told apart by what a caller can do about it."""


class ClusterError(Exception):
    """Root of every failure that a cluster client raises."""


class NotFound(ClusterError):
    """The API server says that the object is not there."""


class AlreadyExists(ClusterError):
    """An object of that name is there already; the caller decides whether it is its own."""


class Conflict(ClusterError):
    """The object changed since it was read: read again and decide again."""


class Expired(ClusterError):
    """The version that a watch should go on from is forgotten (410 Gone): list again."""


class Rejected(ClusterError):
    """The API server understood and refused; the same request will be refused again.

    ``status`` is 400, 401, 403 or 422, ``message`` the server's own sentence for users.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


class NotLeading(ClusterError):
    """Nothing was written: another process may lead by now."""


class Unreachable(ClusterError):
    """No answer, or the server is overloaded or broken: try again later.

    ``retry_after_s`` is how long the server asked us to wait; None when it did not say.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotServed(Unreachable):
    """The API server knows no such path: it does not serve the kind in this version, or not yet."""


TRANSIENT = (Unreachable, Conflict, AlreadyExists, Expired, NotLeading)
"""What the next try of a pass gets over: only the log needs to know."""
