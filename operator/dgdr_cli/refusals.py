"""What a cluster answers when it does not serve, as errors that a user can cure."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import kr8s
from pydantic import ValidationError

from dgdr_api.reading import CodecError
from dgdr_cli.errors import Unreachable, Unreadable

REFUSALS = (kr8s.ServerError, ValidationError, CodecError)
"""What is raised where one object cannot be read; a cluster that does not answer has none."""

NOT_FOUND, FORBIDDEN, CONFLICT = 404, 403, 409


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn what kr8s, httpx and pydantic raise into ours."""
    try:
        yield
    except (ValidationError, CodecError) as exc:
        told = f"an object has another shape than this version knows: {one_line(exc)}"
        raise Unreadable(told) from exc
    except ValueError as exc:  # how kr8s says that there is no usable kubeconfig
        raise Unreachable(f"no access to a cluster: {exc}; check KUBECONFIG") from exc
    except kr8s.ServerError as exc:
        raise Unreachable(f"the cluster refused: {one_line(exc)}") from exc
    except (kr8s.APITimeoutError, httpx.HTTPError) as exc:
        raise Unreachable(f"the cluster did not answer: {exc}") from exc


def status_code(exc: kr8s.ServerError) -> int | None:
    """Return the status of an API server's answer; None where there was no answer."""
    return None if exc.response is None else exc.response.status_code


def one_line(exc: Exception) -> str:
    """Say in one line why something cannot be read."""
    if isinstance(exc, ValidationError):
        first, *others = exc.errors()
        more = f", and {len(others)} more" if others else ""
        path = ".".join(map(str, first["loc"]))
        return f"{path}: {first['msg']}{more}" if path else f"{first['msg']}{more}"
    if isinstance(exc, kr8s.ServerError) and status_code(exc) == NOT_FOUND:
        return "the kind is not installed"
    return " ".join(str(exc).split()) or type(exc).__name__
