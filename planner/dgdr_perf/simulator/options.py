"""The world in which engines are simulated."""

import math
from dataclasses import dataclass

from dgdr_api.graph import Role
from dgdr_perf.queueing import Dispatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A replica that dies with all that it holds; another is created in its place at once."""

    at_s: float
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How replicas start, stop and are found.

    ``duration_s`` is what is billed and controlled; requests that are still in flight are
    finished after it. None: until the last arrival. ``drain_s``: a replica that is taken away
    gets no new requests and finishes what it has, for at most this long; the rest fails.
    For decode ``Dispatch.SHARED`` means the replica with the fewest requests.
    """

    duration_s: float | None = None
    interval_s: float = 60.0
    start_up_s: float = 0.0
    drain_s: float = math.inf
    dispatch: Dispatch = Dispatch.ROUND_ROBIN
    decode_dispatch: Dispatch = Dispatch.ROUND_ROBIN
    transfer_ms_per_token: float = 0.0
    transfer_fixed_ms: float = 0.0
    failures: tuple[Failure, ...] = ()
