"""What is known of a cluster, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from hack.cluster import kind, marker, native, paths
from hack.cluster.model import context_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The keys of ``status --json``. Empty or zero: not known, because nothing is there."""

    name: str
    tier: str
    number: int
    backend: str
    kubeconfig: str
    context: str
    bin_dir: str
    node_ip: str
    host_ip: str
    running: bool
    reason: str

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def inspect(name: str) -> Status:
    """Look at the state folder and at the processes; changes nothing."""
    home = paths.home_of(name)
    found = marker.read(home)
    if found is None:
        return _absent(name)
    native_one = found.backend == marker.NATIVE
    why = native.why_unhealthy(found) if native_one else kind.why_unhealthy(found)
    cluster = native.cluster_of(found)
    return Status(
        name=name,
        tier=found.tier,
        number=found.number,
        backend=found.backend,
        kubeconfig=str(cluster.kubeconfig),
        context=found.context,
        bin_dir=found.bin_dir,
        node_ip=cluster.node_ip if native_one else "",
        host_ip=cluster.host_ip if native_one else "",
        running=why is None,
        reason=why or "",
    )


def _absent(name: str) -> Status:
    return Status(
        name=name,
        tier="",
        number=0,
        backend="",
        kubeconfig=str(paths.home_of(name) / "kubeconfig"),
        context=context_of(name),
        bin_dir="",
        node_ip="",
        host_ip="",
        running=False,
        reason="there is none",
    )


def render(status: Status) -> str:
    """A few lines that end with what to type next."""
    if not status.running:
        return f"cluster {status.name} is not running: {status.reason}"
    return "\n".join(
        [
            f"cluster {status.name} ({status.backend}, tier {status.tier}) is running",
            f"  export KUBECONFIG={status.kubeconfig} PATH={status.bin_dir}:$PATH",
        ]
    )
