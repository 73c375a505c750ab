"""Who leads: the Lease as it was read, and what a candidate does about it. Pure.

As client-go does it: what others wrote is never compared with our clock. A Lease has run out when
it was seen unchanged for as long as its holder asked for, by the clock of whoever looks. So clocks
may differ by any amount; they only have to run equally fast.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from dgdr_kube.kinds import LEASE
from dgdr_kube.ports import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Durations of an election; those of client-go, but for how often who waits looks.

    After ``renew_s`` without a renewal a holder begins no write any more, and each that it has
    begun is cut off at ``lease_s``: before that nobody else leads. ``try_s`` bounds each question
    to the API server: an overloaded one may answer after 5 s, and of two questions the second one
    has its own time, or whoever looks for long never claims.
    """

    lease_s: int = 15
    renew_s: float = 10.0
    retry_s: float = 2.0
    look_s: float = 1.0
    try_s: float = 6.0


TIMING = Timing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The Lease as it was last read; ``since_s`` is when, by our clock, it was first read so.

    ``version`` is empty where there is no Lease. The holder of one that was deleted still counts,
    until it would have run out: that it is gone is no news to its holder.
    """

    version: str
    holder: str
    lease_s: float
    transitions: int
    since_s: float
    looked_s: float
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Claim:
    """Write our name, over this version (none: create); ``renews`` what is ours already."""

    version: str
    transitions: int
    renews: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Somebody else leads; look again after so many seconds."""

    seconds: float


Move = Claim | Wait


def seen_after(
    before: Seen | None, manifest: Manifest | None, now_s: float, timing: Timing
) -> Seen:
    """Return what is known after a look at the Lease; None: it is not there."""
    if manifest is None:
        return _seen_gone(before, now_s)
    spec = manifest.get("spec") or {}
    return Seen(
        version=str(manifest["metadata"]["resourceVersion"]),
        holder=str(spec.get("holderIdentity") or ""),
        lease_s=float(spec.get("leaseDurationSeconds") or timing.lease_s),
        transitions=int(spec.get("leaseTransitions") or 0),
        since_s=_since_s(before, spec, now_s, timing),
        looked_s=now_s,
        record=spec,
    )


def next_move(seen: Seen, now_s: float, me: str, timing: Timing) -> Move:
    """Decide what a candidate does, who saw this."""
    if seen.holder == me:
        return Claim(seen.version, seen.transitions, renews=True)
    left_s = seen.since_s + seen.lease_s - now_s
    if seen.holder and left_s > 0:
        return Wait(min(left_s, timing.look_s))
    return Claim(seen.version, seen.transitions + 1 if seen.record else 0)


def claimed(claim: Claim, me: str, now: datetime, timing: Timing) -> Manifest:
    """Return the spec that a claim writes."""
    time = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec: Manifest = {
        "holderIdentity": me,
        "leaseDurationSeconds": timing.lease_s,
        "leaseTransitions": claim.transitions,
        "renewTime": time,
    }
    return spec if claim.renews else {**spec, "acquireTime": time}


def released() -> Manifest:
    """Return the spec by which a holder goes: whoever sees it need not wait."""
    return {"holderIdentity": "", "leaseDurationSeconds": 1}


def lease(namespace: str, name: str, spec: Manifest, annotations: Mapping[str, str]) -> Manifest:
    """Return a Lease to create."""
    meta: Manifest = {"namespace": namespace, "name": name}
    if annotations:
        meta["annotations"] = dict(annotations)
    return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": meta, "spec": spec}


def change(spec: Manifest, annotations: Mapping[str, str]) -> Manifest:
    """Return what is merged into a Lease that is there."""
    if not annotations:
        return {"spec": spec}
    return {"metadata": {"annotations": dict(annotations)}, "spec": spec}


def _seen_gone(before: Seen | None, now_s: float) -> Seen:
    if before is None:
        return Seen(version="", holder="", lease_s=0, transitions=0, since_s=now_s, looked_s=now_s)
    return replace(before, version="", looked_s=now_s)


def _since_s(before: Seen | None, record: Mapping[str, Any], now_s: float, timing: Timing) -> float:
    if before is None or before.record != record:
        return now_s
    if now_s - before.looked_s <= timing.renew_s:
        return before.since_s
    # Nobody could look for long, so its holder may have been unable to write: when the API server
    # is back, he comes first.
    return max(before.since_s, now_s - before.lease_s + 2 * timing.retry_s)
