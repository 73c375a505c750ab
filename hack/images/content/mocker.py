"""Start Dynamo's mocker without a NATS server.

``dynamo.mocker.main`` leaves the fourth argument of ``DistributedRuntime`` at its default, so the
worker asks for NATS even where requests travel over TCP and events over ZMQ, and neither a flag
nor a variable reaches that argument. Real engines compute it; this launcher does the same and then
hands over. Users' own ``python3 -m dynamo.mocker`` keeps its stock meaning.
"""

import os
from typing import Any

import dynamo.mocker.main as mocker
from dynamo.runtime import DistributedRuntime


def needs_nats(request_plane: str) -> bool:
    """Say whether either plane travels over NATS; Dynamo's own default for events is NATS."""
    return "nats" in (request_plane, os.environ.get("DYN_EVENT_PLANE", "nats"))


def make_runtime(loop: Any, discovery_backend: str, request_plane: str) -> DistributedRuntime:
    """Build the runtime with NATS switched on only when a plane uses it."""
    return DistributedRuntime(loop, discovery_backend, request_plane, needs_nats(request_plane))


if __name__ == "__main__":
    mocker.DistributedRuntime = make_runtime
    mocker.main()
