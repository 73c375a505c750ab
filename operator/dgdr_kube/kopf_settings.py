"""kopf as a watcher only: it reads streams and calls ``on.event`` handlers, and writes nothing.

What it would ask of the API server is answered by ``kopf_feed``: it makes no call of its own.

No finalizer, no progress or diff annotation is ever put on a user's object, because no handler
that needs them is registered; the prefixes are set all the same, so that a handler added by
mistake would not collide with another kopf operator's.
"""

import asyncio
from collections.abc import Collection
from typing import Any

import kopf

# kopf waits for its tasks without end; a pod has 30 s between SIGTERM and SIGKILL.
LONGEST_STOP_S = 10.0


def configure(settings: kopf.OperatorSettings, *, prefix: str) -> None:
    """Set what differs from kopf's defaults.

    ``prefix`` is this controller's own domain, such as ``operator.dgdr.dev``.
    """
    settings.process.ultimate_exiting_timeout = LONGEST_STOP_S
    settings.persistence.finalizer = f"{prefix}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=prefix)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=prefix)
    settings.posting.enabled = False
    # Namespaces and CRDs are known at the start: no right to list either is needed.
    settings.scanning.disabled = True
    settings.peering.standalone = True
    # A handler only marks a key: a worker of an object is done at once, and none is worth waiting
    # for. With 8 workers that linger for 1 s each, kopf fed us 8 objects/s.
    settings.queueing.worker_limit = None
    settings.queueing.idle_timeout = 0.01


async def watch(
    registry: kopf.OperatorRegistry, settings: kopf.OperatorSettings, namespaces: Collection[str]
) -> None:
    """Run kopf in namespaces, or in all (none named), until it begins to stop: told to, or broken.

    Not ``kopf.operator``, which returns when it has stopped: it waits up to 5 s for each task that
    is younger than itself, as that of a kept-alive connection to ``/metrics``, and passes would go
    on meanwhile, without ears.
    """
    roots = await kopf.spawn_tasks(
        registry=registry, settings=settings, namespaces=namespaces, clusterwide=not namespaces
    )
    try:
        ended, _ = await asyncio.wait(roots, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        for task in roots:
            task.cancel()


def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Log kopf in the way our own client does; register with ``kopf.on.login``."""
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
