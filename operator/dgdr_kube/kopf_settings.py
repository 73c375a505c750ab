"""kopf as a watcher only: it reads streams and calls ``on.event`` handlers, and writes nothing.

No finalizer, no progress or diff annotation is ever put on a user's object, because no handler
that needs them is registered; the prefixes are set all the same, so that a handler added by
mistake would not collide with another kopf operator's.
"""

from collections.abc import Mapping
from typing import Any

import kopf

# Longer than any quiet period that load balancers allow, short enough to notice a dead peer.
SERVER_TIMEOUT_S = 600
CLIENT_TIMEOUT_S = 660


def configure(
    settings: kopf.OperatorSettings, *, prefix: str, label_selectors: Mapping[str, str]
) -> None:
    """Set what differs from kopf's defaults.

    ``prefix`` is this controller's own domain, such as ``operator.dgdr.dev``. ``label_selectors``
    narrows the watch of a kind (``configmaps``), which keeps other people's objects out of memory.
    """
    settings.persistence.finalizer = f"{prefix}/finalizer"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=prefix)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=prefix)
    settings.watching.server_timeout = SERVER_TIMEOUT_S
    settings.watching.client_timeout = CLIENT_TIMEOUT_S
    settings.watching.connect_timeout = 30
    settings.watching.chunk_size = 500
    for plural, selector in label_selectors.items():
        settings.watching.label_selectors[plural] = selector
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = (1, 2, 5, 10, 20)
    settings.networking.enforce_retry_after = True
    settings.posting.enabled = False
    # Namespaces and CRDs are known at the start: no right to list either is needed.
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.queueing.worker_limit = 8
    settings.queueing.idle_timeout = 1.0


def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    """Log kopf in the way our own client does; register with ``kopf.on.login``."""
    return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)
