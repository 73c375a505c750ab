"""The authority that a client trusts, as its file has it now.

The kubelet renews ``ca.crt`` as it renews the token, but the library reads it once: when the API
servers' certificates come from a new authority, no new connection would be made any more.
"""

import logging
import os
import ssl
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass
class ClusterCa:
    """Adds to what a context in use trusts; a context forgets nothing, so the old one stays."""

    context: ssl.SSLContext
    path: str | None
    _read: tuple[int, int] | None = field(init=False)

    def __post_init__(self) -> None:
        self._read = self._written()

    def renew(self) -> None:
        """Read the file again where it was written since; call before each connection."""
        if (written := self._written()) == self._read or written is None:
            return
        self._read = written
        try:
            self.context.load_verify_locations(cafile=self.path)
        except (OSError, ssl.SSLError) as exc:
            log.warning("The cluster's authority in %s cannot be read: %s", self.path, exc)
        else:
            log.info("The cluster's authority was renewed: %s is read again", self.path)

    def _written(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path) if self.path else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_ino) if found else None
