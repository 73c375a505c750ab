"""A Prometheus and the way to ask it: what makes two planners' questions the same question.

Everything secret has ``repr=False``: an endpoint may end up in a log line or a traceback.
"""

import re
from dataclasses import dataclass, field
from zlib import crc32

TIMEOUT_S = 10.0
# What the queries set themselves. An installation's or a tenant's parameter must not replace them.
RESERVED_PARAMETERS = frozenset({"query", "time", "start", "end", "step", "timeout"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Contents, not paths: files and Secrets are read again for each tick, so they may rotate."""

    token: str = field(default="", repr=False)
    ca_pem: str = field(default="", repr=False)
    certificate_pem: str = field(default="", repr=False)
    key_pem: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where and how to ask. ``url`` is a base URL without user, query and fragment."""

    url: str
    parameters: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    timeout_s: float = TIMEOUT_S
    credentials: Credentials = Credentials()

    @property
    def shown(self) -> str:
        """The URL for users: without anything that could be a credential."""
        place = re.split(r"[?#]", self.url, maxsplit=1)[0]
        scheme, _, rest = place.partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


# After a pass that something else than the time brought, the next one is at least so far.
LEAST_S = 1.0
# Of an interval: Prometheus servers and intervals do not all begin on the minute.
PHASE_SHARE = 0.25


def delay_s(now_s: float, interval_s: float, prometheus: str) -> float:
    """Return the seconds until the next tick.

    Ticks are the multiples of the interval since the epoch, moved by what is one number for all
    planners that ask ``prometheus``, a URL, at this interval.
    """
    phase_s = _share(f"{prometheus} {interval_s:g}") * PHASE_SHARE * interval_s
    passed_s = (now_s + LEAST_S - phase_s) % interval_s
    return LEAST_S + (interval_s - passed_s) % interval_s


def _share(text: str) -> float:
    """A number in [0, 1) that is the same in every process."""
    return crc32(text.encode()) / 2**32
