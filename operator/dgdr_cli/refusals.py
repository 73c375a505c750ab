"""What a cluster answers when it does not serve, as errors that a user can cure."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import kr8s
from pydantic import ValidationError

from dgdr_cli.errors import Unreachable, Unreadable


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn what kr8s, httpx and pydantic raise into ours."""
    try:
        yield
    except ValidationError as exc:
        raise Unreadable(f"an object has another shape than this version knows: {exc}") from exc
    except ValueError as exc:  # how kr8s says that there is no usable kubeconfig
        raise Unreachable(f"no access to a cluster: {exc}; check KUBECONFIG") from exc
    except (kr8s.ServerError, kr8s.APITimeoutError, httpx.HTTPError) as exc:
        raise Unreachable(f"the cluster did not answer: {exc}") from exc
