"""Calls to the API server, as they are counted: what was done to which kind, and what came back."""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from dgdr_kube.kinds import Kind

NO_ANSWER = "none"
"""Code of a call that nobody answered: refused, reset, or too late."""


class Verb(StrEnum):
    """What a call does, as in ``ports.Cluster``; in logs and metrics these are the words."""

    GET = "get"
    LIST = "list"
    WATCH = "watch"
    CREATE = "create"
    APPLY = "apply"
    PATCH = "patch"
    PATCH_STATUS = "patch_status"
    SCALE = "scale"
    DELETE = "delete"

    @property
    def method(self) -> str:
        """The HTTP method."""
        return _METHODS.get(self, "PATCH")

    @property
    def subresource(self) -> str | None:
        """What of an object the call is about; None: all of it."""
        return _SUBRESOURCES.get(self)


_METHODS = {
    Verb.GET: "GET",
    Verb.LIST: "GET",
    Verb.WATCH: "GET",
    Verb.CREATE: "POST",
    Verb.DELETE: "DELETE",
}
_SUBRESOURCES = {Verb.PATCH_STATUS: "status", Verb.SCALE: "scale"}


class Call(NamedTuple):
    """A call that has ended; ``code`` is the HTTP status. A watch ends when it is answered."""

    verb: Verb
    kind: Kind
    code: str
    seconds: float


CallTold = Callable[[Call], None]


def unheard(_: Call) -> None:
    """Nobody counts."""
