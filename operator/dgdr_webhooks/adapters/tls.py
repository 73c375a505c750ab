"""The certificate that new connections get: replaced while the server runs."""

import ssl
import tempfile
from datetime import datetime
from pathlib import Path

from dgdr_webhooks.core.certificates import Certificates


class Served:
    """One context for the life of the process; OpenSSL shows its newest chain to who connects."""

    def __init__(self) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._shown: Certificates | None = None

    def show(self, wanted: Certificates) -> bool:
        """Serve with these from now on; returns whether they are others than before.

        Raises:
            ssl.SSLError: they are none, or do not belong together.
        """
        if self._shown and (self._shown.chain, self._shown.key) == (wanted.chain, wanted.key):
            return False
        # ssl reads files only; nobody else sees this folder, and it is gone at once.
        with tempfile.TemporaryDirectory() as folder:
            chain, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
            chain.write_text(wanted.chain)
            key.write_text(wanted.key)
            self.context.load_cert_chain(chain, key)
        self._shown = wanted
        return True

    def is_valid(self, now: datetime) -> bool:
        """Whether clients accept it."""
        return self._shown is not None and now < self._shown.ends()

    def ends(self) -> datetime | None:
        """Return when it ends; None while there is none."""
        return self._shown.ends() if self._shown else None

    def ends_s(self) -> float:
        """Return when it ends, in seconds of Unix time; 0 while there is none."""
        return self._shown.ends().timestamp() if self._shown else 0.0
